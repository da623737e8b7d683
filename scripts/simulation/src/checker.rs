//! The oracle: goes through every version of every table, and holds it against what was really produced.
//!
//! It shares no code with the product, and repeats its rules on purpose, so that a rule that is wrong there is not wrong
//! here: Delta logs are read as JSON, data files by `parquet`, days by `jiff`, and
//! payloads by the words of docs/contract.md. From the [`Truth`] it derives what each offset must have become
//! (`expected`, by `record` and `zone`); from the [`History`] it reads what the tables held at each version (`log`,
//! `files`). Then
//! - `storage` checks the logs as such: entries put once, files there for as long as they are needed, rows unchanged
//!   by compaction, offsets that never go back;
//! - `cuts` checks that losses by cuts of Kafka's log are on record;
//! - `zones` checks that days keep their bounds;
//! - `landing` checks rules 1 and 2, after every commit of the three tables that share the offsets;
//! - `provisional` checks rule 3 after every commit of `avg_speed`, for the windows that it touched;
//! - `finals` checks rules 4 to 7 for every commit that makes a day final, and at the end for every day;
//! - `runs` checks `batch_runs`.
//!
//! Rule 5 needs no check of its own: provisional and final figures are both held against the same exact arithmetic.

mod averages;
mod cuts;
mod expected;
mod files;
mod finals;
mod landing;
mod log;
mod provisional;
mod record;
mod rows;
mod runs;
mod storage;
#[cfg(test)]
mod tests;
mod violation;
mod zone;
mod zones;

pub use self::violation::Violation;

use self::expected::{Expected, Landed};
use self::files::Files;
use self::log::Log;
use self::zone::Zone;
use crate::truth::{History, Truth};

/// The tables, as the contract names them.
const EVENTS: &str = "events";
const DEAD_LETTERS: &str = "dead_letters";
const OFFSET_GAPS: &str = "offset_gaps";
const AVG_SPEED: &str = "avg_speed";
const BATCH_RUNS: &str = "batch_runs";

/// What the checks share.
struct Case<'a> {
    truth: &'a Truth,
    files: Files<'a>,
    landed: Landed,
    expected: Expected,
    /// The days by the rules of each process, and by those in force at the end.
    zones: Vec<Zone>,
    events: Log,
    dead_letters: Log,
    offset_gaps: Log,
    avg_speed: Log,
    batch_runs: Log,
}

impl Case<'_> {
    fn logs(&self) -> [&Log; 5] {
        [&self.events, &self.dead_letters, &self.offset_gaps, &self.avg_speed, &self.batch_runs]
    }

    /// The app id under which a partition's next offset is kept.
    fn app_id(&self, partition: i32) -> String {
        let settings = &self.truth.settings;
        format!("{}:{}:{partition}", settings.pipeline, settings.topic)
    }

    /// The partition whose next offset is kept under `app_id`.
    fn partition_of(&self, app_id: &str) -> Option<i32> {
        let settings = &self.truth.settings;
        let rest = app_id.strip_prefix(&format!("{}:{}:", settings.pipeline, settings.topic))?;
        rest.parse().ok()
    }
}

/// Everything in `history` that breaks the contract, given what really happened; the first things first.
pub fn check(truth: &Truth, history: &History) -> Vec<Violation> {
    match checked(truth, history) {
        Ok(violations) => violations,
        Err(unreadable) => vec![*unreadable],
    }
}

fn checked(truth: &Truth, history: &History) -> Result<Vec<Violation>, Box<Violation>> {
    let read = |table| Log::read(table, history);
    let (events, dead_letters) = (read(EVENTS)?, read(DEAD_LETTERS)?);
    let (offset_gaps, avg_speed, batch_runs) =
        (read(OFFSET_GAPS)?, read(AVG_SPEED)?, read(BATCH_RUNS)?);
    let files = Files::new(history);
    let landed = landing::landed_offsets(&files, [&events, &dead_letters, &offset_gaps])?;
    let settings = &truth.settings;
    let zone = zones::in_force(settings, &events)?;
    let mut zones = vec![zone.clone(), Zone::new(&settings.timezone)?];
    if let Some((_, later)) = settings.later_rules {
        zones.push(Zone::new(later)?);
    }
    let expected = Expected::of(truth, zone, &landed);
    let case = Case {
        truth,
        files,
        landed,
        expected,
        zones,
        events,
        dead_letters,
        offset_gaps,
        avg_speed,
        batch_runs,
    };
    let mut found = storage::check(&case)?;
    if found.is_empty() {
        found.extend(cuts::check(&case));
        found.extend(zones::check(&case)?);
        found.extend(landing::check(&case)?);
        found.extend(provisional::check(&case)?);
        let (finals, violations) = finals::check(&case)?;
        found.extend(violations);
        found.extend(runs::check(&case, &finals)?);
    }
    Ok(found)
}
