//! Whether everything that Kafka holds of the topic has landed, or lands in time.
//!
//! The tables alone can't show it: a partition that nobody lands is not in them. That is so where another lake has the
//! partition by sharing the consumer group, or where no speed layer runs.
//!
//! # Consistency
//! The offsets of `events` are read before Kafka is asked and again after. What was landed before lies in a log that nobody
//! has cut; what Kafka has then and is not landed after is missing. Records that come meanwhile are never counted as missing
//! for longer than the lag that is allowed.

use std::time::Duration;

use lake_delta::{LakeError, TableState};
use lake_kafka::{LogEnds, LogTimes, PartitionExtent};
use lake_model::{KafkaPartition, Offset, OffsetRange};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;

use super::report::{ComparedPartition, KafkaComparison};
use crate::context::Context;
use crate::error::BatchError;

/// Whether Kafka is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaUse {
    /// Where it can be reached; otherwise the report says why not.
    Auto,
    /// It is an error if it can't be reached.
    Require,
    /// No.
    Skip,
}

/// What of Kafka is compared with the lake.
#[derive(Clone, Copy, Debug)]
pub struct KafkaOptions {
    /// Whether it is asked.
    pub kafka: KafkaUse,
    /// For how long Kafka may hold a record, by the record's own timestamp, before it has to have landed.
    pub max_lag: Duration,
}

/// What was compared, and what is wrong.
pub(super) type Compared = (KafkaComparison, Vec<String>);

/// Compares the lake with Kafka.
///
/// # Errors
/// The table `events` can't be read, or Kafka is required and can't be asked.
pub(super) async fn compare(
    context: &Context,
    kafka: &(impl LogEnds + LogTimes),
    options: &KafkaOptions,
) -> Result<Compared, BatchError> {
    if options.kafka == KafkaUse::Skip {
        return Ok((KafkaComparison::Skipped, Vec::new()));
    }
    match ask(context, kafka, options).await {
        Err(BatchError::Kafka(error)) if error.is_missing_topic() => {
            let problem =
                format!("{error}; a lake whose topic is gone is audited with --kafka skip");
            Ok((KafkaComparison::Differs, vec![problem]))
        }
        Err(BatchError::Kafka(error)) if options.kafka == KafkaUse::Auto => {
            Ok((KafkaComparison::NotReached { reason: error.to_string() }, Vec::new()))
        }
        result => result,
    }
}

async fn ask(
    context: &Context,
    kafka: &(impl LogEnds + LogTimes),
    options: &KafkaOptions,
) -> Result<Compared, BatchError> {
    let mut events = context.open(Table::Events).await?;
    let (before, asked_at) = (events.state().clone(), context.now());
    let topic = match context.topic(kafka, &events).await {
        Ok(topic) => topic,
        Err(BatchError::Lake(LakeError::Configuration(problem))) => {
            return Ok((KafkaComparison::Differs, vec![problem]));
        }
        Err(error) => return Err(error),
    };
    let max_lag_us = i64::try_from(options.max_lag.as_micros()).unwrap_or(i64::MAX);
    let due = asked_at.saturating_add(max_lag_us.saturating_neg());
    let recent = kafka.first_since(due, topic.partitions.keys().copied().collect()).await?;
    events.refresh().await?;
    let group =
        LakeIdentity::of(&context.settings).consumer_group(&context.settings.kafka, events.state());
    let (mut partitions, mut problems) = (Vec::new(), Vec::new());
    for (id, extent) in &topic.partitions {
        let landed = |state: &TableState| {
            context.app_ids.progress(state, *id).next_offset.unwrap_or(Offset::ZERO)
        };
        let due_before =
            recent.get(id).map_or(extent.stable.next, |at| extent.stable.next.min(*at));
        let facts = Facts {
            extent: *extent,
            landed_before: landed(&before),
            landed: landed(events.state()),
            due_before,
            accepted_position: accepted_position(context, events.state(), *id),
        };
        problems.extend(
            facts.findings().iter().map(|finding| {
                format!("partition {id}: {}", finding.text(options.max_lag, &group))
            }),
        );
        partitions.push(ComparedPartition {
            partition: *id,
            first_offset: extent.stable.first,
            end: extent.stable.next,
            landed: facts.landed,
            overdue: due_before.since(facts.landed).max(0),
        });
    }
    let max_lag_s = options.max_lag.as_secs();
    Ok((KafkaComparison::Compared { max_lag_s, partitions }, problems))
}

/// Up to where a cut of Kafka's log was accepted.
fn accepted_position(context: &Context, events: &TableState, id: KafkaPartition) -> Option<Offset> {
    let cuts = context.app_ids.accepted_truncations(events, id);
    cuts.into_iter().map(|accepted| accepted.cut.position).max()
}

/// What is known of a partition.
#[derive(Clone, Copy, Debug)]
struct Facts {
    extent: PartitionExtent,
    /// The next offset of `events` before Kafka was asked, and after.
    landed_before: Offset,
    landed: Offset,
    /// What lies before it has to have landed.
    due_before: Offset,
    accepted_position: Option<Offset>,
}

