//! The id of a lake, and the consumer group of its speed layers where `kafka.group` names none.
//!
//! Speed layers in one group divide the partitions among them, whatever lake each of them writes to. So the group carries
//! the id of the lake, and two lakes of one topic have two groups. The id is a property of `events`, written when that table
//! is created and never after. A lake of a release that gave no ids has none, and keeps the group that it had then.

use lake_config::Kafka;
use lake_delta::{Lake, TableState};

use super::LakeIdentity;

/// Tells the lake from all others, also of the same pipeline.
const LAKE_ID: &str = "lambdalake.lakeId";
/// Characters of an id: enough for the lakes of one topic, and short enough to be read aloud.
const ID_LENGTH: usize = 8;

impl LakeIdentity {
    /// The consumer group of the lake whose table `events` is at that state.
    pub fn consumer_group(&self, kafka: &Kafka, events: &TableState) -> String {
        match (&kafka.group, events.property(LAKE_ID)) {
            (Some(group), _) => group.clone(),
            (None, Some(id)) => format!("lambdalake-{}-{id}", self.pipeline),
            (None, None) => self.pipeline.clone(),
        }
    }
}

/// The property of a lake that is created now.
pub(super) fn new_lake_id(lake: &Lake) -> (String, String) {
    let id = lake.unique_id().simple().to_string();
    (LAKE_ID.to_owned(), id[..ID_LENGTH].to_owned())
}
