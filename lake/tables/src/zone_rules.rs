//! The rules of the pipeline's time zone, as the tables have them: in the property `lambdalake.zoneRules`.
//!
//! Programs compute days by these rules and never by the time-zone database that they came with: another release of it may
//! have other days. The property of `events` says which rules are in force. That of `avg_speed` may be ahead of it for a
//! moment (`speed-layer` says why), and those of the other tables are for readers.
//!
//! The value is a JSON object. `rules` are TZif files (RFC 9636) in base64, each with the release of the database that it is
//! of; `segments` say from which day on which of them count.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lake_delta::{LakeError, TableState};
use lake_model::calendar::{Calendar, Day, RulesChange, TzRelease, ZoneRules};
use serde::{Deserialize, Serialize};

/// The property.
pub const ZONE_RULES: &str = "lambdalake.zoneRules";

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    rules: Vec<StoredRules>,
    segments: Vec<StoredSegment>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct StoredRules {
    release: String,
    tzif: String,
}

#[derive(Serialize, Deserialize)]
struct StoredSegment {
    /// The first day; none in the first segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The place of the rules in the list.
    rules: usize,
}

/// The value of the property for the days of `calendar`.
pub fn text(calendar: &Calendar) -> String {
    let mut stored = Stored::default();
    stored.push(None, calendar.first_rules());
    for change in calendar.changes() {
        stored.push(Some(change.from.to_string()), &change.rules);
    }
    serde_json::to_string(&stored).expect("texts and numbers are JSON")
}

impl Stored {
    fn push(&mut self, from: Option<String>, rules: &ZoneRules) {
        let release = rules.release().as_str().to_owned();
        let rules = StoredRules { release, tzif: BASE64.encode(rules.tzif()) };
        let place = self.rules.iter().position(|held| *held == rules).unwrap_or_else(|| {
            self.rules.push(rules);
            self.rules.len() - 1
        });
        self.segments.push(StoredSegment { from, rules: place });
    }
}

/// The days that a value of the property describes, or what is wrong with it.
pub fn parse(text: &str) -> Result<Calendar, String> {
    let stored: Stored = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let rules = stored.rules.iter().map(|rules| {
        let tzif = BASE64.decode(&rules.tzif).map_err(|error| error.to_string())?;
        ZoneRules::from_tzif(TzRelease::new(&rules.release), &tzif).map_err(|e| e.to_string())
    });
    let rules = rules.collect::<Result<Vec<_>, String>>()?;
    let at = |place: usize| {
        rules.get(place).cloned().ok_or_else(|| format!("there are no rules at place {place}"))
    };
    let Some((StoredSegment { from: None, rules: first }, changes)) = stored.segments.split_first()
    else {
        return Err("the first segment is missing, or begins with a day".to_owned());
    };
    let changes = changes.iter().map(|segment| {
        let text = segment.from.as_deref().unwrap_or_default();
        let from = Day::parse(text).ok_or_else(|| format!("{text:?} is no date"))?;
        Ok(RulesChange { from, rules: at(segment.rules)? })
    });
    let changes = changes.collect::<Result<Vec<_>, String>>()?;
    Calendar::from_parts(at(*first)?, changes).map_err(|error| error.to_string())
}

/// The days by the rules that a table has at that version; none if it has no rules, as the tables of earlier releases.
///
/// # Errors
/// They can't be read, as those of a later release may be.
pub fn calendar_of(state: &TableState) -> Result<Option<Calendar>, LakeError> {
    let Some(text) = state.property(ZONE_RULES) else { return Ok(None) };
    parse(text).map(Some).map_err(|problem| {
        LakeError::Configuration(format!(
            "the table property {ZONE_RULES} can't be read: {problem}; use the release of lambdalake that wrote it, or a \
             later one"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn calendar() -> Calendar {
        let rules = |zone: &str| ZoneRules::bundled(zone).unwrap();
        let change =
            |from: &str, zone| RulesChange { from: Day::parse(from).unwrap(), rules: rules(zone) };
        let changes = vec![
            change("2024-06-10", "Asia/Almaty"),
            change("2030-01-01", "Asia/Omsk"),
            change("2030-01-05", "Asia/Almaty"),
        ];
        Calendar::from_parts(rules("Asia/Omsk"), changes).unwrap()
    }

    #[test]
    fn rules_survive_a_round_trip_and_are_written_once_each() {
        for calendar in [calendar(), Calendar::utc(), Calendar::new("Etc/GMT-3").unwrap()] {
            assert_eq!(parse(&text(&calendar)).unwrap(), calendar);
        }
        assert_eq!(text(&calendar()).matches("tzif").count(), 2);
    }

    #[test]
    fn what_is_wrong_with_a_value_is_said() {
        let good = text(&calendar());
        for (bad, problem) in [
            (String::new(), "EOF"),
            (good.replace("\"rules\":1", "\"rules\":9"), "place 9"),
            (good.replace("2024-06-10", "2031-01-01"), "2030-01-01"),
            (good.replace("2024-06-10", "June"), "\"June\" is no date"),
            (good.replace("VFppZ", "AAAAA"), "RFC 9636"),
            (good.replace("VFppZ", "?"), "symbol"),
            (good.replace("[{\"rules\":0},", "["), "first segment"),
        ] {
            let found = parse(&bad).unwrap_err();
            assert!(found.contains(problem), "{bad}: {found}");
        }
    }
}
