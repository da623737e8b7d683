//! What Kafka has of the topic, and whether it is the topic.

use lake_kafka::PartitionExtent;
use lake_model::{KafkaPartition, Offset, OffsetRange, TableVersion, TopicIdentity};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;

use crate::nightly;
use crate::test_support::{World, options, seen};
use crate::{BatchError, Shutdown};

async fn world() -> World {
    let mut world = World::new("UTC", "2025-04-06T12:00:00Z").await;
    world.process(&[seen("KV1", "2025-04-05T10:00:00Z", 60_000)]).await;
    world
}

fn topic(id: &str) -> TopicIdentity {
    TopicIdentity { cluster_id: Some("cluster".to_owned()), topic_id: Some(id.to_owned()) }
}

/// The lake holds offsets of the topic with this id.
async fn hold_offsets_of(world: &World, id: &str) {
    let identity = LakeIdentity::of(&world.context.settings).on(topic(id));
    identity.open_or_create(&world.context.lake, Table::Events).await.unwrap();
}

async fn refusal(world: &World) -> BatchError {
    let before = world.version(Table::AvgSpeed).await;
    let error = nightly::run(&world.context, &world.kafka, &options(), &Shutdown::never()).await;
    assert_eq!(world.version(Table::AvgSpeed).await, before, "nothing was made final");
    error.unwrap_err()
}

#[tokio::test]
async fn records_of_an_open_transaction_are_waited_for_and_named() {
    let world = world().await;
    let stable = OffsetRange::new(Offset(0), Offset(1));
    let extent = PartitionExtent { stable, high_watermark: Offset(4) };
    world.kafka.topic().partitions.insert(KafkaPartition(0), extent);
    let report = world.nightly().await;
    assert_eq!((report.done.len(), report.left.len()), (0, 1));
    let reason = &report.left[0].reason;
    for part in [
        "partition 0 has landed up to offset 1 of 4",
        "in partition 0 a transaction is open since offset 1, which holds back the 3 records up to offset 4",
        "kafka-transactions.sh",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    world.kafka_reaches(0, 1);
    assert!(world.nightly().await.is_complete());
}

#[tokio::test]
async fn records_that_only_the_speed_layer_lacks_are_no_matter_of_transactions() {
    let world = world().await;
    world.kafka_reaches(0, 4);
    let report = world.nightly().await;
    assert!(!report.left[0].reason.contains("transaction"), "{}", report.left[0].reason);
}

#[tokio::test]
async fn a_topic_that_was_created_again_is_refused_with_both_ids() {
    let world = world().await;
    hold_offsets_of(&world, "first").await;
    world.kafka.topic().identity = topic("second");
    let error = refusal(&world).await;
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    for part in ["kafka.topic", "topic id first", "topic id second", "another lake.uri"] {
        assert!(message.contains(part), "{message}");
    }
    world.kafka.topic().identity = topic("first");
    assert_eq!(world.nightly().await.done.len(), 1);
}

#[tokio::test]
async fn a_topic_with_fewer_partitions_than_have_landed_is_refused() {
    let world = world().await;
    let extent = world.kafka.topic().partitions.remove(&KafkaPartition(0)).unwrap();
    let error = refusal(&world).await;
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("no partition 0"), "{error}");
    world.kafka.topic().partitions.insert(KafkaPartition(0), extent);
    assert_eq!(world.nightly().await.done.len(), 1);
}

#[tokio::test]
async fn a_lake_that_knows_no_ids_goes_on_with_any() {
    let world = world().await;
    world.kafka.topic().identity = topic("any");
    assert_eq!(world.nightly().await.done.len(), 1);
    assert_ne!(world.version(Table::AvgSpeed).await, TableVersion(0));
}
