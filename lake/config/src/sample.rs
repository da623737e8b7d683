//! The documented sample file: every key, commented out, with its default.

use super::keys::{FAMILIES, KEYS, SECTIONS};

const HEAD: &str = "\
# The settings of lambdalake: every key, commented out, with its default.
#
# A value is taken from, the later one winning: the defaults, this file, environment variables, flags.
# Programs read ./lakehouse.toml if there is one, or the file that --config names.
# The variable of kafka.brokers is LAKEHOUSE__KAFKA__BROKERS: dots are two underscores.
# Durations read 500ms, 5s, 30m, 3h, 7d or 1h30m; sizes 64MB, 1MiB or plain bytes.
";

/// The text of `lakehouse.toml`, written out from the table of keys.
pub fn sample_file() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        text += &format!("\n# {}\n[{}]\n", section.doc, section.name);
        let own = format!("{}.", section.name);
        for key in KEYS {
            let Some(name) = key.name.strip_prefix(&own) else { continue };
            let value = key.kind.quoted(key.default.unwrap_or(key.example));
            text += &format!(
                "\n{}# Expected: {}.\n#{name} = {value}\n",
                comment(key.doc),
                key.kind.expected()
            );
        }
        for family in FAMILIES.iter().filter(|family| family.prefix.starts_with(&own)) {
            text += &format!(
                "\n{}# Expected: {}.\n[{}]\n",
                comment(family.doc),
                family.kind.expected(),
                family.prefix.trim_end_matches('.')
            );
            for (name, value) in family.examples {
                text += &format!("#{name:?} = {}\n", family.kind.quoted(value));
            }
        }
    }
    text
}

fn comment(doc: &str) -> String {
    doc.lines().map(|line| format!("# {line}\n")).collect()
}