/// What is wrong with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// Kafka holds this, and nothing of the partition has ever landed.
    NeverLanded(OffsetRange),
    /// Kafka has deleted this before it landed.
    Gone(OffsetRange),
    /// Kafka has held this for too long.
    Overdue(OffsetRange),
    /// Kafka's log ends here, below what has landed.
    Cut { end: Offset, landed: Offset },
}

impl Facts {
    fn findings(&self) -> Vec<Finding> {
        let Facts { extent, landed_before, landed, due_before, accepted_position } = *self;
        let OffsetRange { first, next } = extent.stable;
        let is_accepted = accepted_position.is_some_and(|position| position >= landed_before);
        let mut found = Vec::new();
        if landed_before > extent.high_watermark && !is_accepted {
            found.push(Finding::Cut { end: extent.high_watermark, landed: landed_before });
        }
        if landed == Offset::ZERO {
            if first < next {
                found.push(Finding::NeverLanded(extent.stable));
            }
            return found;
        }
        if landed < first {
            found.push(Finding::Gone(OffsetRange::new(landed, first)));
        }
        let overdue = OffsetRange::new(landed.max(first), due_before);
        if overdue.first < overdue.next {
            found.push(Finding::Overdue(overdue));
        }
        found
    }
}

impl Finding {
    fn text(&self, max_lag: Duration, group: &str) -> String {
        let remedy = format!(
            "see that `speed-layer run` runs and catches up, and that no other lake has its consumer group {group:?}"
        );
        match self {
            Finding::NeverLanded(OffsetRange { first, next }) => format!(
                "Kafka holds offsets [{first}, {next}), and nothing of the partition has landed; {remedy}"
            ),
            Finding::Gone(OffsetRange { first, next }) => format!(
                "offsets [{first}, {next}) are gone from Kafka and have not landed; see that `speed-layer run` runs, and \
                 that the topic's retention is longer than it is ever down"
            ),
            Finding::Overdue(OffsetRange { first, next }) => format!(
                "offsets [{first}, {next}) are older than {} and have not landed; {remedy}, or allow more with --max-lag",
                humantime::format_duration(max_lag)
            ),
            Finding::Cut { end, landed } => format!(
                "Kafka's log ends at offset {end}, and offsets up to {landed} have landed: it was cut, or the topic is \
                 another one"
            ),
        }
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    /// A partition of which Kafka has this, of which `landed` is landed and what is before `due_before` must be.
    fn facts(stable: (i64, i64), landed: i64, due_before: i64) -> Facts {
        let stable = OffsetRange::new(Offset(stable.0), Offset(stable.1));
        Facts {
            extent: PartitionExtent::all_stable(stable),
            landed_before: Offset(landed),
            landed: Offset(landed),
            due_before: Offset(due_before),
            accepted_position: None,
        }
    }

    fn range(first: i64, next: i64) -> OffsetRange {
        OffsetRange::new(Offset(first), Offset(next))
    }

    #[test]
    fn a_partition_that_is_landed_or_within_the_allowed_lag_is_in_order() {
        for (landed, due_before) in [(10, 10), (10, 3), (4, 4), (7, 3)] {
            assert_eq!(facts((0, 10), landed, due_before).findings(), [], "{landed} {due_before}");
        }
        assert_eq!(facts((0, 0), 0, 0).findings(), []);
        assert_eq!(facts((8, 8), 0, 8).findings(), [], "nothing is left to land");
    }

    #[test]
    fn a_partition_of_which_nothing_has_landed_is_found_however_young_its_records() {
        assert_eq!(facts((0, 10), 0, 0).findings(), [Finding::NeverLanded(range(0, 10))]);
    }

    #[test]
    fn records_that_are_due_and_not_landed_are_found() {
        assert_eq!(facts((0, 10), 4, 6).findings(), [Finding::Overdue(range(4, 6))]);
    }

    #[test]
    fn records_that_kafka_deleted_before_they_landed_are_found() {
        assert_eq!(facts((7, 10), 4, 4).findings(), [Finding::Gone(range(4, 7))]);
        let both = [Finding::Gone(range(4, 7)), Finding::Overdue(range(7, 10))];
        assert_eq!(facts((7, 10), 4, 10).findings(), both);
    }

    #[test]
    fn a_log_that_ends_below_what_was_landed_is_found_unless_that_was_accepted() {
        let cut = facts((0, 10), 12, 10);
        assert_eq!(cut.findings(), [Finding::Cut { end: Offset(10), landed: Offset(12) }]);
        let accepted = Facts { accepted_position: Some(Offset(12)), ..cut };
        assert_eq!(accepted.findings(), []);
        let again = Facts { accepted_position: Some(Offset(11)), ..cut };
        assert_eq!(again.findings().len(), 1);
    }

    #[test]
    fn what_landed_while_kafka_was_asked_is_no_cut() {
        let meanwhile = Facts { landed_before: Offset(9), ..facts((0, 10), 12, 10) };
        assert_eq!(meanwhile.findings(), []);
    }
}
