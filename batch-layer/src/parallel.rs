//! Work on every processor: a task for each, and the next one once the first of them is done.

use futures::stream::{self, Stream, StreamExt};
use tokio::task::JoinSet;

/// The processors that there are.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What becomes of the tasks of `work`, in their order. A task is made when it is its turn, `at_once` of them. Those at work end with
/// the stream.
pub(crate) fn in_order<W, T>(work: impl Iterator<Item = W>, at_once: usize) -> impl Stream<Item = T>
where
    W: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let run = |work: W| async {
        // A set, since that ends its task when it is dropped.
        let mut task = JoinSet::new();
        task.spawn(work);
        task.join_next().await.expect("there is one").unwrap_or_else(raise)
    };
    stream::iter(work).map(run).buffered(at_once)
}

/// A task that panicked must not pass for one that was done.
fn raise<T>(error: tokio::task::JoinError) -> T {
    std::panic::resume_unwind(error.into_panic())
}
