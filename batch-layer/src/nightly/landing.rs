//! Waiting until `events` reaches the offsets that a run needs.
//!
//! A run needs every record that Kafka held when it began, those of open transactions too: whoever reads committed records
//! sees none of them, nor any record after them, before the transaction ends. A transaction that never ends would
//! otherwise keep records out of days that are made final, with no lag to be seen.

use std::collections::BTreeMap;
use std::time::Duration;

use lake_delta::{LakeError, TableLog, TableState};
use lake_kafka::TopicExtent;
use lake_model::{KafkaPartition, Offset};
use lake_runtime::Shutdown;
use lake_tables::txn::AppIds;
use tokio::time::{Instant, sleep};

/// What became of the wait.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LandingWait {
    /// Every partition is there.
    Reached,
    /// The time is up.
    TimedOut(Vec<Shortfall>),
    /// The run was asked to stop.
    Stopped,
}

/// A partition whose records have not all landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shortfall {
    pub(super) partition: KafkaPartition,
    /// The next offset that `events` holds.
    pub(super) landed: Offset,
    /// The next offset that it must hold.
    pub(super) wanted: Offset,
}

impl LandingWait {
    /// Why it is not reached.
    pub(super) fn reason(&self) -> String {
        match self {
            LandingWait::Reached => String::new(),
            LandingWait::Stopped => "the run was asked to stop".to_owned(),
            LandingWait::TimedOut(missing) => format!(
                "not everything has landed: {}; see that `speed-layer run` is running and catches up, or \
                 wait longer with --wait",
                describe(missing)
            ),
        }
    }
}

impl LandingWait {
    /// Why it is not reached, where `topic` is what Kafka has now.
    pub(super) fn reason_on(&self, topic: &TopicExtent) -> String {
        let held_back = match self {
            LandingWait::TimedOut(missing) => missing.iter().any(|short| {
                let extent = topic.partitions.get(&short.partition);
                extent.is_some_and(|extent| extent.stable.next < short.wanted)
            }),
            LandingWait::Reached | LandingWait::Stopped => false,
        };
        let reason = self.reason();
        if held_back {
            format!("{reason}; {}", open_transactions(topic).join("; "))
        } else {
            reason
        }
    }
}

/// The end of all records of each partition.
pub(super) fn everything(topic: &TopicExtent) -> BTreeMap<KafkaPartition, Offset> {
    topic.partitions.iter().map(|(id, extent)| (*id, extent.high_watermark)).collect()
}

/// Says which partitions have open transactions, for the log.
pub(super) fn warn_of_open_transactions(topic: &TopicExtent) {
    for open in open_transactions(topic) {
        tracing::warn!("{open}");
    }
}

/// What is open in which partition, and what to do about it.
fn open_transactions(topic: &TopicExtent) -> Vec<String> {
    let open = topic.partitions.iter().filter(|(_, extent)| extent.is_held_back());
    let each = open.map(|(partition, extent)| {
        format!(
            "in partition {partition} a transaction is open since offset {}, which holds back the {} records up to \
             offset {}; where it does not end by itself, find it with `kafka-transactions.sh find-hanging` and end it \
             with `kafka-transactions.sh abort`",
            extent.stable.next,
            extent.high_watermark.since(extent.stable.next),
            extent.high_watermark,
        )
    });
    each.collect()
}

/// The partitions with the offsets that are missing.
pub(super) fn describe(missing: &[Shortfall]) -> String {
    let each = missing.iter().map(|short| {
        format!(
            "partition {} has landed up to offset {} of {}",
            short.partition, short.landed, short.wanted
        )
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The partitions of which `events` does not hold every offset before the one wanted.
pub(super) fn missing(
    app_ids: &AppIds,
    events: &TableState,
    wanted: &BTreeMap<KafkaPartition, Offset>,
) -> Vec<Shortfall> {
    let shortfall = |(partition, wanted): (&KafkaPartition, &Offset)| {
        let landed = app_ids.progress(events, *partition).next_offset.unwrap_or(Offset::ZERO);
        (landed < *wanted).then_some(Shortfall { partition: *partition, landed, wanted: *wanted })
    };
    wanted.iter().filter_map(shortfall).collect()
}

/// How long to wait, and how often to look.
pub(super) struct Waiter<'a> {
    pub(super) app_ids: &'a AppIds,
    pub(super) poll_interval: Duration,
    pub(super) deadline: Instant,
    pub(super) shutdown: &'a Shutdown,
}

impl Waiter<'_> {
    /// Follows `events` until it holds every offset before those `wanted`.
    pub(super) async fn wait(
        &self,
        events: &mut TableLog,
        wanted: &BTreeMap<KafkaPartition, Offset>,
    ) -> Result<LandingWait, LakeError> {
        let mut has_logged = false;
        loop {
            events.refresh().await?;
            let missing = missing(self.app_ids, events.state(), wanted);
            if missing.is_empty() {
                return Ok(LandingWait::Reached);
            }
            if Instant::now() >= self.deadline {
                return Ok(LandingWait::TimedOut(missing));
            }
            if !std::mem::replace(&mut has_logged, true) {
                tracing::info!(missing = describe(&missing), "waiting for records to land");
            }
            tokio::select! {
                biased;
                () = self.shutdown.requested() => return Ok(LandingWait::Stopped),
                () = sleep(self.poll_interval) => {}
            }
        }
    }
}
