//! The request to stop, which a signal makes and the run heeds between records and while it waits.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A request to stop, shared between the one who asks and the run.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<(Mutex<bool>, Condvar)>);

impl Shutdown {
    /// Asks the run to stop.
    pub fn request(&self) {
        *self.flag() = true;
        self.0.1.notify_all();
    }

    /// Whether the run was asked to stop.
    pub fn requested(&self) -> bool {
        *self.flag()
    }

    /// Waits for at most `time`; at once, and true, when the run is asked to stop.
    pub fn wait(&self, time: Duration) -> bool {
        let waited = self.0.1.wait_timeout_while(self.flag(), time, |requested| !*requested);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn flag(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
