//! A deterministic simulation of the whole pipeline under faults, by seed.
//!
//! The real speed layer, batch and maintenance run on one thread, on the runtime's paused clock, with a simulated
//! topic and a simulated store. A seed stands for everything that happens, down to the millisecond:
//! - [`plan`] draws what the seed stands for: settings, topic, group, faults, and [`scenario`]s.
//! - [`world`] holds what processes share: the [`clock`], the [`store`], the [`broker`] with its partitions ([`log`])
//!   and its consumer [`group`], and the [`trace`]. It starts processes: each is a future in a [`process`] that can be
//!   killed or frozen at any await, with a clock and ids of its own, a [`connection`] to the store that goes wrong as
//!   [`faults`] decide, and, in a speed layer, a [`source`].
//! - [`director`] makes things happen, [`producer`] sends records, and [`play`] plays the scenarios.
//! - [`run`] plays a seed and concludes it without faults; [`checker`], which shares no code with the product, holds
//!   the history of every object against the [`truth`].
//! - [`sweep`] runs many seeds, [`cli`] and [`summary`] are what a person sees of it.
//!
//! # Determinism
//! Whoever draws from a generator does so in one order; all else is decided by hashes ([`chance`]). Each effect on
//! the store has a millisecond of its own. The deltalake library works on threads of its own, during which the
//! runtime's clock stands still; it reads the machine's clock in one place, which is why runs lie in the future.
//!
//! # What is not simulated
//! Requests in parts (no object is large enough), torn objects, a store that is not consistent (S3 and MinIO are),
//! errors of the requests that the deltalake library makes from its own threads, and Kafka's client library itself:
//! `scripts/chaos.sh` runs real processes.

pub mod broker;
pub mod chance;
pub mod checker;
pub mod cli;
pub mod clock;
pub mod connection;
pub mod director;
pub mod faults;
pub mod group;
pub mod log;
pub mod plan;
pub mod play;
pub mod process;
pub mod producer;
pub mod programs;
pub mod run;
pub mod scenario;
pub mod source;
pub mod store;
pub mod summary;
pub mod sweep;
pub mod trace;
pub mod truth;
pub mod world;
