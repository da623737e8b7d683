//! Cases about what other programs leave in a log.

use futures::TryStreamExt;
use lake_delta::{Commit, DataFile, Lake, LakeError, TableLog, housekeeping, read};
use lake_model::{Offset, OffsetRange, TableVersion};
use lake_tables::Table;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::json;

use crate::bed::{Bed, DAY, entry, events, paths, put_entry};
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
        assert!(matches!(error, LakeError::Log { version: TableVersion(1), .. }), "{error:?}");
        assert!(!error.is_transient());
        let message = error.to_string();
        for words in ["events", "writer version 7", "another program", "restore the table"] {
            assert!(message.contains(words), "{message}");
        }
    }
    assert_eq!(log.state().version(), TableVersion(0));
    assert_eq!(entry(&lake, 2).await, None);
}

pub async fn percent_encoded_paths_are_understood_and_removed_as_they_were_spelled(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let batch = rows::events(0, OffsetRange::new(Offset::ZERO, Offset(5)));
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

/// An `add` action of `file` without statistics, as Delta allows.
fn add_without_statistics(file: &DataFile) -> serde_json::Value {
    json!({ "add": {
        "path": file.path, "partitionValues": { "event_date": "2025-04-05" }, "size": file.size,
        "modificationTime": 7, "dataChange": true,
    } })
}

pub async fn a_file_without_statistics_has_them_from_its_footer_in_every_way_of_reading(bed: Bed) {
    let lake = bed.lake();
    let mut follower = events(&lake).await;
    let file = rows::file(&lake, 3, OffsetRange::new(Offset(10), Offset(30))).await;
    let gone = rows::file(&lake, 3, OffsetRange::new(Offset(30), Offset(40))).await;
    let entries = [&file, &gone].map(|file| add_without_statistics(file).to_string());
    put_entry(&lake, 1, entries.join("\n")).await;
    let remove = json!({ "remove": { "path": gone.path, "dataChange": true } });
    put_entry(&lake, 2, remove.to_string()).await;
    let store = lake.table_store(Table::Events);
    store.delete(&Path::parse(&gone.path).unwrap()).await.unwrap();

    follower.refresh().await.unwrap();
    assert_complete(&follower, &file);
    assert_complete(&events(&bed.lake()).await, &file);

    housekeeping::checkpoint(&bed.lake_ahead(2 * DAY), Table::Events).await.unwrap();
    assert_eq!(entry(&lake, 1).await, None, "only the checkpoint has the file");
    let mut opened = events(&bed.lake()).await;
    assert_complete(&opened, &file);
    assert_eq!(opened.state().file(&file.path), follower.state().file(&file.path));
    let _ = opened.try_commit(&rows::landing(&lake)).await.unwrap();
    assert_eq!(opened.state().version(), TableVersion(3));
}

/// Whether the log's only file has the statistics that were written with `file`.
fn assert_complete(log: &TableLog, file: &DataFile) {
    assert_eq!(paths(log), [file.path.as_str()]);
    let found = log.state().file(&file.path).unwrap();
    assert_eq!(found.rows, file.rows);
    let written: serde_json::Value = serde_json::from_str(&file.stats).unwrap();
    for column in Table::Events.file_schema().fields() {
        let name = column.name();
        let bound = |side: &str| written[side].get(name).cloned();
        assert_eq!(found.bounds(name), bound("minValues").zip(bound("maxValues")), "{name}");
    }
}

pub async fn a_file_whose_footer_cannot_be_read_is_refused_with_its_path_and_the_remedy(bed: Bed) {
    for damage in [gone, cut_off, overwritten] {
        let lake = bed.lake();
        let mut log = events(&lake).await;
        let before = log.state().version().0;
        let file = rows::file(&lake, 3, OffsetRange::new(Offset::ZERO, Offset(20))).await;
        damage(&lake, &file).await;
        put_entry(&lake, before + 1, add_without_statistics(&file).to_string()).await;
        let refreshed = log.refresh().await.unwrap_err();
        let again = log.refresh().await.unwrap_err();
        let opened = TableLog::open(&lake, Table::Events).await.unwrap_err();
        let committed = log.try_commit(&rows::landing(&lake)).await.unwrap_err();
        for error in [refreshed, again, opened, committed] {
            assert!(matches!(error, LakeError::DataFile { .. }), "{error:?}");
            let message = error.to_string();
            for words in [&*file.path, "no statistics", "footer", "restore"] {
                assert!(message.contains(words), "{message}");
            }
        }
        assert_eq!(entry(&lake, before + 2).await, None);

        let remove = json!({ "remove": { "path": file.path, "dataChange": true } });
        put_entry(&lake, before + 2, remove.to_string()).await;
        log.refresh().await.unwrap();
        assert_eq!(paths(&log), [""; 0], "a file that is removed is not asked for");
    }
}

type Damage = futures::future::BoxFuture<'static, ()>;

fn gone(lake: &Lake, file: &DataFile) -> Damage {
    let (store, path) = (lake.table_store(Table::Events), Path::parse(&file.path).unwrap());
    Box::pin(async move { store.delete(&path).await.unwrap() })
}

fn cut_off(lake: &Lake, file: &DataFile) -> Damage {
    overwrite(lake, file, usize::try_from(file.size).unwrap() - 100)
}

fn overwritten(lake: &Lake, file: &DataFile) -> Damage {
    overwrite(lake, file, usize::try_from(file.size).unwrap())
}

fn overwrite(lake: &Lake, file: &DataFile, length: usize) -> Damage {
    let (store, path) = (lake.table_store(Table::Events), Path::parse(&file.path).unwrap());
    let bytes = PutPayload::from(vec![0_u8; length]);
    Box::pin(async move { drop(store.put(&path, bytes).await.unwrap()) })
}
