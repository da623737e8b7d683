//! The world's wall clock, which runs ahead of the runtime's, and what processes see of it.
//!
//! The runtime's clock is paused: it moves on only when every task waits, from one timer to the next. The wall
//! clock is that clock times a rate, so that days pass in minutes of timers, as if every machine were slow. A
//! process sees the wall clock with a skew of its own, which jumps.
//!
//! Nothing may happen to the store at the same instant as something else: [`Clock::reserve`] gives each effect
//! a millisecond, the resolution of timers, of its own. So the order of effects is that of time, whatever the
//! order in which tasks that wake at one instant run.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use lake_model::IdSource;
use lake_model::Timestamp;
use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time::Instant;
use uuid::Uuid;

use crate::chance;

/// The wall clock of a world. Lives on the thread of its runtime; other threads see the last instant read.
#[derive(Debug)]
pub struct Clock {
    home: ThreadId,
    state: Mutex<State>,
    last_us: AtomicI64,
    last_ms: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Where the present rate began: the runtime's instant and the wall time.
    since: Instant,
    since_us: i64,
    rate: i64,
    started: Instant,
    reserved_ms: BTreeSet<u64>,
}

impl Clock {
    /// A clock that shows `now_us` and runs `rate` times as fast as the runtime's. To be made within the
    /// runtime.
    pub fn starting_at(now_us: i64, rate: i64) -> Arc<Clock> {
        let since = Instant::now();
        let state =
            State { since, since_us: now_us, rate, started: since, reserved_ms: BTreeSet::new() };
        Arc::new(Clock {
            home: std::thread::current().id(),
            state: Mutex::new(state),
            last_us: AtomicI64::new(now_us),
            last_ms: AtomicU64::new(0),
        })
    }

    /// Whether this is the thread of the clock's runtime.
    pub fn is_home(&self) -> bool {
        std::thread::current().id() == self.home
    }

    /// The wall time, in microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        if self.is_home() {
            let now_us = self.state().now_us();
            self.last_us.store(now_us, Ordering::Relaxed);
        }
        self.last_us.load(Ordering::Relaxed)
    }

    /// Runs `rate` times as fast as the runtime's clock from now on.
    pub fn set_rate(&self, rate: i64) {
        let mut state = self.state();
        state.since_us = state.now_us();
        state.since = Instant::now();
        state.rate = rate;
    }

    /// Sets the wall clock `ahead_us` microseconds ahead, as if all machines had slept.
    pub fn skip(&self, ahead_us: i64) {
        self.state().since_us += ahead_us;
    }

    /// How long the runtime has to wait until the wall clock shows `at_us`.
    pub fn wait_until(&self, at_us: i64) -> Duration {
        let state = self.state();
        let missing_us = (at_us - state.now_us()).max(0).cast_unsigned();
        Duration::from_micros(missing_us / state.rate.cast_unsigned().max(1) + 1000)
    }

    /// The time since the start on the runtime's clock, in milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        if self.is_home() {
            let elapsed_ms = self.state().elapsed_ms();
            self.last_ms.store(elapsed_ms, Ordering::Relaxed);
        }
        self.last_ms.load(Ordering::Relaxed)
    }

    /// An instant of its own for an effect, `wait` from now or as soon after as one is free.
    pub fn reserve(&self, wait: Duration) -> Instant {
        let mut state = self.state();
        let now_ms = state.elapsed_ms();
        state.reserved_ms = state.reserved_ms.split_off(&now_ms);
        let mut at_ms = now_ms + u64::try_from(wait.as_millis()).unwrap_or(0).max(1);
        while !state.reserved_ms.insert(at_ms) {
            at_ms += 1;
        }
        state.started + Duration::from_millis(at_ms)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn now_us(&self) -> i64 {
        let elapsed = i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.since_us.saturating_add(elapsed.saturating_mul(self.rate))
    }
}

/// What one process sees of time and chance.
pub struct ProcessEnvironment {
    clock: Arc<Clock>,
    skew_us: AtomicI64,
    ids: Mutex<SmallRng>,
}

impl ProcessEnvironment {
    /// The environment of the process called `name`.
    pub fn new(clock: &Arc<Clock>, seed: u64, name: &str, skew_us: i64) -> Arc<ProcessEnvironment> {
        Arc::new(ProcessEnvironment {
            clock: Arc::clone(clock),
            skew_us: AtomicI64::new(skew_us),
            ids: Mutex::new(chance::stream(seed, &format!("ids of {name}"))),
        })
    }

    /// Sets how far the process's clock is ahead of the wall clock.
    pub fn jump_to(&self, skew_us: i64) {
        self.skew_us.store(skew_us, Ordering::Relaxed);
    }
}

impl lake_model::Clock for ProcessEnvironment {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_us() + self.skew_us.load(Ordering::Relaxed))
    }
}

impl IdSource for ProcessEnvironment {
    fn unique_id(&self) -> Uuid {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        Uuid::from_u64_pair(ids.random(), ids.random())
    }
}

impl fmt::Debug for ProcessEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessEnvironment")
    }
}
