//! A simulated process: a future that can be killed or frozen at any await.
//!
//! [`Process::contain`] wraps all that a process does. A killed process is dropped where it stands; a frozen
//! one is not polled, as after SIGSTOP, while its timers run out and the world goes on. What a process started
//! as tasks of its own waits at its next request to the store, see [`Process::gate`].

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Where a process is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// At the n-th request to the store, before or after its effect.
    Request {
        /// Counted from 1.
        nth: u64,
        /// Whether the request still takes effect.
        after_effect: bool,
    },
    /// At the n-th put of a path that contains the text, before or after its effect.
    Put {
        /// Part of the path.
        path: &'static str,
        /// Counted from 1.
        nth: u64,
        /// Whether the put still takes effect.
        after_effect: bool,
    },
    /// At the n-th await that it comes back from.
    Await {
        /// Counted from 1.
        nth: u64,
    },
    /// At the n-th instant at which it comes back from an await. How often it does so at one instant is up to the
    /// machine where it waits for threads of the deltalake library.
    Instant {
        /// Counted from 1.
        nth: u64,
    },
}

/// How a contained future ended.
#[derive(Debug)]
pub enum Exit<T> {
    /// By itself.
    Returned(T),
    /// It was killed.
    Killed,
}

/// A handle to a process.
#[derive(Debug)]
pub struct Process {
    name: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    is_frozen: bool,
    is_killed: bool,
    has_ended: bool,
    death: Option<Death>,
    awaits: u64,
    instants: u64,
    last_polled: Option<Instant>,
    requests: u64,
    puts: u64,
    waker: Option<Waker>,
}

impl Process {
    /// A process that is about to start.
    pub fn new(name: String, death: Option<Death>) -> Arc<Process> {
        let state = State { death, ..State::default() };
        Arc::new(Process { name, state: Mutex::new(state), changed: Notify::new() })
    }

    /// Its name, such as `speed-2.1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Kills it where it stands.
    pub fn kill(&self) {
        self.change(|state| state.is_killed = true);
    }

    /// Stops or continues it, as SIGSTOP and SIGCONT do.
    pub fn freeze(&self, is_frozen: bool) {
        self.change(|state| state.is_frozen = is_frozen);
    }

    /// From now on it dies there.
    pub fn doom(&self, death: Death) {
        self.change(|state| {
            (state.awaits, state.instants, state.requests, state.puts) = (0, 0, 0, 0);
            state.death = Some(death);
        });
    }

    /// Whether it answers: it is neither dead nor frozen.
    pub fn is_alive(&self) -> bool {
        let state = self.state();
        !(state.is_frozen || state.is_killed || state.has_ended)
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        let state = self.state();
        state.is_killed || state.has_ended
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.state().is_frozen
    }

    /// Whether it was killed.
    pub fn is_killed(&self) -> bool {
        self.state().is_killed
    }

    /// Counts a request, of `path` if it is a put. Returns whether the process dies at it, and if so
    /// whether after its effect.
    pub fn dies_at_request(&self, put: Option<&str>) -> Option<bool> {
        let mut state = self.state();
        state.requests += 1;
        match state.death? {
            Death::Request { nth, after_effect } => (state.requests == nth).then_some(after_effect),
            Death::Put { path, nth, after_effect } => {
                state.puts += u64::from(put?.contains(path));
                (put?.contains(path) && state.puts == nth).then_some(after_effect)
            }
            Death::Await { .. } | Death::Instant { .. } => None,
        }
    }

    /// Waits while the process is frozen, and for ever once it is dead.
    pub async fn gate(&self) {
        loop {
            let changed = self.changed.notified();
            let (is_frozen, is_killed) = {
                let state = self.state();
                (state.is_frozen, state.is_killed)
            };
            if is_killed {
                std::future::pending::<()>().await;
            }
            if !is_frozen {
                return;
            }
            changed.await;
        }
    }

    /// Waits until it is over.
    pub async fn ended(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state().has_ended {
                return;
            }
            changed.await;
        }
    }

    /// All that the process does, contained.
    pub fn contain<F: Future>(self: &Arc<Process>, work: F) -> Contained<F> {
        Contained { process: Arc::clone(self), work: Some(Box::pin(work)) }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.state();
            change(&mut state);
            state.waker.take()
        };
        self.changed.notify_waiters();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A contained future.
pub struct Contained<F> {
    process: Arc<Process>,
    work: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Contained<F> {
    type Output = Exit<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let process = Arc::clone(&self.process);
        if process.is_due(context) {
            return self.end(Exit::Killed);
        }
        if process.is_frozen() {
            return Poll::Pending;
        }
        let Some(work) = self.work.as_mut() else { return Poll::Pending };
        match work.as_mut().poll(context) {
            Poll::Ready(value) => self.end(Exit::Returned(value)),
            Poll::Pending if process.is_killed() => self.end(Exit::Killed),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<F: Future> Contained<F> {
    fn end(&mut self, exit: Exit<F::Output>) -> Poll<Exit<F::Output>> {
        self.work = None;
        self.process.change(|state| state.has_ended = true);
        Poll::Ready(exit)
    }
}

impl Process {
    /// Counts an await, and returns whether the process dies here.
    fn is_due(&self, context: &Context<'_>) -> bool {
        let mut state = self.state();
        state.waker = Some(context.waker().clone());
        if !state.is_frozen {
            let now = Instant::now();
            let is_new = state.last_polled.replace(now) != Some(now);
            state.awaits += 1;
            state.instants += u64::from(is_new);
            state.is_killed |= match state.death {
                Some(Death::Await { nth }) => nth == state.awaits,
                Some(Death::Instant { nth }) => is_new && nth == state.instants,
                _ => false,
            };
        }
        state.is_killed
    }
}
