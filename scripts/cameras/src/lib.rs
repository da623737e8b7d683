//! The camera simulator: realistic events of speed cameras, produced to a Kafka topic.
//!
//! The first half is pure, so that a seed and the options say every record in advance: [`rhythm`] is how
//! traffic ebbs and flows over a day, [`schedule`] spreads the events over it second by second, [`world`]
//! holds the cameras with their habits and the plates, and [`generator`] draws each [`Sighting`], decides
//! whether it is late, sent twice or accompanied by a bad record ([`bad`]), and puts all in the order in
//! which they reach Kafka. [`wire`] writes a delivery as the payload of its record, with the configured
//! [`field_names`].
//!
//! The second half acts: [`cli`] reads the options and the settings, [`topic`] makes the topic, [`sink`]
//! sends, [`embedded`] hosts an in-process broker and keeps within what it can hold ([`allowance`]),
//! [`pace`] holds the rate, [`progress`] shows it, and [`run()`] drives one
//! run to its [`Summary`].

pub mod allowance;
pub mod bad;
pub mod cli;
pub mod embedded;
pub mod error;
pub mod field_names;
pub mod generator;
pub mod pace;
pub mod progress;
pub mod rhythm;
pub mod run;
pub mod schedule;
pub mod sink;
pub mod summary;
pub mod topic;
pub mod wire;
pub mod world;

pub use cli::Cli;
pub use error::SimulatorError;
pub use generator::{Delivery, Generator, Kind, Shares};
pub use run::run;
pub use summary::Summary;
pub use world::{Sighting, World};
