//! Lakes in memory, and on any other store.

use std::sync::Arc;

use lake_config::Settings;
use lake_delta::Lake;
use lake_delta::storage::TableOptions;
use lake_model::{Clock, IdSource};
use lake_runtime::{RandomIds, SystemClock};
use object_store::ObjectStore;
use object_store::memory::InMemory;

/// An empty lake in memory, with the machine's clock and random ids.
pub fn lake_in_memory() -> Lake {
    lake_on(Arc::new(InMemory::new()))
}

/// An empty lake in memory, with that clock and those ids.
pub fn lake_in_memory_with(clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Lake {
    Lake::on_store(Arc::new(InMemory::new()), clock, ids, default_options())
}

/// The lake on a store, with the machine's clock and random ids.
pub fn lake_on(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::on_store(store, Arc::new(SystemClock), Arc::new(RandomIds), default_options())
}

/// How tables are kept unless settings say otherwise.
pub fn default_options() -> TableOptions {
    TableOptions::from(&Settings::default().lake)
}
