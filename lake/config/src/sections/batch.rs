//! `[batch]`: when days are made final, and what a run may hold.

use std::path::PathBuf;
use std::time::Duration;

use super::rules::{LOCAL_FOLDER, PROM_FILE};
use crate::key::{default, section};
use crate::kind::{Count, OrNone, duration};
use crate::units::{CENTURY, HOUR, MILLISECOND};

section! {
    /// When and how days are made final.
    pub struct Batch in "batch" {
        /// How long after its end a day may be made final. At least speed.allowed_lateness +
        /// speed.out_of_orderness.
        close_after: Duration = duration(MILLISECOND, CENTURY), default("4h");

        /// Rows of `events` that a run holds at a time. The nightly run and the audit put the rows of a larger day
        /// into a file of batch.spill_folder meanwhile; maintain compacts a day in parts.
        max_rows_in_memory: usize = Count { min: 100_000, max: 10_000_000_000 }, default("8000000");

        /// A folder on a local disk for the rows of a day that are more than batch.max_rows_in_memory, 13 bytes
        /// and its plate each; "" is the system's folder for temporary files. Nothing is left in it.
        spill_folder: Option<PathBuf> = OrNone(LOCAL_FOLDER), default(""), such_as "/var/tmp";

        /// A file for the metrics of a run, for Prometheus's textfile collector; "" writes none.
        metrics_file: Option<PathBuf> = OrNone(PROM_FILE), default(""),
            such_as "/var/lib/node_exporter/textfile/lambdalake.prom";

        /// Time between checks of what has landed, while a run waits for it.
        landing_poll_interval: Duration = duration(10 * MILLISECOND, HOUR), default("1s");
    }
    families {}
}
