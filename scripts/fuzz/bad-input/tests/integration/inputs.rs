//! The inputs of the fuzz targets: the seeds written by hand, what fuzzing added to them, and the dictionaries.

use std::fs;
use std::path::{Path, PathBuf};

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The inputs of a target, each with its file, in the order of the files' names.
pub fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folders = ["seeds", "corpus"].map(|kind| Path::new(FUZZ).join(kind).join(target));
    let files = folders.iter().flat_map(|folder| files(folder));
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder:?} is empty");
    files
}

/// The tokens of a target's dictionary: lines of quoted text in which `\xAB` is a byte.
pub fn tokens(target: &str) -> Vec<Vec<u8>> {
    let file = Path::new(FUZZ).join(format!("dictionaries/{target}.dict"));
    let text = fs::read_to_string(file).unwrap();
    let quoted = |line: &str| Some(unescaped(line.strip_prefix('"')?.strip_suffix('"')?));
    text.lines().filter_map(quoted).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    bytes
}
