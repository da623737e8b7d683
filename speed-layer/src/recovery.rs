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

use arrow::array::RecordBatch;
use lake_delta::columns::{self, ColumnError};
use lake_delta::log::FileEntry;
use lake_delta::read;
use lake_delta::{Lake, LakeError, TableLog};
use lake_model::resume::{self, Resume, ResumeFacts};
use lake_model::{KafkaPartition, Offset, OffsetRange, OffsetRanges, PartitionClock};
use lake_tables::Table;
use lake_tables::file_kind::{self, AvgSpeedFile};
use lake_tables::offset_gaps::GapReason;
use lake_tables::txn::PartitionProgress;
use lake_tables::{avg_speed, offset_gaps};

use crate::clock::Clock;
use crate::landing::{Landed, LandingBuffer};
use crate::ownership::Ownership;
use crate::partition::{Partition, Rules};
use crate::provisional::Provisional;
use crate::source::AssignedPartition;
use crate::tables::{Tables, WRITTEN};
use crate::truncation;

/// Why a partition can't be continued.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The tables can't be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Kafka no longer has the offset wanted.
    #[error(
        "partition {partition}: offset {wanted} is wanted and {available} is the first that Kafka still has: \
         {lost} records are lost; set kafka.on_data_loss = \"accept\" to go on and record the loss in \
         offset_gaps",
        lost = available.since(*wanted)
    )]
    Gone {
        /// The partition.
        partition: KafkaPartition,
        /// The offset that the tables continue at.
        wanted: Offset,
        /// The first offset that Kafka has.
        available: Offset,
    },
    /// The partition's log is not the one that was landed.
    #[error(
        "topic {topic}, partition {partition}: Kafka's log was truncated below what is landed, by an unclean leader election, \
         or the topic was recreated: {lost} are landed and no longer in Kafka, and new records under these offsets can't \
         be read any more; set kafka.on_data_loss = \"accept\" to go on at offset {wanted} and record that in events, or \
         use another lake.uri or kafka.topic for a new topic",
        lost = match end {
            Some(end) => format!("offsets {end} to {}", wanted.0 - 1),
            None => format!("offsets before {wanted}"),
        }
    )]
    Truncated {
        /// The topic.
        topic: String,
        /// The partition.
        partition: KafkaPartition,
        /// The next offset that the tables hold.
        wanted: Offset,
        /// Where the log that was landed ends, as far as Kafka knows.
        end: Option<Offset>,
    },
    /// The partition ends before what is landed, and no leader epoch says whose log that is.
    #[error(
        "topic {topic}, partition {partition}: offset {wanted} is wanted and the partition ends at {end}: the topic was \
         recreated or truncated, and since no leader epoch is stored beside that offset it can't be told which; use another \
         lake.uri or kafka.topic for the new topic"
    )]
    Shorter {
        /// The topic.
        topic: String,
        /// The partition.
        partition: KafkaPartition,
        /// The next offset that the tables hold.
        wanted: Offset,
        /// The partition's end.
        end: Offset,
    },
}

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
    let of = |log: &TableLog| tables.app_ids.progress(log.state(), id);
    let (events, averages) = (of(&tables.events), of(&tables.avg_speed));
    let is_accepted = truncation::accepted(&tables.events, &tables.app_ids, id).is_some();
    let verdict = truncation::news(assigned.truncation, &tables.events, &tables.app_ids, id);
    let assigned = AssignedPartition { truncation: verdict, ..assigned };
    let stored = lesser(events, averages);
    let mut landing = LandingBuffer::resumed(Landed {
        events: events.next_offset,
        dead_letters: of(&tables.dead_letters).next_offset,
        offset_gaps: of(&tables.offset_gaps).next_offset,
        covered: covered(lake, tables, id, stored.next_offset.unwrap_or(Offset::ZERO)).await?,
    });
    let cut = assigned.truncation.filter(|_| !is_accepted);
    let facts = ResumeFacts {
        stored: stored.next_offset,
        furthest: events.next_offset.max(averages.next_offset),
        low: assigned.low,
        high: assigned.high,
        is_validated: is_accepted || further(events, averages).leader_epoch.is_some(),
        cut_before: cut.map(|cut| cut.position),
        cut_at: cut.and_then(|cut| cut.end),
        accept_loss,
    };
    let truncated = |wanted| truncated(assigned, wanted, tables.app_ids.topic());
    let position = start(id, resume::decide(facts), &mut landing, truncated)?;
    let resets = tables.app_ids.watermark_resets(tables.events.state(), id);
    let clock_at =
        |next: Option<Offset>, time| Clock::resumed(next.unwrap_or(Offset::ZERO), time, &resets);
    // Whatever a reset ahead opens again has to be there by then.
    let earliest = clock_at(averages.next_offset, averages.max_event_time).earliest();
    let provisional = open_windows(lake, &tables.avg_speed, id, earliest, rules).await?;
    let clock = clock_at(stored.next_offset, stored.max_event_time);
    let epoch_in = |table| tables.app_ids.owner_epoch(tables.log(table).state(), id);
    let ownership = Ownership::after(&WRITTEN.map(|table| (table, epoch_in(table))).into());
    // A table without an offset has nothing of another log.
    let is_one_log = !is_accepted && stored.next_offset.is_none_or(|next| next == position);
    // An epoch that is stored beside the position of an accepted cut is of the log before.
    let is_after_cuts = truncation::newest(&tables.events, &tables.app_ids, id)
        .is_none_or(|cut| position > cut.position);
    let of_position = stored.leader_epoch.filter(|_| is_one_log && is_after_cuts);
    // Epochs only grow along a log: a table that is further with a lesser one was left there by a cut.
    let is_of_log_before = |held: PartitionProgress| {
        [events, averages].iter().any(|other| {
            other.next_offset < held.next_offset && other.leader_epoch > held.leader_epoch
        })
    };
    let held_under = [events, averages].map(|held| {
        let is_known = is_one_log && !is_of_log_before(held);
        held.next_offset.zip(held.leader_epoch).filter(|_| is_known)
    });
    let averaged = averages.next_offset;
    Ok(Partition::new(id, epoch, position, clock, landing, provisional, averaged)
        .with_leader_epochs(of_position, held_under)
        .owned(ownership))
}

