//! Cases about the consumer group that a lake's speed layers form.

use lake_config::{Kafka, Settings};
use lake_delta::Lake;
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;

use crate::bed::{Bed, events};

fn of_pipeline(name: &str) -> LakeIdentity {
    let mut settings = Settings::default();
    settings.pipeline.name = name.to_owned();
    LakeIdentity::of(&settings)
}

async fn group(lake: &Lake, identity: &LakeIdentity, kafka: &Kafka) -> String {
    let events = identity.open_or_create(lake, Table::Events).await.unwrap();
    identity.consumer_group(kafka, events.state())
}

pub async fn each_lake_has_a_group_of_its_own_that_stays(bed: Bed) {
    let kafka = Settings::default().kafka;
    let identity = of_pipeline("roads");
    let first = group(&bed.lake(), &identity, &kafka).await;
    assert!(first.starts_with("lambdalake-roads-"), "{first}");
    assert_eq!(group(&bed.lake(), &identity, &kafka).await, first);
    let of_other = group(&Bed::memory().lake(), &identity, &kafka).await;
    assert_ne!(of_other, first);
    // Nothing has landed: another pipeline may take the lake, whose id stays.
    let taken = group(&bed.lake(), &of_pipeline("rails"), &kafka).await;
    assert_eq!(taken, first.replace("roads", "rails"));
}

pub async fn a_lake_of_a_release_without_ids_keeps_its_group(bed: Bed) {
    let lake = bed.lake();
    events(&lake).await;
    let identity = of_pipeline("roads");
    for _ in 0..2 {
        assert_eq!(group(&lake, &identity, &Settings::default().kafka).await, "roads");
    }
}

pub async fn a_group_that_is_named_is_never_changed(bed: Bed) {
    let mut kafka = Settings::default().kafka;
    kafka.group = Some("mine".to_owned());
    assert_eq!(group(&bed.lake(), &of_pipeline("roads"), &kafka).await, "mine");
}
