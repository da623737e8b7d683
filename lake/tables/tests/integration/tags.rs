//! What files say of themselves: their tags in the log, in checkpoints and in deltalake's view. Nothing depends on
//! their names.

use std::collections::BTreeMap;

use lake_delta::data_file::NewFile;
use lake_delta::{Commit, FileUse, Lake, TableLog, data_file, housekeeping};
use lake_model::{KafkaPartition, WindowSize};
use lake_tables::Table;
use lake_tables::file_kind::{self, AvgSpeedFile, GroupWindows, ProvisionalGroup, is_compacted};

use crate::bed::{Bed, DAY};
use crate::rows;

/// Every kind of file that is written, with what it is.
fn every_kind(lake: &Lake) -> Vec<(NewFile, Option<AvgSpeedFile>)> {
    let day = rows::day();
    let group = |windows| ProvisionalGroup { day, kafka_partition: KafkaPartition(3), windows };
    let mut kinds: Vec<(NewFile, Option<AvgSpeedFile>)> = Vec::new();
    for windows in [GroupWindows::Hour(7), GroupWindows::Hour(24), GroupWindows::Day] {
        let kind = AvgSpeedFile::Provisional(group(windows));
        kinds.push((group(windows).new_file(lake.unique_id()), Some(kind)));
    }
    for size in WindowSize::ALL {
        let kind = AvgSpeedFile::Final { run_id: Some("run-1".to_owned()), size: Some(size) };
        kinds.push((AvgSpeedFile::new_final(day, "run-1", size, lake.unique_id()), Some(kind)));
    }
    kinds.push((file_kind::compacted(Table::AvgSpeed, Some(day), lake.unique_id()), None));
    kinds.push((file_kind::landed(Table::AvgSpeed, day, &BTreeMap::new(), lake.unique_id()), None));
    kinds
}

pub async fn tags_are_in_the_log_in_checkpoints_and_in_deltalakes_view(bed: Bed) {
    let lake = bed.lake();
    let mut log = TableLog::open_or_create(&lake, Table::AvgSpeed, &[]).await.unwrap();
    let mut expected = BTreeMap::new();
    let mut files = Vec::new();
    for (new, kind) in every_kind(&lake) {
        let (path, tags) = (new.path.clone(), new.tags.clone());
        let batch = rows::sample(Table::AvgSpeed);
        let file = data_file::write(&lake, Table::AvgSpeed, new, &batch).await.unwrap();
        assert_eq!(file.tags, tags);
        expected.insert(path, (tags, kind));
        files.push(file);
    }
    let _ = log.try_commit(&Commit::new(&lake, "LAND").add(files)).await.unwrap();
    for checkpointed in [false, true] {
        if checkpointed {
            housekeeping::checkpoint(&bed.lake_ahead(2 * DAY), Table::AvgSpeed).await.unwrap();
        }
        let opened = TableLog::open(&bed.lake(), Table::AvgSpeed).await.unwrap();
        assert_eq!(opened.state().files().count(), expected.len());
        for file in opened.state().files() {
            let (tags, kind) = &expected[&file.path];
            assert_eq!(*file.tags, *tags, "{}", file.path);
            assert_eq!(AvgSpeedFile::tagged(file), *kind, "{}", file.path);
            assert_eq!(is_compacted(file), file.path.contains("compacted"));
            assert_eq!(log.state().file(&file.path), Some(file));
        }
        let delta = housekeeping::delta_table(&lake, Table::AvgSpeed).await.unwrap();
        for file in delta.snapshot().unwrap().log_data().iter() {
            #[expect(deprecated, reason = "the library shows tags nowhere else")]
            let tags = file.add_action().tags.unwrap_or_default().into_iter();
            let seen: BTreeMap<String, String> =
                tags.filter_map(|(key, value)| Some((key, value?))).collect();
            assert_eq!(seen, expected[&*file.path()].0, "{}", file.path());
        }
    }
}

/// Names are for people: a file is encoded and recognised alike whatever it is called.
pub async fn nothing_depends_on_the_name_of_a_file(bed: Bed) {
    let lake = bed.lake();
    let mut sizes = BTreeMap::new();
    for (file_use, size) in [(FileUse::ShortLived, "short"), (FileUse::LongLived, "long")] {
        for name in ["landed-x.parquet", "compacted-x.parquet", "final-run-24h-x.parquet"] {
            let new = NewFile {
                path: format!("event_date={}/{name}", rows::day()),
                partition: Some(rows::day()),
                file_use,
                tags: BTreeMap::new(),
            };
            let batch = rows::sample(Table::AvgSpeed);
            let file = data_file::write(&lake, Table::AvgSpeed, new, &batch).await.unwrap();
            assert_eq!(*sizes.entry(size).or_insert(file.size), file.size, "{size}, {name}");
        }
    }
    assert_ne!(sizes["short"], sizes["long"], "what a file is used for decides");
}
