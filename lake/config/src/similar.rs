//! Which of the known words the writer of an unknown one may have meant.

use strsim::osa_distance;

/// The word of `known` that differs from `unknown` by the fewest letters, if they are few; case does not count.
pub fn closest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.trim().to_lowercase();
    let few = (unknown.chars().count() / 4).max(1);
    known
        .into_iter()
        .map(|word| (osa_distance(&unknown, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= few && *distance < word.chars().count())
        .min()
        .map(|(_, word)| word)
}

/// The time zone of `known` that is closest to `unknown`, which may lack its region or have another one.
pub fn closest_zone<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let place = |name: &str| name.trim().rsplit('/').next().unwrap_or_default().to_lowercase();
    let wanted = place(unknown);
    closest(unknown, known.clone()).or_else(|| {
        let few = wanted.chars().count() / 5;
        let places = known.into_iter().map(|name| (osa_distance(&wanted, &place(name)), name));
        places.filter(|(distance, _)| *distance <= few).min().map(|(_, name)| name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_few_wrong_letters_finds_the_known_one() {
        let known = ["from", "to", "interval"];
        for (unknown, expected) in [
            ("form", Some("from")),
            ("FROM ", Some("from")),
            ("intervall", Some("interval")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(closest(unknown, known), expected, "{unknown}");
        }
    }

    #[test]
    fn a_zone_is_found_by_its_place_too() {
        let known = ["America/New_York", "Asia/Yekaterinburg", "Europe/Moscow", "UTC"];
        for (unknown, expected) in [
            ("Europe/Moskow", Some("Europe/Moscow")),
            ("Moscow", Some("Europe/Moscow")),
            ("Russia/Moscow", Some("Europe/Moscow")),
            ("Asia/Ekaterinburg", Some("Asia/Yekaterinburg")),
            ("new_york", Some("America/New_York")),
            ("utc ", Some("UTC")),
            ("Mars/Base", None),
            ("", None),
        ] {
            assert_eq!(closest_zone(unknown, known), expected, "{unknown}");
        }
    }
}
