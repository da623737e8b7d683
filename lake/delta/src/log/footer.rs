//! Statistics of files that another program added without any, which Delta allows: from the footers of the files.
//!
//! Entries are folded into the state first, and what is then still active and without statistics is completed: a file
//! that a later entry removes may be gone from the store. A state that is not complete is not decided on.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::async_reader::MetadataFetch;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::file_entry::FileEntry;
use super::load::READ_AHEAD;
use super::state::TableState;
use crate::data_file::statistics;
use crate::error::LakeError;
use crate::spec::TableSpec;

/// Bytes at the end of a file that are read at first: most footers are shorter.
const TAIL_BYTES: usize = 64 << 10;
/// Longer footers are refused: it would be the file that decides how much memory its reader needs.
const MOST_BYTES: u64 = 64 << 20;

/// Completes the active files of `state` that lack statistics.
pub(super) async fn complete(
    store: &Arc<dyn ObjectStore>,
    table: &'static TableSpec,
    state: &mut TableState,
) -> Result<(), LakeError> {
    let lacking: Vec<FileEntry> = state.lacking_statistics().cloned().collect();
    let completed = lacking.into_iter().map(|file| completed(Arc::clone(store), table, file));
    let mut completed = stream::iter(completed).buffered(READ_AHEAD.into());
    while let Some(file) = completed.try_next().await? {
        state.complete(file);
    }
    Ok(())
}

async fn completed(
    store: Arc<dyn ObjectStore>,
    table: &'static TableSpec,
    file: FileEntry,
) -> Result<FileEntry, LakeError> {
    let refused = |problem: &dyn std::fmt::Display| {
        let problem = format!(
            "the log has no statistics of it, and its footer can't be read: {problem}; restore the file, or table \
             {table} to a version without it (RESTORE in Spark, DeltaTable.restore in Python)"
        );
        LakeError::data_file(&file.path, problem)
    };
    let path = Path::parse(&file.path).map_err(|error| refused(&error))?;
    let failed = |source| {
        LakeError::storage(format!("read the footer of data file {table}/{}", file.path))(source)
    };
    let found = match store.head(&path).await {
        Err(error @ object_store::Error::NotFound { .. }) => return Err(refused(&error)),
        found => found.map_err(failed)?,
    };
    if found.size != file.size {
        let problem = format!("it has {} bytes, and the log says {}", found.size, file.size);
        return Err(refused(&problem));
    }
    match read(&*store, path, file.size).await {
        Ok(footer) => {
            let stats = statistics::json(&table.file_schema, table.without_bounds, &footer);
            let rows = footer.row_groups().iter().map(|group| group.num_rows()).sum::<i64>();
            Ok(file.with_statistics(rows.unsigned_abs(), &stats))
        }
        Err(ParquetError::External(source)) if source.is::<object_store::Error>() => {
            Err(failed(*source.downcast().expect("just tested")))
        }
        Err(error) => Err(refused(&error)),
    }
}

async fn read(
    store: &dyn ObjectStore,
    path: Path,
    size: u64,
) -> Result<ParquetMetaData, ParquetError> {
    let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(TAIL_BYTES));
    reader.load_and_finish(Tail { store, path }, size).await
}

/// The end of a data file as the Parquet reader asks for it.
struct Tail<'a> {
    store: &'a dyn ObjectStore,
    path: Path,
}

impl MetadataFetch for Tail<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let length = range.end.saturating_sub(range.start);
            if length > MOST_BYTES {
                let problem = format!("it has {length} bytes, more than {MOST_BYTES}");
                return Err(ParquetError::General(problem));
            }
            let read = self.store.get_range(&self.path, range).await;
            read.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }
}
