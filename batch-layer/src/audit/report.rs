//! What an audit found, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use lake_model::{KafkaPartition, Offset};
use serde::Serialize;

use crate::faults::FileFault;

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Every partition that the tables know.
    pub partitions: Vec<AuditedPartition>,
    /// Every final day.
    pub days: Vec<AuditedDay>,
    /// Every watermark that was set back by `speed-layer reset-watermark`; not a problem, but recorded.
    pub watermark_resets: Vec<AuditedReset>,
    /// Every cut of Kafka's log below what is landed that was accepted; not a problem of the tables, but recorded.
    pub accepted_truncations: Vec<AuditedTruncation>,
    /// Data files that can't be used; each is among the problems too.
    pub faults: Vec<FileFault>,
    /// How the lake compares with Kafka.
    pub kafka: KafkaComparison,
    /// What is wrong; nothing if the lake is in order.
    pub problems: Vec<String>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditedPartition {
    /// The partition.
    pub partition: KafkaPartition,
    /// The first offset that has to be accounted for: 0, or the retention floor.
    pub first_offset: Offset,
    /// The next offset in `events`, before which every offset has to be accounted for.
    pub next_offset: Offset,
    /// Rows of `events` from there to there.
    pub events: u64,
    /// Rows of `dead_letters`.
    pub dead_letters: u64,
    /// Offsets in `offset_gaps`.
    pub gap_offsets: u64,
    /// Ranges of offsets, half-open, that are nowhere.
    pub missing: Vec<[Offset; 2]>,
    /// Ranges of offsets, half-open, that are nowhere but may be in a data file that can't be used.
    pub unreadable: Vec<[Offset; 2]>,
    /// Ranges of offsets, half-open, that are there more than once.
    pub repeated: Vec<[Offset; 2]>,
    /// Rows whose offset another row has.
    pub repeated_rows: u64,
}

/// How the lake compares with what Kafka has of its topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum KafkaComparison {
    /// Nobody asked Kafka.
    #[default]
    Skipped,
    /// Kafka could not be asked.
    NotReached {
        /// Why not.
        reason: String,
    },
    /// Kafka has another topic, or none; the problem says which.
    Differs,
    /// Every partition that Kafka has of the topic was compared.
    Compared {
        /// For how long Kafka may hold a record before it has to have landed, in seconds.
        max_lag_s: u64,
        /// The partitions.
        partitions: Vec<ComparedPartition>,
    },
}

/// A partition as Kafka has it, and what of it has landed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedPartition {
    /// The partition.
    pub partition: KafkaPartition,
    /// The first offset that Kafka still has.
    pub first_offset: Offset,
    /// The last stable offset.
    pub end: Offset,
    /// The next offset of `events`; 0 where nothing has landed.
    pub landed: Offset,
    /// Offsets that had to have landed and have not.
    pub overdue: i64,
}

/// One reset of a watermark. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditedReset {
    /// The partition.
    pub partition: KafkaPartition,
    /// The first offset that it holds for.
    pub offset: Offset,
    /// The partition's greatest event time before.
    pub from: String,
    /// What it counted as from there on.
    pub to: String,
    /// When the reset was asked for.
    pub requested_at: String,
}

/// One cut of Kafka's log that was accepted. The time is RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditedTruncation {
    /// The partition.
    pub partition: KafkaPartition,
    /// Where Kafka's log was cut at most, if Kafka said so.
    pub end: Option<Offset>,
    /// The next offset of `events` then: what Kafka has anew before it was not read.
    pub position: Offset,
    /// Nor under the offsets before this one that `dead_letters` or `offset_gaps` held then; at least `position`.
    pub covered_to: Offset,
    /// When it was accepted.
    pub accepted_at: String,
}

/// One final day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditedDay {
    /// The day, `YYYY-MM-DD`.
    pub day: String,
    /// Whether it was checked, or why not.
    pub status: DayStatus,
    /// Its rows in `events`.
    pub event_rows: u64,
    /// Its distinct events, where they were counted.
    pub distinct_events: Option<u64>,
    /// The sum of `vehicle_count` by size of window.
    pub counts: BTreeMap<&'static str, u64>,
}

