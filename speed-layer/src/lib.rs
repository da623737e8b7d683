//! The speed layer: consumes camera events from Kafka, lands each exactly once, and keeps provisional averages.
//!
//! Data flows top to bottom: [`kafka`] polls and [`decode`]s records into batches; the [`engine`] hands them
//! to their [`partition`] in the [`partition_set`], which keeps rows in [`landing`] and panes in [`provisional`]; at each
//! interval the [`lander`] and the [`averages_writer`] commit both through the [`committer`], which [`publish`]es to the
//! [`tables`], fenced by the offsets that the tables hold, by the [`ownership`] of partitions and by the bounds of days, whose
//! rules `zone_rules` keeps there. [`takeover`] and [`recovery`] read all state back from there.
//! [`dead_share`] watches how many records are no events, and [`mod@check`] shows what a topic's records would become.
//! [`source`] is what the engine sees of Kafka, [`stop_at`] where a bounded run ends, [`topic_check`] whether the
//! topic is still the same; [`mod@reset`] sets a watermark back
//! that a faulty camera clock has carried away, and [`split`] gives each group of provisional rows a file of its own where
//! another tool has put several into one.

pub mod averages_writer;
pub mod check;
pub mod checkpoints;
pub mod clock;
pub mod committer;
pub mod dead_share;
pub mod engine;
pub mod kafka;
pub mod lander;
pub mod landing;
mod metrics;
pub mod ownership;
pub mod partition;
pub mod partition_set;
pub mod provisional;
pub mod publish;
pub mod recovery;
pub mod reset;
pub mod source;
pub mod split;
pub mod stop_at;
pub mod tables;
pub mod takeover;
#[cfg(test)]
mod test_instance;
pub mod topic_check;
pub mod truncation;
mod zone_rules;

pub use engine::{Engine, EngineError};
pub use metrics::describe as describe_metrics;
pub use speed_layer_decode as decode;
