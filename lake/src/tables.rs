//! The five tables: their names, columns and partitioning.

pub mod avg_speed;
pub mod batch_runs;
pub mod columns;
pub mod dead_letters;
pub mod events;
pub mod offset_gaps;
pub(crate) mod schema_json;

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

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
        match self {
            Table::Events => "events",
            Table::DeadLetters => "dead_letters",
            Table::AvgSpeed => "avg_speed",
            Table::OffsetGaps => "offset_gaps",
            Table::BatchRuns => "batch_runs",
        }
    }

    /// The column that the table is partitioned by, if any. It is a date, and not in the data files.
    pub const fn partition_column(self) -> Option<&'static str> {
        match self {
            Table::Events | Table::AvgSpeed => Some("event_date"),
            Table::DeadLetters => Some("landed_date"),
            Table::OffsetGaps | Table::BatchRuns => None,
        }
    }

    /// The columns of the table's data files.
    pub fn file_schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; 5]> = LazyLock::new(|| {
            [
                Arc::new(Schema::new(events::fields())),
                Arc::new(Schema::new(dead_letters::fields())),
                Arc::new(Schema::new(avg_speed::fields())),
                Arc::new(Schema::new(offset_gaps::fields())),
                Arc::new(Schema::new(batch_runs::fields())),
            ]
        });
        let at = Table::ALL.iter().position(|table| *table == self).expect("ALL holds every table");
        Arc::clone(&SCHEMAS[at])
    }

    /// The columns of the table, its partition column included: it follows the columns that readers rely on
    /// and precedes those that only the speed layer needs to resume.
    pub fn schema(self) -> Schema {
        let mut fields: Vec<_> = self.file_schema().fields().iter().cloned().collect();
        if let Some(name) = self.partition_column() {
            let at = fields.iter().position(|field| field.name() == avg_speed::HISTOGRAM);
            let partition = Arc::new(Field::new(name, DataType::Date32, false));
            fields.insert(at.unwrap_or(fields.len()), partition);
        }
        Schema::new(fields)
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