/// The status of a final day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DayStatus {
    /// Nothing landed in it since it was made final: it was checked.
    Clean,
    /// Events landed in it since: the next nightly run recomputes it.
    Dirty,
    /// Retention has dropped its events, or the last file of them was quarantined.
    Frozen,
    /// Its events are gone, though retention has not dropped them.
    Lost,
    /// A data file of it can't be used.
    Unreadable,
}

impl AuditReport {
    /// Whether the lake is in order.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// The report as one JSON object.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "ok": self.is_ok(),
            "partitions": self.partitions,
            "days": self.days,
            "watermark_resets": self.watermark_resets,
            "accepted_truncations": self.accepted_truncations,
            "unreadable_files": self.faults,
            "kafka": self.kafka,
            "problems": self.problems,
        })
    }

    /// Adds a data file that can't be used, once.
    pub(super) fn fault(&mut self, fault: FileFault) {
        if !self.faults.iter().any(|noted| noted.file == fault.file) {
            self.problem(fault.to_string());
            self.faults.push(fault);
        }
    }

    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for p in &self.partitions {
            writeln!(
                f,
                "partition {}: offsets [{}, {}): {} events, {} dead letters, {} in gaps",
                p.partition, p.first_offset, p.next_offset, p.events, p.dead_letters, p.gap_offsets
            )?;
        }
        for day in &self.days {
            writeln!(f, "{}: {}", day.day, describe(day))?;
        }
        for r in &self.watermark_resets {
            writeln!(
                f,
                "partition {}: watermark reset at offset {} from {} to {}, asked for at {}",
                r.partition, r.offset, r.from, r.to, r.requested_at
            )?;
        }
        for t in &self.accepted_truncations {
            let end = t.end.map_or_else(|| "an unknown offset".to_owned(), |end| end.to_string());
            let ahead = match t.covered_to > t.position {
                true => format!(", with dead letters and gaps up to {}", t.covered_to),
                false => String::new(),
            };
            writeln!(
                f,
                "partition {}: Kafka's log was cut at {end}, below what was landed; accepted at offset {}{ahead}, {}",
                t.partition, t.position, t.accepted_at
            )?;
        }
        self.kafka.fmt(f)?;
        for problem in &self.problems {
            writeln!(f, "PROBLEM {problem}")?;
        }
        match self.problems.len() {
            0 => writeln!(f, "audit: in order, every offset is accounted for exactly once"),
            problems => writeln!(f, "audit: {problems} problem(s)"),
        }
    }
}

impl fmt::Display for KafkaComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KafkaComparison::Skipped | KafkaComparison::Differs => Ok(()),
            KafkaComparison::NotReached { reason } => {
                writeln!(f, "Kafka: not compared, only the tables are audited: {reason}")
            }
            KafkaComparison::Compared { partitions, .. } => partitions.iter().try_for_each(|p| {
                let ComparedPartition { partition, first_offset, end, landed, .. } = p;
                writeln!(
                    f,
                    "Kafka: partition {partition} holds offsets [{first_offset}, {end}), landed up to {landed}"
                )
            }),
        }
    }
}

fn describe(day: &AuditedDay) -> String {
    match day.status {
        DayStatus::Clean => format!(
            "final, {} rows, {} distinct events",
            day.event_rows,
            day.distinct_events.unwrap_or(0)
        ),
        DayStatus::Dirty => {
            format!("dirty, {} rows: recomputed by the next nightly run", day.event_rows)
        }
        DayStatus::Frozen => "frozen: its events are dropped or quarantined".to_owned(),
        DayStatus::Lost => "its events are gone".to_owned(),
        DayStatus::Unreadable => {
            format!("final, {} rows: not checked, a data file can't be used", day.event_rows)
        }
    }
}
