//! Another program that rewrites a data file between the log that named it and the read of it.

use std::sync::Mutex;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use lake_delta::log::FileEntry;
use lake_delta::{Commit, CommitOutcome, Lake, TableLog, data_file, read};
use lake_tables::{Table, file_kind};
use lake_testing::stores::{Intercept, Intercepted, Request};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::World;

/// What becomes of the object of a file that was rewritten.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aftermath {
    /// It is deleted.
    Deleted,
    /// Its end is lost.
    Torn,
}

impl World {
    /// Before `file` of `events` is read for the first time from now on, another program rewrites it.
    pub(crate) fn rewrite_before_read(&mut self, file: &FileEntry, aftermath: Aftermath) {
        let lake = Mutex::new(Some(self.context.lake.clone()));
        let rewriting = Rewriting { lake, file: file.clone(), aftermath };
        self.decorate(|behind| Intercepted::new(behind, rewriting));
    }
}

#[derive(Debug)]
struct Rewriting {
    /// The lake without the decoration, until that has happened.
    lake: Mutex<Option<Lake>>,
    file: FileEntry,
    aftermath: Aftermath,
}

impl Intercept for Rewriting {
    async fn around<T: Send>(
        &self,
        request: Request<'_>,
        operation: impl Future<Output = object_store::Result<T>> + Send,
    ) -> object_store::Result<T> {
        if let Request::Get { location } = request
            && location.as_ref().ends_with(&self.file.path)
        {
            let lake = self.lake.lock().expect("nobody panics with it").take();
            if let Some(lake) = lake {
                rewrite(&lake, &self.file, self.aftermath).await;
            }
        }
        operation.await
    }
}

async fn rewrite(lake: &Lake, file: &FileEntry, aftermath: Aftermath) {
    let columns = |batch: &RecordBatch| Ok::<_, String>(vec![batch.clone()]);
    let rows = read::collect(lake, Table::Events, [file], &[], columns).await;
    let rows = concat_batches(&Table::Events.file_schema(), &rows.expect("it can be read"));
    let new = file_kind::compacted(Table::Events, file.partition, lake.unique_id());
    let new = data_file::write(lake, Table::Events, new, &rows.expect("of one schema")).await;
    let commit = Commit::new(lake, "COMPACT")
        .remove([file.clone()])
        .add([new.expect("memory accepts files")])
        .rearranging();
    let mut log = TableLog::open(lake, Table::Events).await.expect("the table exists");
    let outcome = log.try_commit(&commit).await.expect("memory accepts commits");
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "nobody else commits");
    let path = Path::parse(&file.path).expect("paths in the log are paths of the store");
    let store = lake.table_store(Table::Events);
    match aftermath {
        Aftermath::Deleted => store.delete(&path).await.expect("it is there"),
        Aftermath::Torn => {
            let torn = store.put(&path, PutPayload::from_static(b"PAR1")).await;
            torn.expect("memory accepts objects");
        }
    }
}
