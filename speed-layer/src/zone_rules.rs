//! Keeping the rules of the time zone in the tables: writing them once, and adding newer ones from a day on.
//!
//! The rules in force are those in the property of `events`, which every program reads. A program whose own time-zone
//! database is newer adds its rules, from a day on that is well ahead; days with data keep theirs (`Calendar::update`).
//!
//! # Consistency
//! A day's bounds must not change once a table has rows of it, and both `events` and `avg_speed` are written meanwhile. So
//! newer rules are *announced* in `avg_speed` first: from that commit on no work is committed there for a day whose bounds
//! would change ([`crate::publish`] checks it). Then they are put into force in `events`, on exactly a version in which no
//! day has rows whose bounds change, nor has begun. If there is one, the announcement is changed first, so that this day keeps
//! its bounds. Nobody uses announced rules, so nothing has been built on them. Whoever held work for a day whose bounds
//! changed is fenced, and loads its partitions anew by the rules in force.
//!
//! Rules of an older database are never added, so of programs with different databases the newest prevails and none takes
//! anything back.
//!
//! # Crash consistency
//! Rules that are announced and not in force are put into force by whoever opens the tables next, or is fenced by them. That
//! may be days later: days that have begun by then keep their bounds.

use std::collections::BTreeSet;

use lake_delta::{LakeError, TableLog, TableState};
use lake_model::calendar::{Calendar, Day, RulesUpdate, ZoneRules};
use lake_tables::Table;
use lake_tables::zone_rules::{ZONE_RULES, calendar_of, text};

use crate::tables::Tables;

/// How often other writers may be faster before it is an error.
const MOST_TRIES: u32 = 20;

/// Puts the rules into force that are announced, and adds `own` where they are newer than those in force.
///
/// # Errors
/// The tables can't be read or committed to, or other writers were faster each time.
pub(crate) async fn bring_up_to_date(
    tables: &mut Tables,
    batch_runs: &mut TableLog,
    own: &ZoneRules,
) -> Result<(), LakeError> {
    settle(tables, Some(own)).await?;
    let Tables { events, dead_letters, offset_gaps, .. } = tables;
    let in_force = events.state().property(ZONE_RULES);
    // For readers: nothing is decided by them.
    for log in [dead_letters, offset_gaps, batch_runs] {
        log.change_properties(|state| {
            let value = in_force.filter(|value| state.property(ZONE_RULES) != Some(value));
            value.map(|value| (ZONE_RULES.to_owned(), value.to_owned())).into_iter().collect()
        })
        .await?;
    }
    Ok(())
}

/// Puts the rules into force that are announced, if there are any. The tables are followed to their newest versions.
///
/// # Errors
/// As [`bring_up_to_date`].
pub(crate) async fn put_into_force(tables: &mut Tables) -> Result<(), LakeError> {
    settle(tables, None).await
}

/// Whether any of `days` has other bounds at `state`, which is that of `events` or `avg_speed`, than in `calendar`.
///
/// # Errors
/// The rules in the log can't be read.
pub(crate) fn has_other_bounds(
    state: &TableState,
    calendar: &Calendar,
    days: impl IntoIterator<Item = Day>,
) -> Result<bool, LakeError> {
    Ok(calendar_of(state)?.is_some_and(|found| !found.agrees_on(days, calendar)))
}

async fn settle(tables: &mut Tables, own: Option<&ZoneRules>) -> Result<(), LakeError> {
    for _ in 0..MOST_TRIES {
        tables.refresh().await?;
        let in_force = calendar_of(tables.events.state())?;
        let (log, calendar) = match next_step(tables, own)? {
            Step::None => return Ok(()),
            Step::Announce(calendar) => (&mut tables.avg_speed, calendar),
            Step::PutIntoForce(calendar) => (&mut tables.events, calendar),
        };
        write(log, &calendar, in_force.as_ref()).await?;
    }
    Err(LakeError::Overtaken { table: Table::Events.as_str(), tries: MOST_TRIES })
}

/// What is to be done next about the rules.
#[derive(Debug, PartialEq)]
enum Step {
    None,
    Announce(Calendar),
    PutIntoForce(Calendar),
}

fn next_step(tables: &Tables, own: Option<&ZoneRules>) -> Result<Step, LakeError> {
    let (events, avg_speed) = (tables.events.state(), tables.avg_speed.state());
    Ok(match (calendar_of(events)?, calendar_of(avg_speed)?) {
        (Some(in_force), Some(announced)) if in_force == announced => match own {
            Some(own) => addition(tables, &in_force, own),
            None => Step::None,
        },
        (Some(in_force), Some(announced)) => {
            let mut days = days_of(events);
            days.extend(in_force.settled_days(&announced, tables.events.lake().now()));
            if announced.agrees_on(days.iter().copied(), &in_force) {
                Step::PutIntoForce(announced)
            } else {
                Step::Announce(announced.keeping(&in_force, &days))
            }
        }
        (None, Some(announced)) => Step::PutIntoForce(announced),
        (Some(in_force), None) => Step::Announce(in_force),
        (None, None) => own.map_or(Step::None, |own| Step::Announce(Calendar::of(own.clone()))),
    })
}

/// What `own` rules add to those in force.
fn addition(tables: &Tables, in_force: &Calendar, own: &ZoneRules) -> Step {
    let logs = [&tables.events, &tables.avg_speed, &tables.dead_letters];
    let days = logs.iter().flat_map(|log| days_of(log.state())).collect();
    let release = own.release();
    match in_force.update(own, tables.events.lake().now(), &days) {
        RulesUpdate::Nothing => Step::None,
        RulesUpdate::PastDays => {
            tracing::info!(
                %release,
                "the rules of the time zone were corrected for past days, which keep their bounds"
            );
            Step::None
        }
        RulesUpdate::From { day, calendar } => {
            tracing::warn!(
                %release,
                from = %day,
                "the rules of the time zone have changed: days begin by the new ones from that day on, and days with \
                 data keep their bounds"
            );
            Step::Announce(calendar)
        }
    }
}

/// Writes the rules of `calendar` into a table, in the place of those that its log was followed to. Nothing is written if
/// another writer has changed them meanwhile, or has written rows of a day that had other bounds by the rules in force.
async fn write(
    log: &mut TableLog,
    calendar: &Calendar,
    in_force: Option<&Calendar>,
) -> Result<(), LakeError> {
    let property = |state: &TableState| state.property(ZONE_RULES).map(str::to_owned);
    let (before, value) = (property(log.state()), text(calendar));
    log.change_properties(|state| {
        let keeps_bounds = in_force.is_none_or(|rules| rules.agrees_on(days_of(state), calendar));
        let is_to_change = keeps_bounds && property(state) == before;
        is_to_change.then(|| (ZONE_RULES.to_owned(), value.clone())).into_iter().collect()
    })
    .await
}

fn days_of(state: &TableState) -> BTreeSet<Day> {
    state.files().filter_map(|file| file.partition).collect()
}

#[cfg(test)]
mod tests;
