//! Cases about what other programs leave in a log.

use futures::TryStreamExt;
use lake_delta::{Commit, LakeError, TableLog, housekeeping, read};
use lake_model::OffsetRange;
use lake_tables::Table;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::json;

use crate::bed::{Bed, entry, events, paths, put_entry};
use crate::rows;

pub async fn an_upgraded_protocol_is_refused_with_a_clear_error(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let upgrade = json!({ "protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"],
    } });
    put_entry(&lake, 1, upgrade.to_string()).await;
    let refreshed = log.refresh().await.unwrap_err();
    let committed = log.try_commit(&rows::landing(&lake)).await.unwrap_err();
    let opened = TableLog::open(&lake, Table::Events).await.unwrap_err();
    for error in [refreshed, committed, opened] {
        assert!(matches!(error, LakeError::Log { version: 1, .. }), "{error:?}");
        assert!(!error.is_transient());
        let message = error.to_string();
        for words in ["events", "writer version 7", "another program", "restore the table"] {
            assert!(message.contains(words), "{message}");
        }
    }
    assert_eq!(log.state().version(), 0);
    assert_eq!(entry(&lake, 2).await, None);
}

pub async fn percent_encoded_paths_are_understood_and_removed_as_they_were_spelled(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let batch = rows::events(0, OffsetRange::new(0, 5));
    let file = rows::file_of(&lake, Table::Events, &batch).await;
    let path = "event_date=2025-04-05/part 100%-я.parquet";
    let store = lake.table_store(Table::Events);
    let bytes = store.get(&Path::parse(&file.path).unwrap()).await.unwrap().bytes().await.unwrap();
    store.put(&Path::parse(path).unwrap(), PutPayload::from(bytes)).await.unwrap();
    let spelled = "event_date%3D2025-04-05/part%20100%25-%d1%8f.parquet";
    let add = json!({ "add": {
        "path": spelled, "partitionValues": { "event_date": "2025-04-05" }, "size": file.size,
        "modificationTime": 7, "dataChange": true, "stats": file.stats,
    } });
    put_entry(&lake, 1, add.to_string()).await;

    log.refresh().await.unwrap();
    assert_eq!(paths(&log), [path]);
    let found = log.state().file(path).unwrap().clone();
    let stream = read::stream(lake.table_store(Table::Events), &found, &[]).await.unwrap();
    assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap(), [batch]);

    housekeeping::checkpoint(&lake, Table::Events).await.unwrap();
    let mut log = events(&lake).await;
    assert_eq!(log.state().file(path), Some(&found));
    let _ = log.try_commit(&Commit::new(&lake, "DROP").remove([found])).await.unwrap();
    assert_eq!(entry(&lake, 2).await.unwrap()[1]["remove"]["path"], spelled);
    assert_eq!(paths(&events(&lake).await), [""; 0]);
    let delta = housekeeping::delta_table(&lake, Table::Events).await.unwrap();
    assert_eq!(delta.snapshot().unwrap().log_data().num_files(), 0);
}

pub async fn an_empty_entry_is_an_error(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    put_entry(&lake, 1, String::new()).await;
    let error = log.refresh().await.unwrap_err();
    assert!(error.to_string().contains("the entry is empty"), "{error}");
}