/// The progress that a replay begins at.
fn lesser(events: PartitionProgress, averages: PartitionProgress) -> PartitionProgress {
    if events.next_offset <= averages.next_offset { events } else { averages }
}

/// The progress of the table that is further.
fn further(events: PartitionProgress, averages: PartitionProgress) -> PartitionProgress {
    if events.next_offset >= averages.next_offset { events } else { averages }
}

/// Why a partition can't be continued at `wanted`, before which its log is another one or ends.
fn truncated(assigned: AssignedPartition, wanted: Offset, topic: &str) -> RecoveryError {
    let (topic, partition) = (topic.to_owned(), assigned.partition);
    match assigned.truncation {
        Some(cut) => RecoveryError::Truncated { topic, partition, wanted, end: cut.end },
        None => RecoveryError::Shorter { topic, partition, wanted, end: assigned.high },
    }
}

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

/// Offsets from `next` on that `dead_letters` or `offset_gaps` cover already. Gaps that had records when `events` was
/// committed are not among them: a replay judges lateness by these records, as it was judged then. Only files are read whose statistics leave
/// open whether they hold such offsets: few, since whoever commits to those tables commits to `events` right after.
async fn covered(
    lake: &Lake,
    tables: &Tables,
    partition: KafkaPartition,
    next: Offset,
) -> Result<OffsetRanges, LakeError> {
    let mut covered = OffsetRanges::default();
    let of = |table, last_column| {
        let log = tables.log(table);
        let reaches = tables.app_ids.progress(log.state(), partition).next_offset;
        let is_ahead = reaches.is_some_and(|reaches| reaches > next);
        let may_hold = move |file: &&FileEntry| {
            is_ahead
                && may_hold(file, "kafka_partition", |least, greatest| {
                    least <= i64::from(partition.0) && i64::from(partition.0) <= greatest
                })
                && may_hold(file, last_column, |_, greatest| greatest >= next.0)
        };
        log.state().files().filter(may_hold)
    };
    let (table, columns) = (Table::DeadLetters, ["kafka_partition", "kafka_offset"]);
    let files = of(table, "kafka_offset");
    for (id, at) in read::collect(lake, table, files, &columns, lake_tables::offsets).await? {
        if id == partition && at >= next {
            covered.insert(OffsetRange::single(at));
        }
    }
    let files = of(Table::OffsetGaps, "next_offset");
    let landed = tables.app_ids.progress(tables.events.state(), partition).next_offset;
    for (id, range, had_records) in read::collect(lake, Table::OffsetGaps, files, &[], gaps).await?
    {
        let next = if had_records { landed.map_or(next, |landed| next.max(landed)) } else { next };
        if id == partition {
            covered.insert(OffsetRange::new(range.first.max(next), range.next));
        }
    }
    Ok(covered)
}

/// The gaps of a batch, with whether they had records.
fn gaps(batch: &RecordBatch) -> Result<Vec<(KafkaPartition, OffsetRange, bool)>, ColumnError> {
    let reasons = columns::string(batch, "reason")?;
    let ranges = offset_gaps::ranges(batch)?.into_iter().enumerate();
    let had_records = |row| GapReason::had_records(reasons.value(row));
    Ok(ranges.map(|(row, (id, range))| (id, range, had_records(row))).collect())
}

/// Whether rows of `file` may have values of `column` as asked for, by the least and the greatest of them.
fn may_hold(file: &FileEntry, column: &str, is_asked_for: impl Fn(i64, i64) -> bool) -> bool {
    let bounds = file.bounds(column);
    let bounds = bounds.and_then(|(least, greatest)| least.as_i64().zip(greatest.as_i64()));
    bounds.is_none_or(|(least, greatest)| is_asked_for(least, greatest))
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
