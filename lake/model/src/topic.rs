//! Which topic it is that offsets count the records of.
//!
//! The same name may be another topic's: one that was deleted and created again, or one of another cluster. Kafka's ids
//! tell them apart.

use std::fmt;

/// What Kafka itself calls a topic. What a broker doesn't know is absent, and equal to anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicIdentity {
    /// The id of the cluster.
    pub cluster_id: Option<String>,
    /// The id that the topic was given when it was created.
    pub topic_id: Option<String>,
}

impl TopicIdentity {
    /// Whether it may be the same topic as `other`: nothing that both know differs. A topic keeps its id when a cluster
    /// is given another one, so the topic's decides where both know it.
    pub fn may_be(&self, other: &TopicIdentity) -> bool {
        match (&self.topic_id, &other.topic_id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => match (&self.cluster_id, &other.cluster_id) {
                (Some(ours), Some(theirs)) => ours == theirs,
                _ => true,
            },
        }
    }
}

impl fmt::Display for TopicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |id: &Option<String>| id.clone().unwrap_or_else(|| "unknown".to_owned());
        write!(f, "topic id {} in cluster {}", known(&self.topic_id), known(&self.cluster_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(cluster: Option<&str>, topic: Option<&str>) -> TopicIdentity {
        let owned = |text: &str| text.to_owned();
        TopicIdentity { cluster_id: cluster.map(owned), topic_id: topic.map(owned) }
    }

    #[test]
    fn a_topic_is_known_by_its_id_and_else_by_its_cluster() {
        let known = topic(Some("c"), Some("t"));
        assert!(known.may_be(&known));
        assert!(!known.may_be(&topic(Some("c"), Some("u"))), "created again");
        assert!(known.may_be(&topic(Some("d"), Some("t"))), "the cluster has a new id");
        assert!(known.may_be(&topic(Some("c"), None)));
        assert!(!known.may_be(&topic(Some("d"), None)), "another cluster of an old release");
        assert!(known.may_be(&TopicIdentity::default()));
    }
}
