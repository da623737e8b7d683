//! What every program has around its work: its start and exit code, the request to stop, logs, metrics, and the
//! machine's clock and ids.
//!
//! A `main` calls [`startup::run`] with its work. [`telemetry`] is where logs and metrics go; [`SystemClock`] and
//! [`RandomIds`] are passed to whatever needs time and ids, [`Shutdown`]
//! to whatever has to end in good order, [`Readiness`] to whatever knows why the program is not ready.

mod readiness;
mod shutdown;
pub mod startup;
mod system;
pub mod telemetry;

pub use readiness::Readiness;
pub use shutdown::Shutdown;
pub use system::{RandomIds, SystemClock};
