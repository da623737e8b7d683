//! Cases about writers at the same time.

use std::collections::BTreeMap;

use futures::future::join_all;
use lake_delta::{
    Commit, CommitDecision, CommitOutcome, Lake, LakeError, TableLog, commit_with, read,
};
use lake_model::commit::{OwnerClaim, PartitionDecision, PartitionFacts, decide};
use lake_model::{KafkaPartition, Offset, OffsetRange, OffsetRanges};
use lake_tables::Table;
use lake_tables::txn::{AppIds, PartitionProgress};

use crate::bed::{Bed, entry, events};
use crate::rows;

const WRITERS: usize = 4;
const COMMITS: usize = 4;

pub async fn concurrent_commits_are_each_in_exactly_one_version(bed: Bed) {
    events(&bed.lake()).await;
    let writers = (0..WRITERS).map(|_| tokio::spawn(commit_several(bed.lake())));
    let mut committed = BTreeMap::new();
    for outcome in join_all(writers).await {
        for (version, path) in outcome.unwrap() {
            assert_eq!(committed.insert(version, path), None, "version {version} was given twice");
        }
    }
    let all = i64::try_from(WRITERS * COMMITS).unwrap();
    assert_eq!(committed.keys().copied().collect::<Vec<_>>(), (1..=all).collect::<Vec<_>>());
    for (version, path) in &committed {
        let lines = entry(&bed.lake(), *version).await.unwrap();
        assert_eq!(lines[1]["add"]["path"], serde_json::json!(path));
    }
    assert_eq!(events(&bed.lake()).await.state().files().count(), WRITERS * COMMITS);
}

async fn commit_several(lake: Lake) -> Vec<(i64, String)> {
    let mut log = events(&lake).await;
    let mut committed = Vec::new();
    for _ in 0..COMMITS {
        let file = rows::unwritten(&lake, rows::day());
        let commit = Commit::new(&lake, "LAND").add([file.clone()]);
        loop {
            match log.try_commit(&commit).await.unwrap() {
                CommitOutcome::Committed { version } => {
                    break committed.push((version.0, file.path));
                }
                CommitOutcome::Conflict => {}
            }
        }
    }
    committed
}

/// An instance of the speed layer, as far as one partition goes.
struct Writer {
    lake: Lake,
    log: TableLog,
    app_ids: AppIds,
    built_on: Option<Offset>,
}

/// The partition that they write.
const PARTITION: KafkaPartition = KafkaPartition(0);

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Landed,
    Fenced,
}

impl Writer {
    async fn new(bed: &Bed) -> Writer {
        let lake = bed.lake();
        let log = events(&lake).await;
        Writer { lake, log, app_ids: AppIds::new("camera-speeds", "camera-events"), built_on: None }
    }

    /// Consumes `count` more records and lands them, or finds out that another did.
    async fn step(&mut self, count: i64) -> Step {
        let first = self.built_on.unwrap_or(Offset::ZERO);
        let target = first.plus(count);
        let file = rows::file(&self.lake, PARTITION.0, OffsetRange::new(first, target)).await;
        let progress =
            PartitionProgress { next_offset: Some(target), ..PartitionProgress::default() };
        let Writer { lake, log, app_ids, built_on } = self;
        let step = commit_with(log, async |log: &TableLog| {
            let found = app_ids.progress(log.state(), PARTITION).next_offset;
            let facts = PartitionFacts {
                built_on: *built_on,
                found,
                target,
                owner: OwnerClaim::default(),
                found_owner: app_ids.owner_epoch(log.state(), PARTITION),
                was_reset: false,
                has_other_bounds: false,
                may_be_vacuumed: false,
            };
            Ok::<_, LakeError>(match decide(facts) {
                PartitionDecision::NothingNew | PartitionDecision::Claim => {
                    unreachable!("every step has new offsets")
                }
                PartitionDecision::Fenced => CommitDecision::Nothing((found, Step::Fenced)),
                PartitionDecision::Commit => {
                    let commit = Commit::new(lake, "LAND").add([file.clone()]);
                    let commit = commit.txns(app_ids.record(PARTITION, progress));
                    CommitDecision::Commit(commit, (Some(target), Step::Landed))
                }
            })
        });
        let (reached, step) = step.await.unwrap().value;
        self.built_on = reached;
        step
    }
}

pub async fn of_two_writers_of_a_partition_one_wins_each_step_and_every_offset_lands_once(
    bed: Bed,
) {
    let (mut one, mut other) = (Writer::new(&bed).await, Writer::new(&bed).await);
    let mut next = Offset::ZERO;
    for (a, b) in [(3, 5), (2, 2), (4, 1), (1, 6)] {
        let (first, second) = tokio::join!(one.step(a), other.step(b));
        assert_ne!(first, second, "one lands and the other is fenced");
        next = next.plus(if first == Step::Landed { a } else { b });
        assert_eq!((one.built_on, other.built_on), (Some(next), Some(next)));
    }
    let log = events(&bed.lake()).await;
    let files = log.state().files();
    let offsets =
        read::collect(log.lake(), Table::Events, files, &[], lake_tables::offsets).await.unwrap();
    let mut landed = OffsetRanges::default();
    for (_, offset) in offsets {
        assert_eq!(landed.insert(OffsetRange::single(offset)), 0, "{offset} landed twice");
    }
    assert_eq!(landed.ranges(), [OffsetRange::new(Offset::ZERO, next)]);
}
