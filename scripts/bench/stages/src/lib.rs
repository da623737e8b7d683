//! What each stage of the speed layer takes of a processor, on the records of a real topic.
//!
//! [`reading`] has the product's own source fetch and decode the topic: that tells what both take together, and the batches
//! that records come in. [`input`] reads the topic again and keeps it. [`replay`] then decodes the same batches and does with
//! them what the engine does, one stage after another: folds them, encodes what is to land, uploads it, commits it.
//! [`costs`] has what each stage took; fetching is what is left of reading without decoding.
//!
//! This is a program of its own rather than a harness such as criterion, because its figures have to add up to what the
//! kernel counts for the speed layer: processor time of all threads, librdkafka's, the store's and the allocator's among
//! them, for every record once, in the order and on the memory of a cold start. A harness times one function by the clock,
//! over and over on data that is in the cache by then. Repeating is up to the caller, a process each time.

pub mod costs;
pub mod cpu;
pub mod input;
pub mod reading;
pub mod replay;
