//! Reading checkpoints (Delta protocol, "Checkpoints": the classic form, of one part or several).

use std::collections::BTreeMap;

use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use lake_model::TableVersion;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::entry::Entry;
use crate::error::LakeError;
use crate::log_problem::LogProblem;
use crate::spec::TableSpec;

/// The columns of a checkpoint that the state depends on.
const COLUMNS: [&str; 11] = [
    "add.path",
    "add.partitionValues",
    "add.size",
    "add.modificationTime",
    "add.stats",
    "add.tags",
    "txn.appId",
    "txn.version",
    "metaData",
    "protocol.minReaderVersion",
    "protocol.minWriterVersion",
];

/// A checkpoint whose every part is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) version: TableVersion,
    parts: Vec<String>,
}

/// What the names in a log's folder say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogContents {
    /// The newest complete checkpoint.
    pub(super) checkpoint: Option<Checkpoint>,
    /// The newest version of which there is an entry or a checkpoint.
    pub(super) newest: TableVersion,
}

impl LogContents {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> LogContents {
        let mut newest = TableVersion::BEFORE_FIRST;
        let mut parts: BTreeMap<TableVersion, Vec<String>> = BTreeMap::new();
        for name in names {
            let Some((version, rest)) = name.split_once('.') else { continue };
            let Some(version) = (version.len() == 20).then(|| version.parse().ok()).flatten()
            else {
                continue;
            };
            let version = TableVersion(version);
            if rest == "json" {
                newest = newest.max(version);
            } else if rest.starts_with("checkpoint.") && rest.ends_with("parquet") {
                parts.entry(version).or_default().push(name.to_owned());
            }
        }
        let complete =
            parts.into_iter().rev().find_map(|(version, parts)| complete(version, parts));
        let newest =
            newest.max(complete.as_ref().map_or(TableVersion::BEFORE_FIRST, |found| found.version));
        LogContents { checkpoint: complete, newest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newest < TableVersion::FIRST
    }
}

/// `V.checkpoint.parquet` is whole in itself; of `V.checkpoint.PART.PARTS.parquet` all must be there.
fn complete(version: TableVersion, parts: Vec<String>) -> Option<Checkpoint> {
    let single = format!("{version:020}.checkpoint.parquet");
    if parts.contains(&single) {
        return Some(Checkpoint { version, parts: vec![single] });
    }
    let count: usize = parts.first()?.split('.').nth(3)?.parse().ok()?;
    (parts.len() == count).then_some(Checkpoint { version, parts })
}

/// Reads the actions of a checkpoint.
pub(super) async fn read(
    store: &dyn ObjectStore,
    table: &'static TableSpec,
    checkpoint: &Checkpoint,
) -> Result<Entry, LakeError> {
    let problem =
        |problem| LakeError::Log { table: table.name, version: checkpoint.version, problem };
    let mut lines = Vec::new();
    for part in &checkpoint.parts {
        let bytes = read_part(store, part).await?;
        let bytes = bytes.ok_or_else(|| problem(LogProblem::MissingPart { part: part.clone() }))?;
        let damaged = |error| problem(LogProblem::Checkpoint { part: part.clone(), error });
        lines.extend(json_lines(bytes).map_err(damaged)?);
    }
    Entry::parse(&lines).map_err(problem)
}

async fn read_part(store: &dyn ObjectStore, part: &str) -> Result<Option<Bytes>, LakeError> {
    let failed = || LakeError::storage(format!("read checkpoint {part}"));
    match store.get(&Path::from(format!("_delta_log/{part}"))).await {
        Ok(found) => found.bytes().await.map(Some).map_err(failed()),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed()(error)),
    }
}

/// The checkpoint's rows as the JSON lines that log entries have.
fn json_lines(bytes: Bytes) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let mut writer = LineDelimitedWriter::new(Vec::new());
    for batch in builder.with_projection(mask).build()? {
        writer.write(&batch?)?;
    }
    writer.finish()?;
    Ok(writer.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_complete_checkpoint_is_used() {
        let names = [
            "_last_checkpoint",
            "00000000000000000009.json",
            "00000000000000000010.json",
            "00000000000000000011.json",
            "00000000000000000008.checkpoint.parquet",
            "00000000000000000010.checkpoint.0000000001.0000000002.parquet",
        ];
        let contents = LogContents::of(names.into_iter());
        assert_eq!(contents.newest, TableVersion(11));
        assert_eq!(contents.checkpoint.map(|checkpoint| checkpoint.version), Some(TableVersion(8)));
    }
}
