//! Cases about tables coming and going.

use futures::TryStreamExt;
use lake_delta::{Commit, CommitOutcome, Lake, LakeError, TableLog};
use lake_model::commit::OwnerEpoch;
use lake_model::{KafkaPartition, TableVersion, TopicIdentity};
use lake_tables::Table;
use lake_tables::identity::{LakeIdentity, check_claim};
use lake_tables::txn::AppIds;
use object_store::ObjectStoreExt;

use crate::bed::{Bed, DAY, entry, events, put_entry};
use crate::rows;

pub async fn of_two_creators_one_creates_and_both_have_the_same_table(bed: Bed) {
    let create = async |who: &str| {
        let lake = bed.lake();
        let properties = [("lambdalake.creator".to_owned(), who.to_owned())];
        TableLog::open_or_create(&lake, Table::Events, &properties).await.unwrap()
    };
    let (one, other) = tokio::join!(create("one"), create("other"));
    let creator = one.state().property("lambdalake.creator").unwrap();
    assert_eq!(other.state().property("lambdalake.creator"), Some(creator));
    assert_eq!(
        (one.state().version(), other.state().version()),
        (TableVersion(0), TableVersion(0))
    );
    let info = one.commit_info(TableVersion(0)).await.unwrap().unwrap();
    assert_eq!(info["operation"], "CREATE TABLE");
    assert_eq!(one.commit_info(TableVersion(1)).await.unwrap(), None);
}

pub async fn a_table_that_is_not_there_is_named_with_the_remedy(bed: Bed) {
    let lake = bed.lake();
    assert!(TableLog::open_if_exists(&lake, Table::AvgSpeed).await.unwrap().is_none());
    let error = TableLog::open(&lake, Table::AvgSpeed).await.unwrap_err();
    assert!(matches!(error, LakeError::NoTable { .. }));
    let message = error.to_string();
    for word in ["avg_speed", lake.uri(), "speed-layer run", "lake.uri"] {
        assert!(message.contains(word), "{message}");
    }
}

async fn delete_events(lake: &Lake) {
    let store = lake.table_store(Table::Events);
    let found = store.list(None).try_collect::<Vec<_>>().await.unwrap();
    for object in found {
        store.delete(&object.location).await.unwrap();
    }
}

pub async fn a_table_deleted_under_a_follower_is_noticed(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let _ = log.try_commit(&rows::landing(&lake)).await.unwrap();
    let mut follower = events(&bed.lake()).await;
    delete_events(&lake).await;
    let error = follower.refresh().await.unwrap_err();
    assert!(matches!(error, LakeError::NoTable { .. }), "{error}");

    events(&lake).await;
    follower.refresh().await.unwrap();
    assert_eq!(
        (follower.state().version(), follower.state().files().count()),
        (TableVersion(0), 0)
    );
}

pub async fn a_table_made_anew_under_an_old_state_is_a_conflict(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    for _ in 0..2 {
        let _ = log.try_commit(&rows::landing(&lake)).await.unwrap();
    }
    delete_events(&lake).await;
    events(&lake).await;
    bed.clock.advance(2 * DAY);
    let outcome = log.try_commit(&rows::landing(&lake)).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Conflict);
    assert_eq!((log.state().version(), log.state().files().count()), (TableVersion(0), 0));
    assert_eq!(entry(&lake, 3).await, None);
}

const COLUMNS_WITH_BOUNDS: &str = "delta.dataSkippingStatsColumns";

/// Python's deltalake skips files by columns that have no bounds, unless this property names those that have.
pub async fn a_table_of_an_earlier_release_names_its_columns_with_bounds_from_then_on(bed: Bed) {
    let lake = bed.lake();
    let identity = LakeIdentity::of(&lake_config::Settings::default());
    identity.open_or_create(&lake, Table::Events).await.unwrap();
    let mut creation = entry(&lake, 0).await.unwrap();
    delete_events(&lake).await;
    let metadata = creation.iter_mut().find_map(|line| line.get_mut("metaData")).unwrap();
    let configuration = metadata["configuration"].as_object_mut().unwrap();
    let columns = configuration.remove(COLUMNS_WITH_BOUNDS).unwrap();
    let expected = "camera_id,event_time,speed_kmh,kafka_timestamp,kafka_partition,kafka_offset";
    assert_eq!(columns, expected);
    configuration.insert("user.note".to_owned(), "kept".into());
    let mut expected = metadata.clone();
    let earlier = creation.iter().map(|line| format!("{line}\n")).collect();
    put_entry(&lake, 0, earlier).await;

    let open = || identity.open_or_create(&lake, Table::Events);
    let (one, other) = tokio::join!(open(), open());
    for log in [one.unwrap(), other.unwrap(), open().await.unwrap()] {
        assert_eq!(log.state().version(), TableVersion(1), "it is named once");
        assert_eq!(log.state().property(COLUMNS_WITH_BOUNDS), columns.as_str());
        assert_eq!(log.state().property("user.note"), Some("kept"));
    }
    expected["configuration"][COLUMNS_WITH_BOUNDS] = columns;
    let found = entry(&lake, 1).await.unwrap();
    assert_eq!(found.iter().find_map(|line| line.get("metaData")), Some(&expected));
}

