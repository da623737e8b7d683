//! The documented sample file: every key, commented out, with its default.

use crate::family::AnyFamily;
use crate::key::{AnyKey, Section};
use crate::table::SECTIONS;

const HEAD: &str = "\
# The settings of lambdalake: every key, commented out, with its default.
#
# A value comes from the last of these that gives it: the defaults, this file, environment variables, flags.
# Programs read ./lakehouse.toml if there is one, or the file that --config names.
# The variable of kafka.brokers is LAKEHOUSE__KAFKA__BROKERS: dots are two underscores.
# Durations read 500ms, 5s, 30m, 3h, 7d or 1h30m; sizes 64MB, 1MiB or plain bytes.
";

/// The text of `lakehouse.toml`, written out from the table of keys.
pub fn sample_file() -> String {
    HEAD.to_owned() + &SECTIONS.map(section).concat()
}

fn section(section: &Section) -> String {
    let head = format!("\n{}[{}]\n", comment(section.doc), section.name);
    let keys = section.keys.iter().map(|key| describe_key(*key));
    let families = section.families.iter().map(|family| describe_family(*family));
    keys.chain(families).fold(head, |text, part| text + &part)
}

fn describe_key(key: &dyn AnyKey) -> String {
    let name = key.name().rsplit('.').next().unwrap_or_default();
    let value = key.literal(key.default_text().unwrap_or(key.example()));
    format!("\n{}# Expected: {}.\n#{name} = {value}\n", comment(key.doc()), key.expected())
}

fn describe_family(family: &dyn AnyFamily) -> String {
    let name = family.prefix().trim_end_matches('.');
    let head = format!("\n{}# Expected: {}.\n[{name}]\n", comment(family.doc()), family.expected());
    let examples = family.examples().iter();
    examples
        .map(|(name, value)| format!("#{name:?} = {}\n", family.literal(value)))
        .fold(head, |text, line| text + &line)
}

/// Documentation as comments; like the compiler's, its lines begin with a blank.
fn comment(doc: &[&str]) -> String {
    doc.iter().map(|line| format!("#{line}\n")).collect()
}
