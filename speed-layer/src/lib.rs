//! The speed layer: consumes camera events from Kafka, lands each exactly once, and keeps provisional averages.
//!
//! Data flows top to bottom: [`kafka`] polls and [`decode`]s records into batches; the [`engine`] hands them
//! to their [`partition`], which keeps rows in [`landing`] and panes in [`provisional`]; at each interval
//! [`publish`] commits both to the [`tables`], fenced by the offsets that the tables hold. [`recovery`]
//! reads all state back from there. [`source`] is what the engine sees of Kafka; [`mod@reset`] mends a watermark
//! that a clock gone mad has carried away.

pub mod clock;
pub mod engine;
pub mod kafka;
pub mod landing;
pub mod partition;
pub mod provisional;
pub mod publish;
pub mod recovery;
pub mod reset;
pub mod source;
pub mod tables;

pub use engine::{Engine, EngineError};
pub use speed_layer_decode as decode;
