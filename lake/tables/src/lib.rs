//! The five tables: their names, columns and partitioning, their rows, what their files are, and the transactions that
//! live beside the files.
//!
//! [`Table`] names a table; each has a module with its row type, to and from record batches. [`file_kind`] knows what a
//! data file holds, [`txn`] which app ids offsets are kept under, [`identity`] which pipeline a lake belongs to,
//! [`zone_rules`] by which rules its days are computed,
//! [`last_runs`] when the batch layer's commands last ran.

pub mod avg_speed;
pub mod batch_runs;
pub mod dead_letters;
pub mod encoding;
pub mod events;
pub mod file_kind;
pub mod identity;
pub mod last_runs;
pub mod offset_gaps;
mod offsets;
pub mod txn;
pub mod zone_rules;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use lake_delta::TableSpec;

pub use offsets::{offset_range, offsets};

/// A table of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Every event, late ones too, one row per accepted record.
    Events,
    /// Every record that can't be an event.
    DeadLetters,
    /// The serving table: averages per camera and window.
    AvgSpeed,
    /// Offsets that no record is landed for.
    OffsetGaps,
    /// One row per recomputed day.
    BatchRuns,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 5] =
        [Table::Events, Table::DeadLetters, Table::AvgSpeed, Table::OffsetGaps, Table::BatchRuns];

    /// The name of the table and of its folder.
    pub const fn as_str(self) -> &'static str {
        self.spec().name
    }

    /// The column that the table is partitioned by, if any. It is a date, and not in the data files.
    pub const fn partition_column(self) -> Option<&'static str> {
        self.spec().partition_column
    }

    /// The columns of the table's data files.
    pub fn file_schema(self) -> SchemaRef {
        Arc::clone(&self.spec().file_schema)
    }

    /// The table as the Delta layer needs to know it.
    pub const fn spec(self) -> &'static TableSpec {
        match self {
            Table::Events => &events::SPEC,
            Table::DeadLetters => &dead_letters::SPEC,
            Table::AvgSpeed => &avg_speed::SPEC,
            Table::OffsetGaps => &offset_gaps::SPEC,
            Table::BatchRuns => &batch_runs::SPEC,
        }
    }
}

impl From<Table> for &'static TableSpec {
    fn from(table: Table) -> &'static TableSpec {
        table.spec()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Microseconds since 1970 in UTC.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

pub(crate) fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

pub(crate) fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// The columns of a data file with the date column that the table is partitioned by at its end.
fn with_partition(file_schema: &Schema, column: &str) -> Schema {
    let partition = Arc::new(Field::new(column, DataType::Date32, false));
    Schema::new(file_schema.fields().iter().cloned().chain([partition]).collect::<Vec<_>>())
}