/// Under another name the pipeline would know nothing of what has landed, and land it again.
pub async fn offsets_of_another_pipeline_are_refused_though_no_property_names_it(bed: Bed) {
    let lake = bed.lake();
    let mut log = TableLog::open_or_create(&lake, Table::Events, &[]).await.unwrap();
    let topic = lake_config::Settings::default().kafka.topic;
    let offsets = AppIds::new("former: name", &topic).next_offset(KafkaPartition(3));
    let others = AppIds::new("another", "another-topic").next_offset(KafkaPartition(3));
    let txns = [(others, 1), (format!("former: name:{topic}:x"), 1)];
    let _ = log.try_commit(&Commit::new(&lake, "LAND").txns(txns)).await.unwrap();
    let identity = LakeIdentity::of(&lake_config::Settings::default());
    assert!(identity.open(&lake, Table::Events).await.is_ok(), "they are no offsets of the topic");
    let commit = Commit::new(&lake, "LAND").txns([(offsets, 7)]);
    let _ = log.try_commit(&commit).await.unwrap();
    let error = identity.open(&lake, Table::Events).await.unwrap_err();
    assert!(matches!(error, LakeError::Configuration(_)));
    for part in ["pipeline.name = \"camera-speeds\"", "\"former: name\""] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let ours = identity.app_ids().next_offset(KafkaPartition(0));
    let _ = log.try_commit(&Commit::new(&lake, "LAND").txns([(ours, 7)])).await.unwrap();
    assert!(identity.open(&lake, Table::Events).await.is_ok(), "both have landed here");
}

/// Another pipeline's settings change nothing before they are refused.
pub async fn a_table_of_another_pipeline_is_left_as_it_is(bed: Bed) {
    let lake = bed.lake();
    TableLog::open_or_create(&lake, Table::Events, &[]).await.unwrap();
    let creation = entry(&lake, 0).await.unwrap();
    delete_events(&lake).await;
    let text: String = creation.iter().map(|line| format!("{line}\n")).collect();
    let other = text.replace(COLUMNS_WITH_BOUNDS, "lambdalake.topic");
    put_entry(&lake, 0, other).await;
    let mut log = TableLog::open(&lake, Table::Events).await.unwrap();
    let _ = log.try_commit(&landed(&lake, "another-topic")).await.unwrap();
    let identity = LakeIdentity::of(&lake_config::Settings::default());
    let error = identity.open_or_create(&lake, Table::Events).await.unwrap_err();
    assert!(error.to_string().contains("kafka.topic"), "{error}");
    assert_eq!(entry(&lake, 2).await, None);
}

/// A commit that lands something of `topic`.
fn landed(lake: &Lake, topic: &str) -> Commit {
    let next = AppIds::new("camera-speeds", topic).next_offset(KafkaPartition(0));
    Commit::new(lake, "LAND").txns([(next, 7)])
}

fn moscow(topic: &str) -> LakeIdentity {
    let mut settings = lake_config::Settings::default();
    settings.pipeline.timezone = "Europe/Moscow".to_owned();
    settings.kafka.topic = topic.to_owned();
    LakeIdentity::of(&settings)
}

/// A first try with other settings stands in nobody's way.
pub async fn a_lake_that_holds_nothing_is_made_that_of_another_zone_and_topic(bed: Bed) {
    let lake = bed.lake();
    let first = LakeIdentity::of(&lake_config::Settings::default()).on(topic("first"));
    for table in Table::ALL {
        first.open_or_create(&lake, table).await.unwrap();
    }
    let mut events = first.open(&lake, Table::Events).await.unwrap();
    let owner = first.app_ids().own(KafkaPartition(0), OwnerEpoch(3));
    let _ = events.try_commit(&Commit::new(&lake, "CLAIM").txns([owner])).await.unwrap();

    let second = moscow("other").on(topic("second"));
    assert!(second.open(&lake, Table::Events).await.is_err(), "who only reads is refused");
    second.check_lake(&lake).await.unwrap();
    for table in Table::ALL {
        second.open_or_create(&lake, table).await.unwrap();
        second.open(&lake, table).await.unwrap();
        assert!(first.open(&lake, table).await.is_err());
    }
    // Whoever still works with the former settings notices with its next commit.
    events.refresh().await.unwrap();
    let error = check_claim(&events, &first.app_ids()).unwrap_err();
    assert!(error.to_string().contains("kafka.topic = \"camera-events\""), "{error}");
}

