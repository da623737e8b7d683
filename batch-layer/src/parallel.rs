//! Work on every processor: a task for each, and the next one once the first of them is done.

use futures::stream::{self, Stream, StreamExt};

/// How many tasks are worked on at once.
pub(crate) fn tasks_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What becomes of the tasks of `work`, in their order. A task is made when there is a processor for it, `at_once` of them.
pub(crate) fn in_order<W, T>(work: impl Iterator<Item = W>, at_once: usize) -> impl Stream<Item = T>
where
    W: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let run = |task: W| async { tokio::spawn(task).await.unwrap_or_else(raise) };
    stream::iter(work).map(run).buffered(at_once)
}

/// A task that panicked must not pass for one that was done.
fn raise<T>(error: tokio::task::JoinError) -> T {
    std::panic::resume_unwind(error.into_panic())
}
