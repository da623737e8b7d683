//! What goes wrong between a process and the store, decided by seed for each request.
//!
//! A request's fate follows from the seed and from what it asks for the how-manieth time, so that it does not
//! depend on the order of tasks. Errors are those that are left once an object store's client has given up
//! trying by itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;

use crate::chance::{self, Draw};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It takes that long and does what it should.
    Done(Duration),
    /// It does what it should at once, and the answer takes that long.
    AnsweredLate(Duration),
    /// It is refused (503) after that long, without an effect.
    FailedBefore(Duration),
    /// It takes effect after that long, and the answer is an error.
    FailedAfter(Duration),
    /// The client gives up after `answer`. The effect comes at `effect`, maybe later than that, if ever.
    Hung {
        /// When the client gives up.
        answer: Duration,
        /// When the effect comes.
        effect: Option<Duration>,
    },
    /// A create is refused (409) though there is no such object.
    Refused(Duration),
    /// A create takes effect, and the client's own second try finds the object there (412).
    ToldExists(Duration),
}

/// How often what goes wrong, in times of a thousand, and how slow the store is.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    failed_before: u64,
    failed_after: u64,
    hung: u64,
    slow: u64,
    refused: u64,
    told_exists: u64,
    latency_ms: (u64, u64),
    request_timeout_ms: u64,
}

/// The faults of a run.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    profile: Profile,
    is_on: AtomicBool,
    /// Milliseconds between which every request is refused.
    outage: Mutex<(u64, u64)>,
    planned: Mutex<Vec<Planned>>,
    spared: Mutex<BTreeSet<String>>,
}

/// What the next put of a process is to meet with whose path contains a text.
#[derive(Debug)]
struct Planned {
    process: String,
    path: &'static str,
    fate: Fate,
}

impl Profile {
    /// The profile of a seed: some runs have a store without faults, some a bad one.
    pub fn of(seed: u64) -> Profile {
        let mut chance = chance::stream(seed, "faults");
        let badness = [0, 2, 8, 20][chance.random_range(0..4)];
        let mut often = |most: u64| badness * chance.random_range(0..=most) / 4;
        Profile {
            failed_before: often(4),
            failed_after: often(4),
            hung: often(3),
            slow: often(6),
            refused: often(4),
            told_exists: often(4),
            latency_ms: (1, 12),
            request_timeout_ms: 2_000,
        }
    }
}

impl Faults {
    /// The faults of a seed.
    pub fn new(seed: u64, profile: Profile) -> Faults {
        let (is_on, outage) = (AtomicBool::new(true), Mutex::new((0, 0)));
        let (planned, spared) = (Mutex::default(), Mutex::default());
        Faults { seed, profile, is_on, outage, planned, spared }
    }

    /// Another decision of this run, about what `parts` name.
    pub fn draw(&self, parts: &[&str]) -> Draw {
        Draw::about(self.seed, parts)
    }

    /// From now on nothing goes wrong.
    pub fn turn_off(&self) {
        self.is_on.store(false, Ordering::Relaxed);
    }

    /// The store refuses everything between two instants, in milliseconds since the start.
    pub fn set_outage(&self, from_ms: u64, to_ms: u64) {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = (from_ms, to_ms);
    }

    /// From now on nothing goes wrong between `process` and the store but what is planned.
    pub fn spare(&self, process: &str) {
        self.spared().insert(process.to_owned());
    }

    fn spared(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.spared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next put of `process` whose path contains `path` meets with `fate`.
    pub fn plan(&self, process: &str, path: &'static str, fate: Fate) {
        self.planned().push(Planned { process: process.to_owned(), path, fate });
    }

    /// Whether something planned for `process` is still to come.
    pub fn has_planned(&self, process: &str) -> bool {
        self.planned().iter().any(|planned| planned.process == process)
    }

    fn take_planned(&self, process: &str, path: &str) -> Option<Fate> {
        let mut all = self.planned();
        let is_due = |planned: &Planned| planned.process == process && path.contains(planned.path);
        let at = all.iter().position(is_due)?;
        Some(all.remove(at).fate)
    }

    fn planned(&self) -> MutexGuard<'_, Vec<Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of the `nth` request of `process` of that `kind` for `path`, made at `now_ms`.
    pub fn fate(&self, process: &str, kind: &str, path: &str, nth: u64, now_ms: u64) -> Fate {
        let mut draw = self.draw(&[process, kind, path, &nth.to_string()]);
        let (least, most) = self.profile.latency_ms;
        let latency = Duration::from_millis(draw.between(least, most));
        if !self.is_on.load(Ordering::Relaxed) {
            return Fate::Done(latency);
        }
        let is_put = ["put", "create"].contains(&kind);
        if let Some(fate) = is_put.then(|| self.take_planned(process, path)).flatten() {
            return fate;
        }
        if self.spared().contains(process) {
            return Fate::Done(latency);
        }
        let (from, to) = *self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        if (from..to).contains(&now_ms) {
            return Fate::FailedBefore(latency);
        }
        self.decide(&mut draw, latency, kind)
    }

    fn decide(&self, draw: &mut Draw, latency: Duration, kind: &str) -> Fate {
        let profile = &self.profile;
        let of_create = u64::from(kind == "create");
        let mut left = draw.between(0, 1000);
        let mut is = |permille: u64| {
            let taken = left < permille;
            left = left.wrapping_sub(if taken { 0 } else { permille });
            taken
        };
        if is(profile.failed_before) {
            Fate::FailedBefore(latency)
        } else if is(profile.failed_after) {
            Fate::FailedAfter(latency)
        } else if is(profile.refused * of_create) {
            Fate::Refused(latency)
        } else if is(profile.told_exists * of_create) {
            Fate::ToldExists(latency)
        } else if is(profile.hung) {
            self.hung(draw)
        } else if is(profile.slow) {
            let wait = Duration::from_millis(draw.between(50, 1_500));
            if draw.happens(500) { Fate::Done(wait) } else { Fate::AnsweredLate(wait) }
        } else {
            Fate::Done(latency)
        }
    }

    fn hung(&self, draw: &mut Draw) -> Fate {
        let timeout_ms = self.profile.request_timeout_ms;
        let effect_ms = draw.between(1, 3 * timeout_ms);
        let effect = draw.happens(600).then(|| Duration::from_millis(effect_ms));
        Fate::Hung { answer: Duration::from_millis(timeout_ms), effect }
    }
}

impl Fate {
    /// What it is counted as.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Fate::Done(took) => (*took >= Duration::from_millis(50)).then_some("slow request"),
            Fate::AnsweredLate(_) => Some("late answer"),
            Fate::FailedBefore(_) => Some("503 before the effect"),
            Fate::FailedAfter(_) => Some("error after the effect"),
            Fate::Hung { effect: None, .. } => Some("hung request without effect"),
            Fate::Hung { answer, effect: Some(effect) } if effect > answer => {
                Some("hung request with an effect after the time-out")
            }
            Fate::Hung { .. } => Some("hung request with an effect"),
            Fate::Refused(_) => Some("409 without an object"),
            Fate::ToldExists(_) => Some("412 for our own object"),
        }
    }
}
