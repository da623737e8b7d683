//! The definitions of keys agree with themselves and with `lakehouse.toml`.

use crate::key::AnyKey;
use crate::sections::{kafka, lake, speed_limits};
use crate::table::{self, SECTIONS};
use crate::{Properties, Settings, sample_file};

use super::load;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lakehouse.toml");

/// A file that sets `key` alone, to what `text` stands for.
fn file_with(key: &dyn AnyKey, text: &str) -> String {
    format!("{} = {}", key.name(), key.literal(text))
}

#[test]
fn every_key_accepts_its_default_and_its_example() {
    for key in table::keys() {
        if let Some(text) = key.default_text() {
            assert_eq!(load(&file_with(key, text), &[], &[]).unwrap(), Settings::default());
        }
        load(&file_with(key, key.example()), &[], &[])
            .unwrap_or_else(|error| panic!("{} = {}: {error}", key.name(), key.example()));
    }
}

#[test]
fn documentation_names_no_key_that_does_not_exist() {
    for section in SECTIONS {
        let keys = section.keys.iter().flat_map(|key| key.doc());
        let families = section.families.iter().flat_map(|family| family.doc());
        for word in keys.chain(families).flat_map(|line| line.split_whitespace()) {
            let word = word.trim_end_matches(['.', ',', ';', ':']);
            let names_section =
                SECTIONS.iter().any(|section| word.starts_with(&format!("{}.", section.name)));
            assert!(!names_section || table::is_known(word), "{word} in [{}]", section.name);
        }
    }
}

#[test]
fn keys_are_secret_as_their_family_defines_it_or_their_name_suggests() {
    for (key, is_secret) in [
        ("kafka.properties.sasl.password", true),
        ("kafka.properties.sasl.username", false),
        ("lake.storage.secret_access_key", true),
        ("lake.storage.region", false),
        ("speed_limits.cameras.token", false),
        ("speed_limit.camera.token", true),
        ("kafka.sasl.password", true),
        ("kafka.topic", false),
        ("AWS_SECRET_ACCESS_KEY", true),
        ("kafka.properties.ssl_key_pem", true),
        ("kafka.properties.sasl.pasword", true),
        ("kafka.properties.ssl.ca.location", false),
        ("kafka.properties.client.rack", false),
        ("lake.secert", true),
    ] {
        assert_eq!(table::is_secret(key), is_secret, "{key}");
    }
}

#[test]
fn the_sample_file_as_it_is_gives_the_defaults() {
    let sample = std::fs::read_to_string(SAMPLE).unwrap();
    assert_eq!(load(&sample, &[], &[]).unwrap(), Settings::default());
}

#[test]
fn the_sample_file_uncommented_names_every_key_with_its_default() {
    let sample = std::fs::read_to_string(SAMPLE).unwrap();
    let uncommented: Vec<&str> = sample
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let uncommented = uncommented.join("\n");
    let mut settings = load(&uncommented, &[], &[]).unwrap();
    assert_eq!(settings.kafka.properties.len(), kafka::KEYS.properties.rules.examples.len());
    assert_eq!(settings.lake.storage.len(), lake::KEYS.storage.rules.examples.len());
    assert_eq!(
        settings.speed_limits.cameras.len(),
        speed_limits::KEYS.cameras.rules.examples.len()
    );
    settings.kafka.properties = Properties::default();
    settings.lake.storage = Properties::default();
    settings.speed_limits = Settings::default().speed_limits;
    assert!(settings.kafka.group.take().is_some());
    assert_eq!(settings, Settings::default());
    let toml: toml::Table = uncommented.parse().unwrap();
    for key in table::keys() {
        let (section, name) = key.name().split_once('.').unwrap();
        assert!(toml[section].get(name).is_some(), "{} is not in lakehouse.toml", key.name());
    }
}

#[test]
fn the_sample_file_is_the_table_of_keys_written_out() {
    let expected = sample_file();
    if std::env::var_os("UPDATE_SAMPLE").is_some() {
        std::fs::write(SAMPLE, &expected).unwrap();
    }
    let sample = std::fs::read_to_string(SAMPLE).unwrap();
    assert!(sample == expected, "run this test with UPDATE_SAMPLE=1 to write lakehouse.toml anew");
}
