//! Loading a partition from the tables: where it continues, what is landed, and its open windows.
//!
//! # Crash consistency
//! `offset_gaps`, then `dead_letters`, are committed before `events`. After a crash in between, their rows
//! cover offsets that `events` does not reach yet; those are read back as covered, and the replay passes
//! them over, whatever it decodes them to: all other offsets land. That nobody adds to those rows since is what the
//! claims of [`crate::ownership`] make sure of. `events` and `avg_speed` may be at different offsets: the replay begins
//! at the lesser one, with the greatest event time stored beside it and the resets that lie ahead of it, and each table
//! passes over what it has.
//!
//! # Consistency
//! What the tables hold was read from one log. Where Kafka's log was cut below that and has grown again, going on would pass new
//! records over, or mix them with those of the old log. Kafka finds that out for the position that the replay begins at, by
//! the epoch stored beside it. Between that and the further table, records of a later leader than what is landed show it. That
//! the log ends before what is landed shows nothing where an epoch is known: a broker may lag behind for a while.

mod covered;
mod error;
mod held;

use lake_delta::read;
use lake_delta::{Lake, LakeError, TableLog};
use lake_model::resume::{self, Resume};
use lake_model::{KafkaPartition, Offset, OffsetRange, PartitionClock};
use lake_tables::Table;
use lake_tables::avg_speed;
use lake_tables::file_kind::{self, AvgSpeedFile};
use lake_tables::offset_gaps::GapReason;
use lake_tables::txn::CutBelowLanded;

pub use self::error::RecoveryError;
use self::held::Held;
use crate::clock::Clock;
use crate::landing::LandingBuffer;
use crate::ownership::Ownership;
use crate::partition::{Partition, Rules};
use crate::provisional::Provisional;
use crate::source::AssignedPartition;
use crate::tables::{Tables, WRITTEN};
use crate::truncation;

/// Loads `assigned` as the tables have it, which are refreshed and whose mixed files are split.
pub async fn load(
    lake: &Lake,
    tables: &Tables,
    assigned: AssignedPartition,
    epoch: u64,
    accept_loss: bool,
    rules: &Rules,
) -> Result<Partition, RecoveryError> {
    let id = assigned.partition;
    let is_accepted = truncation::accepted(&tables.events, &tables.app_ids, id).is_some();
    let verdict = truncation::news(assigned.truncation, &tables.events, &tables.app_ids, id);
    let held = Held::read(id, tables, lake).await?;
    let cut = verdict.filter(|_| !is_accepted).and_then(|cut| held.below_landed(cut));
    let (stored, averages) = (held.stored(), held.averages);
    let resume = resume::decide(held.facts(assigned, cut.is_some(), is_accepted, accept_loss));
    let is_one_log = !is_accepted && !matches!(resume, Resume::AfterLoss { .. });
    let held_under = held.held_under().filter(|_| is_one_log).collect();
    let truncated = |wanted| truncated(wanted, cut, assigned, tables.app_ids.topic());
    let mut landing = LandingBuffer::resumed(held.into_landed(tables));
    let position = start(id, resume, &mut landing, truncated)?;
    let resets = tables.app_ids.watermark_resets(tables.events.state(), id);
    let clock_at =
        |next: Option<Offset>, time| Clock::resumed(next.unwrap_or(Offset::ZERO), time, &resets);
    // Whatever a reset ahead opens again has to be there by then.
    let earliest = clock_at(averages.next_offset, averages.max_event_time).earliest();
    let provisional = open_windows(lake, &tables.avg_speed, id, earliest, rules).await?;
    let clock = clock_at(stored.next_offset, stored.max_event_time);
    let epoch_in = |table| tables.app_ids.owner_epoch(tables.log(table).state(), id);
    let ownership = Ownership::after(&WRITTEN.map(|table| (table, epoch_in(table))).into());
    // An epoch that is stored beside the position of an accepted cut is of the log before, and so is that of averages that are
    // still where the cut left them.
    let is_after_cuts =
        truncation::newest(&tables.events, &tables.app_ids, id).is_none_or(|accepted| {
            position > accepted.cut.position && !accepted.cut.has_left_averages_at(position)
        });
    let of_position = stored.leader_epoch.filter(|_| is_one_log && is_after_cuts);
    let averaged = averages.next_offset;
    Ok(Partition::new(id, epoch, position, clock, landing, provisional, averaged)
        .with_leader_epochs(of_position, held_under)
        .owned(ownership))
}

/// Why a partition can't be continued at `wanted`, before which its log was cut or ends.
fn truncated(
    wanted: Offset,
    cut: Option<CutBelowLanded>,
    assigned: AssignedPartition,
    topic: &str,
) -> RecoveryError {
    let (topic, AssignedPartition { partition, high: end, .. }) = (topic.to_owned(), assigned);
    match cut {
        Some(cut) => RecoveryError::Truncated { topic, wanted, cut },
        None => RecoveryError::Shorter { topic, partition, wanted, end },
    }
}

/// Where consuming begins, with what is gone noted as gaps.
fn start(
    partition: KafkaPartition,
    resume: Resume,
    landing: &mut LandingBuffer,
    truncated: impl FnOnce(Offset) -> RecoveryError,
) -> Result<Offset, RecoveryError> {
    match resume {
        Resume::At(offset) => Ok(offset),
        Resume::First(offset) => {
            landing.push_gap(OffsetRange::new(Offset::ZERO, offset), GapReason::BeforeStart);
            Ok(offset)
        }
        Resume::AfterLoss { at, lost } => {
            tracing::warn!(
                partition = partition.0,
                first = lost.first.0,
                next = lost.next.0,
                "records are lost, as accepted"
            );
            landing.push_gap(lost, GapReason::AcceptedLoss);
            Ok(at)
        }
        Resume::Gone { wanted, available } => {
            Err(RecoveryError::Gone { partition, wanted, available })
        }
        Resume::Truncated { wanted } => Err(truncated(wanted)),
    }
}

/// Reads back the windows that are open by `clock`.
async fn open_windows(
    lake: &Lake,
    log: &TableLog,
    partition: KafkaPartition,
    clock: PartitionClock,
    rules: &Rules,
) -> Result<Provisional, LakeError> {
    let mut provisional = Provisional::default();
    for file in log.state().files() {
        let group = match AvgSpeedFile::of(file, &rules.calendar) {
            AvgSpeedFile::Provisional(group) => group,
            AvgSpeedFile::Mixed => return Err(file_kind::mixed_file(file)),
            AvgSpeedFile::Final { .. } => continue,
        };
        let span = rules.calendar.span(group.day);
        let end = group.windows.end(&span);
        if group.kafka_partition != partition || clock.has_closed(end, rules.lateness) {
            continue;
        }
        let rows = read::collect(lake, Table::AvgSpeed, [file], &[], avg_speed::rows).await?;
        for row in rows {
            provisional.restore(&span, &group, &row);
        }
    }
    Ok(provisional)
}
