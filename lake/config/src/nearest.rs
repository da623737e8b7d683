//! The known key that the writer of an unknown one may have meant.

use strsim::osa_distance as distance;

use crate::table::{families, keys};

/// The known key nearest to `unknown`: one that differs by a few letters, that
/// ends alike, or that was written as a table.
pub fn nearest(unknown: &str) -> Option<String> {
    let last = |name: &str| name.rsplit('.').next().map(str::to_owned);
    let is_within =
        |known: &str| unknown.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'));
    let few = (unknown.chars().count() / 4).max(2);
    keys()
        .map(|key| key.name().to_owned())
        .chain(family_candidates(unknown))
        .map(|known| (distance(unknown, &known), known))
        .filter(|(distance, known)| {
            *distance <= few || last(known) == last(unknown) || is_within(known)
        })
        .min()
        .map(|(_, known)| known)
}

/// What `unknown` would be in each family, if only its first two parts are misspelt.
fn family_candidates(unknown: &str) -> impl Iterator<Item = String> {
    let own_part = unknown.splitn(3, '.').nth(2);
    families()
        .filter_map(move |family| Some(format!("{}{}", family.prefix(), own_part?)))
        .filter(move |candidate| distance(unknown, candidate) <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_or_one_without_its_section_finds_the_known_one() {
        for (unknown, known) in [
            ("kafka.brokes", Some("kafka.brokers")),
            ("kafka.Brokers", Some("kafka.brokers")),
            ("speed.commit_interval_ms", Some("speed.commit_interval")),
            ("brokers", Some("kafka.brokers")),
            ("kafka.propertys.security.protocol", Some("kafka.properties.security.protocol")),
            ("speed_limit.cameras.KV1", Some("speed_limits.cameras.KV1")),
            ("kafka.brokers.host", Some("kafka.brokers")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(unknown).as_deref(), known, "{unknown}");
        }
    }
}
