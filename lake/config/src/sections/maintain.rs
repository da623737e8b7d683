//! `[maintain]`: the size of compacted files, and how long data stays.

use std::time::Duration;

use crate::key::{default, section};
use crate::kind::{Bytes, OrNone, duration};
use crate::units::{CENTURY, DAY, MB, TB};

section! {
    /// Compaction and retention (`batch-layer maintain`).
    pub struct Maintain in "maintain" {
        /// Largest size of a compacted file. Files are smaller where batch.max_rows_in_memory, or a
        /// gibibyte of rows in memory, allows no more.
        target_file_size: u64 = Bytes { min: MB, max: TB }, default("256MB");

        /// Days of `events` older than this are dropped once they are final, clean and expired in Kafka
        /// too; their averages stay. "" keeps all. More than batch.close_after.
        event_retention: Option<Duration> = OrNone(duration(DAY, CENTURY)), default(""), such_as "400d";

        /// Files that no table names, left by writers that lost a race or crashed, are deleted at this
        /// age. More than lake.retry_timeout.
        orphan_retention: Duration = duration(DAY, CENTURY), default("7d");
    }
    families {}
}
