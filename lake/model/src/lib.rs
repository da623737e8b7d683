//! The pure core of lambdalake: what an event, a day, a window and an average are, and what to commit.
//!
//! Data flows through it as through the product: a record becomes a [`CameraId`], a [`Timestamp`] and a
//! [`Speed`], or a [`DeadLetterReason`]; the [`Calendar`] gives the event its day and its windows; the
//! [`PartitionClock`] decides whether it is late; a [`Pane`] folds it; [`resume`], [`offsets`] and [`commit`] decide what a
//! table already holds and what may be committed; [`finalization`] decides which days the batch recomputes.
//!
//! Nothing here does I/O, reads a clock or draws a random number: every result follows from its arguments.

pub mod calendar;
pub mod camera;

pub mod commit;
pub mod dead_letter;
pub mod environment;
pub mod event_columns;
pub mod event_format;
pub mod exit_code;
pub mod finalization;
pub mod histogram;
pub mod kafka_timestamp;
pub mod leader_epoch;
pub mod offsets;
mod outage;
pub mod pane;
pub mod resume;
pub mod speed;
pub mod table_version;
pub mod time;
mod topic;
pub mod watermark;
pub mod window;

pub use calendar::{Calendar, Day, DaySpan, ZoneRules};
pub use camera::CameraId;
pub use dead_letter::{DeadLetter, DeadLetterReason};
pub use environment::{Clock, IdSource};
pub use event_columns::{EventColumns, EventRow};
pub use event_format::EventFormat;
pub use histogram::SpeedHistogram;
pub use leader_epoch::LeaderEpoch;
pub use offsets::{KafkaPartition, Offset, OffsetRange, OffsetRanges};
pub use outage::{Outage, OutageReport};
pub use pane::{Pane, Summary};
pub use speed::{Speed, SpeedLimits};
pub use table_version::TableVersion;
pub use time::Timestamp;
pub use topic::TopicIdentity;
pub use watermark::{Lateness, PartitionClock};
pub use window::{Window, WindowSize};
