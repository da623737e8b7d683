//! What is to be committed to a table at once: the work of partitions, and the files that they share.

use std::collections::BTreeSet;

use lake_delta::DataFile;
use lake_model::commit::OwnerClaim;
use lake_model::{KafkaPartition, Offset};
use lake_tables::file_kind::ProvisionalGroup;
use lake_tables::txn::PartitionProgress;

/// What is to be committed to a table at once.
#[derive(Clone, Debug, Default)]
pub struct TableWork {
    /// What each partition wants.
    pub partitions: Vec<PartitionCommit>,
    /// New files with rows of some of these partitions. One of them that does not go in keeps its files, and with them
    /// everything else, out of the table.
    pub shared: Vec<SharedFile>,
}

impl TableWork {
    /// Work without shared files.
    pub fn of(partitions: Vec<PartitionCommit>) -> TableWork {
        TableWork { partitions, shared: Vec::new() }
    }

    /// Whether no partition wants anything.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The new files with rows of the partition of `commit`.
    pub fn files_of<'a>(
        &'a self,
        commit: &'a PartitionCommit,
    ) -> impl Iterator<Item = &'a DataFile> {
        let shared = self.shared.iter().filter(|file| file.partitions.contains(&commit.partition));
        commit.files.iter().map(|(_, file)| file).chain(shared.map(|shared| &shared.file))
    }

    /// Whether a file has rows of a partition that is among `fenced` or wants nothing.
    pub fn cannot_go_in_without(&self, fenced: &BTreeSet<KafkaPartition>) -> bool {
        let goes_in = |id: &KafkaPartition| {
            !fenced.contains(id) && self.partitions.iter().any(|commit| commit.partition == *id)
        };
        self.shared.iter().any(|file| !file.partitions.iter().all(goes_in))
    }
}

/// What a partition wants committed to a table.
#[derive(Clone, Debug)]
pub struct PartitionCommit {
    /// The partition.
    pub partition: KafkaPartition,
    /// Whose the partition is to be in the table.
    pub owner: OwnerClaim,
    /// The next offset that the table must hold for the work to be its continuation.
    pub built_on: Option<Offset>,
    /// How many resets of the partition's watermark the work knows of; none matters to tables without lateness.
    pub resets: usize,
    /// What the table holds of the partition once the work is in.
    pub progress: PartitionProgress,
    /// New files of `avg_speed` with the group whose files each replaces.
    pub files: Vec<(ProvisionalGroup, DataFile)>,
}

impl PartitionCommit {
    /// Whether it brings nothing but whose the partition is.
    pub fn is_claim(&self) -> bool {
        self.files.is_empty() && self.progress.next_offset == self.built_on
    }
}

/// A new file with the rows of partitions.
#[derive(Clone, Debug)]
pub struct SharedFile {
    /// The partitions that it has rows of.
    pub partitions: BTreeSet<KafkaPartition>,
    /// The file.
    pub file: DataFile,
}
