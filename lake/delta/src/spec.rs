//! What this crate needs to know of a table.

use std::fmt;
use std::sync::LazyLock;

use arrow::datatypes::{Schema, SchemaRef};
use parquet::file::properties::WriterPropertiesBuilder;

/// A table: its name, its columns, and how its data files are written.
pub struct TableSpec {
    /// The name of the table and of its folder.
    pub name: &'static str,
    /// The column that the table is partitioned by, if any. It is a date, and not in the data files.
    pub partition_column: Option<&'static str>,
    /// The columns of the data files.
    pub file_schema: LazyLock<SchemaRef>,
    /// All columns in the order that readers see, the partition column included.
    pub schema: fn() -> Schema,
    /// What readers are shown beside a column, where its name alone may mislead.
    pub comments: &'static [(&'static str, &'static str)],
    /// Columns of free text, whose bounds would only make the log longer.
    pub without_bounds: &'static [&'static str],
    /// Encodings and compression of the data files, set on top of what every table has.
    pub encoding: fn(FileUse, WriterPropertiesBuilder) -> WriterPropertiesBuilder,
}

/// How long a data file lives, and so how much work its encoding is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileUse {
    /// Written every few seconds, replaced or compacted before long.
    ShortLived,
    /// Written once and read by many.
    LongLived,
}

impl fmt::Debug for TableSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for TableSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Tables of one lake differ in their names.
impl PartialEq for TableSpec {
    fn eq(&self, other: &TableSpec) -> bool {
        self.name == other.name
    }
}

impl Eq for TableSpec {}