pub async fn a_lake_that_holds_anything_stays_its_pipelines(bed: Bed) {
    let lake = bed.lake();
    let first = LakeIdentity::of(&lake_config::Settings::default());
    for table in Table::ALL {
        first.open_or_create(&lake, table).await.unwrap();
    }
    let mut letters = first.open(&lake, Table::DeadLetters).await.unwrap();
    let _ = letters.try_commit(&landed(&lake, "camera-events")).await.unwrap();
    let second = moscow("camera-events");
    let error = second.check_lake(&lake).await.unwrap_err();
    assert!(error.to_string().contains("dead_letters"), "{error}");
    for table in Table::ALL {
        assert!(second.open_or_create(&lake, table).await.is_err());
        first.open(&lake, table).await.unwrap();
    }
}

/// Kafka's ids of the topic.
fn topic(id: &str) -> TopicIdentity {
    TopicIdentity { cluster_id: Some("cluster".to_owned()), topic_id: Some(id.to_owned()) }
}

pub async fn a_table_without_kafkas_ids_is_given_them_and_refuses_another_topic(bed: Bed) {
    let lake = bed.lake();
    let identity = LakeIdentity::of(&lake_config::Settings::default());
    identity.open_or_create(&lake, Table::Events).await.unwrap();
    let (first, second) =
        (identity.clone().on(topic("first")), identity.clone().on(topic("second")));
    let mut log = first.open_or_create(&lake, Table::Events).await.unwrap();
    assert_eq!(log.state().version(), TableVersion(1));
    assert!(log.state().property(COLUMNS_WITH_BOUNDS).is_some(), "the others are kept");
    let _ = log.try_commit(&landed(&lake, "camera-events")).await.unwrap();
    let error = second.open_or_create(&lake, Table::Events).await.unwrap_err();
    assert!(matches!(error, LakeError::Configuration(_)));
    for part in ["kafka.topic = \"camera-events\"", "topic id first", "topic id second"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // Whoever does not ask Kafka, or a Kafka that knows no ids, goes on.
    let log = identity.open_or_create(&lake, Table::Events).await.unwrap();
    assert_eq!(log.state().version(), TableVersion(2), "nothing is changed by it");
    assert!(first.open(&lake, Table::Events).await.is_ok());
}

fn pipeline(name: &str) -> LakeIdentity {
    let mut settings = lake_config::Settings::default();
    settings.pipeline.name = name.to_owned();
    LakeIdentity::of(&settings)
}

pub async fn a_renamed_pipeline_goes_on_and_its_former_name_is_refused_and_fenced(bed: Bed) {
    let lake = bed.lake();
    let (former, renamed, other) = (pipeline("former"), pipeline("renamed"), pipeline("other"));
    for table in Table::ALL {
        former.open_or_create(&lake, table).await.unwrap();
    }
    let mut events = former.open(&lake, Table::Events).await.unwrap();
    let (partition, ids) = (KafkaPartition(3), former.app_ids());
    let txns = [
        (ids.next_offset(partition), 7),
        (ids.max_event_time(partition), 99),
        (ids.retention_floor(), 5),
        (AppIds::new("another", "topic").next_offset(partition), 1),
    ];
    let _ = events.try_commit(&Commit::new(&lake, "LAND").txns(txns)).await.unwrap();

    assert!(other.rename_from(&lake, "nobody").await.is_err(), "it has another name");
    assert!(former.rename_from(&lake, "former").await.is_err(), "that is no new name");
    assert_eq!(renamed.rename_from(&lake, "former").await.unwrap(), 5);
    assert_eq!(renamed.rename_from(&lake, "former").await.unwrap(), 0, "it is done once");

    let log = renamed.open(&lake, Table::Events).await.unwrap();
    let progress = renamed.app_ids().progress(log.state(), partition);
    assert_eq!(progress.next_offset.map(|next| next.0), Some(7));
    assert_eq!(progress.max_event_time.map(|time| time.micros()), Some(99));
    assert_eq!(log.state().txn(&renamed.app_ids().retention_floor()), Some(5));
    // Whoever built on the former offset does not find it.
    assert_eq!(log.state().txn(&ids.next_offset(partition)), Some(i64::MAX));
    for table in Table::ALL {
        assert!(renamed.open(&lake, table).await.is_ok());
        let error = former.open(&lake, table).await.unwrap_err();
        assert!(matches!(error, LakeError::Configuration(_)), "{error}");
    }
}
