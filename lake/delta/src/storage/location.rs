//! The one place that `lake.uri` names, whatever characters are in it: a folder by its real path, a prefix in a bucket
//! letter by letter.
//!
//! A prefix is refused if programs disagree about the objects that it names: some encode a character such as `~` or `%41` in
//! an object's key, some decode it, and some take it as it is. An earlier release put commits and checkpoints of such a lake
//! in two places, or in those of another lake.

use std::io::ErrorKind;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use lake_config::LakeSettings;
use object_store::ObjectStore;
use object_store::client::HttpConnector as _;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use percent_encoding::percent_decode_str;
use url::Url;

use super::attempts::ObservedConnector;
use super::folder::Folder;
use super::uploads::Bucket;
use super::{client_options, option_at_fault, s3_builder};
use crate::error::LakeError;

/// The URL of a store whose listings are in no order, as those of a folder are. The deltalake library sorts those of two
/// kinds of URL only: of `file:`, whose path it looks for on disk, and of S3's directory buckets, whose names end like this.
const UNORDERED: &str = "memory://folder--x-s3/";

/// Where a lake is.
pub(super) struct Location {
    /// Rooted at the lake.
    pub(super) store: Arc<dyn ObjectStore>,
    /// What URLs of the store begin with.
    pub(super) url: Url,
    /// For people.
    pub(super) uri: String,
    /// The folder, if it is in one.
    pub(super) folder: Option<PathBuf>,
    /// The bucket, if it is in one.
    pub(super) bucket: Option<Bucket>,
}

/// The folder that `uri` names, a path or a `file://` URL. It need not be there.
pub(super) fn in_folder(uri: &str) -> Result<Location, LakeError> {
    let failed = |problem: &dyn std::fmt::Display| cannot_be_a_lake(uri, problem);
    let folder = match uri.strip_prefix("file://") {
        Some(path) => percent_decode_str(path).decode_utf8().map_err(|error| failed(&error))?,
        None => uri.into(),
    };
    let folder = match FilePath::new(&*folder).canonicalize() {
        Ok(found) if found.is_dir() => found,
        Ok(_) => return Err(failed(&"there is a file of that name")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            std::path::absolute(&*folder).map_err(|error| failed(&error))?
        }
        Err(error) => return Err(failed(&error)),
    };
    Ok(Location {
        store: Arc::new(Folder::at(folder.clone())),
        url: Url::parse(UNORDERED).expect("it is a URL"),
        uri: folder.display().to_string(),
        folder: Some(folder),
        bucket: None,
    })
}

/// The error of a `uri` that no lake can be at.
pub(super) fn cannot_be_a_lake(uri: &str, problem: &dyn std::fmt::Display) -> LakeError {
    LakeError::Configuration(format!(
        "lake.uri = {uri:?}: {problem}; name a folder that this user may write"
    ))
}

/// The place in a bucket of S3 that a URI names after `s3://`.
pub(super) fn in_bucket(
    bucket_and_prefix: &str,
    settings: &LakeSettings,
) -> Result<Location, LakeError> {
    let (bucket, prefix) = bucket_and_prefix.split_once('/').unwrap_or((bucket_and_prefix, ""));
    let uri = format!("s3://{bucket_and_prefix}");
    let bad = |problem: &dyn std::fmt::Display| {
        LakeError::Configuration(format!("lake.uri = {uri:?}: {problem}"))
    };
    let prefix =
        literal(prefix.strip_suffix('/').unwrap_or(prefix)).map_err(|problem| bad(&problem))?;
    let built = s3_builder(bucket, settings)?.build();
    let built = built.map_err(|error| option_at_fault(settings).unwrap_or_else(|| bad(&error)))?;
    let built = Arc::new(built);
    let url = Url::parse(&format!("s3://{bucket}/")).map_err(|error| bad(&error))?;
    let client =
        ObservedConnector.connect(&client_options(settings)).map_err(|error| bad(&error))?;
    let bucket = Some(Bucket::new(Arc::clone(&built), client, &prefix, settings));
    let store: Arc<dyn ObjectStore> = match prefix.as_ref() {
        "" => built,
        _ => Arc::new(PrefixStore::new(built, prefix)),
    };
    Ok(Location { store, url, uri, folder: None, bucket })
}

/// The prefix as a path in the bucket, if there is no doubt about it.
fn literal(prefix: &str) -> Result<Path, String> {
    let is_doubtful = |letter: &char| Path::from(letter.to_string()).as_ref() != letter.to_string();
    let mut letters = prefix.chars().filter(|letter| !matches!(letter, '/' | '.'));
    if let Some(letter) = letters.find(is_doubtful) {
        return Err(format!(
            "programs disagree about {letter:?} in the name of an object; use ASCII letters, digits, spaces and any of \
             -_.=+@:,;!$&'() in the prefix"
        ));
    }
    if !prefix.is_empty() && prefix.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(
            "a prefix has no segment that is empty, \".\" or \"..\"; leave such segments out"
                .to_owned(),
        );
    }
    Path::parse(prefix).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_prefix_is_taken_letter_by_letter() {
        for prefix in ["", "lake", "a/b c/d.e", "a=b/c+d@e:f,g;h!i$j&k'l(m)", "a..b", "_x-1"] {
            assert_eq!(literal(prefix).unwrap().as_ref(), prefix);
        }
    }

    #[test]
    fn a_prefix_that_programs_read_differently_is_refused() {
        for letter in "%~\\{}^`[]\"<>#|*?\u{7f}\tяé".chars() {
            let problem = literal(&format!("lake/x{letter}20")).unwrap_err();
            assert!(problem.contains(&format!("{letter:?}")), "{problem}");
        }
        for prefix in ["a//b", "a/../b", "..", ".", "./a", "/a", "a/.", "a/"] {
            assert!(literal(prefix).unwrap_err().contains("segment"), "{prefix}");
        }
    }
}
