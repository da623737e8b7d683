//! Lakes whose names are easily confused lie side by side: none of them reads or writes anything of another.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use lake_delta::{Commit, Lake, TableLog, housekeeping};
use lake_model::Clock;
use lake_tables::Table;
use object_store::path::Path;

use crate::bed::{Bed, DAY, opened};
use crate::rows;
use lake_testing::default_options;

fn lake(bed: &Bed, name: &str, is_later: bool) -> Lake {
    let clock = if is_later { bed.clock.later(2 * DAY) } else { bed.clock.clone() };
    let clock: Arc<dyn Clock> = Arc::new(clock);
    opened(&format!("{}/{name}", bed.uri()), clock, default_options())
}

/// Each lake gets rows of its own and a checkpoint, after which its earlier entries are deleted. Then each has its own.
async fn each_has_its_own(bed: &Bed, names: &[&str]) {
    for (number, name) in names.iter().enumerate() {
        let lake = lake(bed, name, false);
        let mut log = TableLog::open_or_create(&lake, Table::Events, &[]).await.unwrap();
        assert_eq!(log.state().files().count(), 0, "{name}");
        let file = rows::file_of(&lake, Table::Events, &rows::sample(Table::Events)).await;
        let txn = [("number".to_owned(), number as i64)];
        let _ = log.try_commit(&Commit::new(&lake, "LAND").add([file]).txns(txn)).await.unwrap();
    }
    for name in names {
        housekeeping::checkpoint(&lake(bed, name, true), Table::Events).await.unwrap();
    }
    for (number, name) in names.iter().enumerate() {
        let lake = lake(bed, name, true);
        let log = TableLog::open(&lake, Table::Events).await.unwrap();
        assert_eq!(log.state().files().count(), 1, "{name}");
        assert_eq!(log.state().txn("number"), Some(number as i64), "{name}");
        let store = lake.table_store(Table::Events);
        let in_log = store.list(Some(&Path::from("_delta_log")));
        let in_log: Vec<String> =
            in_log.map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
        assert!(in_log.iter().any(|path| path.ends_with(".checkpoint.parquet")), "{in_log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_with_confusable_names_are_lakes_of_their_own() {
    let names = [
        "a b",
        "a%20b",
        "a+b",
        "a~b",
        "a%7Eb",
        "a%257Eb",
        "озеро",
        "%D0%BE",
        "о",
        "[x]",
        "%5Bx%5D",
        "x\\y",
        "x%5Cy",
        "a#b",
        "a%23b",
        "a?b",
        "a%3Fb",
        "a*b",
        "a|b",
        "{a}",
        "%",
        "a^b",
        "`a`",
        "\"a\"",
        "a ",
    ];
    let bed = Bed::disk();
    each_has_its_own(&bed, &names).await;
    let found = std::fs::read_dir(bed.uri()).unwrap();
    let found: BTreeSet<String> =
        found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, names.map(str::to_owned).into(), "nothing lies beside them");
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_with_confusable_names_are_lakes_of_their_own() {
    let names = [
        "a b", "a+b", "a=b", "a&b", "a@b", "a:b", "a,b", "a;b", "a!b", "a$b", "a'b", "a(b)", "a.b",
        "a..b", "ab",
    ];
    each_has_its_own(&Bed::minio(), &names).await;
}

/// However a folder is written, it is the same lake.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_one_lake_however_it_is_written() {
    let bed = Bed::disk();
    each_has_its_own(&bed, &["a b"]).await;
    let base = bed.uri();
    for uri in [
        format!("{base}/a b/"),
        format!("{base}//a b"),
        format!("{base}/x/../a b"),
        format!("{base}/./a b"),
        format!("file://{base}/a%20b"),
    ] {
        std::fs::create_dir_all(format!("{base}/x")).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(bed.clock.clone());
        let lake = opened(&uri, clock, default_options());
        let log = TableLog::open(&lake, Table::Events).await.unwrap();
        assert_eq!(log.state().txn("number"), Some(0), "{uri}");
        assert_eq!(lake.uri(), format!("{base}/a b"));
    }
}
