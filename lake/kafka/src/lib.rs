//! What every program that talks to Kafka shares: the configuration of its clients, what a failure means, and how far
//! a topic's partitions reach, asked for until their leaders answer.
//!
//! [`client`] makes configurations from the settings; [`bounds`] asks for one partition and [`ends`] for a whole topic,
//! as an [`extent`]; [`times`] asks where the records of a time begin; [`error`] says which setting is at fault.

pub mod bounds;
pub mod client;
pub mod ends;
pub mod error;
pub mod extent;
pub mod times;

pub use bounds::partition_bounds;
pub use ends::{LogEnds, TopicEnds};
pub use error::{ClientError, is_permanent};
pub use extent::{PartitionExtent, TopicExtent};
pub use times::LogTimes;
