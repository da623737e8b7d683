//! Days keep the bounds that they were first written with, whichever release of the time-zone database processes have.
//!
//! The rules in force at the end judge every row: rows that were written by others stand out by their days and windows. Here
//! it is checked that no change of the rules moved a day that had rows or had begun.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::log::{Log, Version};
use super::violation::Violation;
use super::zone::Zone;
use super::{Case, EVENTS};
use crate::truth::TrueSettings;

/// The days of the pipeline by the rules in force at the end of a run whose `events` these are.
pub(super) fn in_force(settings: &TrueSettings, events: &Log) -> Result<Zone, Box<Violation>> {
    let newest = events.versions.iter().rev().find_map(|version| version.zone_rules.as_ref());
    match newest {
        Some(text) => read(settings, text),
        None => Zone::new(&settings.timezone),
    }
}

fn read(settings: &TrueSettings, text: &str) -> Result<Zone, Box<Violation>> {
    let zone_of = |release: &str| match settings.later_rules {
        Some((later, zone)) if later == release => Some(zone.to_owned()),
        _ => Some(settings.timezone.clone()),
    };
    let unreadable = || Violation::unreadable(EVENTS, "rules of the time zone", text);
    Zone::of_property(text, &zone_of).ok_or_else(unreadable)
}

pub(super) fn check(case: &Case<'_>) -> Result<Vec<Violation>, Box<Violation>> {
    let settings = &case.truth.settings;
    let mut found = Vec::new();
    let mut zone: Option<Zone> = None;
    for version in &case.events.versions {
        let Some(text) = &version.zone_rules else { continue };
        let newer = read(settings, text)?;
        if let Some(older) = zone.replace(newer.clone()) {
            let days = settled(case, version, &older);
            if let Some(day) =
                days.iter().find(|day| older.bounds_of(**day) != newer.bounds_of(**day))
            {
                let place = format!("day {day}");
                let expected = "a day with rows, or one that has begun, to keep its bounds";
                let problem =
                    format!("{:?} after {:?}", newer.bounds_of(*day), older.bounds_of(*day));
                found.push(Violation::at("days", EVENTS, version.number, place, expected, problem));
            }
        }
    }
    Ok(found)
}

/// The days that have rows before that version, or have begun.
fn settled(case: &Case<'_>, version: &Version, zone: &Zone) -> BTreeSet<Date> {
    let rows = [&case.events, &case.avg_speed].into_iter().flat_map(|log| {
        let state = log.state_at(log.newest_before(version.sequence));
        state.files.into_values().filter_map(|file| file.day).collect::<Vec<_>>()
    });
    rows.chain([zone.day_of(version.at_us)]).collect()
}
