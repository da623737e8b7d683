//! Processor time by stage.
//!
//! Every instant between the first and the last belongs to one stage, or to what is none of the speed layer's, so that
//! nothing is counted twice and what is left out is known.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the speed layer does with records, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Getting records from Kafka: the threads of librdkafka, and polling without decoding.
    Fetch,
    /// Making batches of typed columns of payloads.
    Decode,
    /// Judging events late or not, folding them into windows, and making rows that are to land.
    Fold,
    /// Encoding rows that land as Parquet.
    Encode,
    /// Making rows of the windows that changed and encoding them as Parquet.
    Average,
    /// Putting data files into the store.
    Upload,
    /// Putting entries into the tables' logs, and letting go of what they hold.
    Commit,
}

impl Stage {
    /// The stage as figures name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Fetch => "fetch",
            Stage::Decode => "decode",
            Stage::Fold => "fold",
            Stage::Encode => "encode",
            Stage::Average => "average",
            Stage::Upload => "upload",
            Stage::Commit => "commit",
        }
    }
}

/// A clock of processor time, which only goes forward.
pub type Clock = Box<dyn FnMut() -> Duration + Send>;

/// Measures the time of stages that follow each other.
struct Meter {
    clock: Clock,
    /// The stage under way, if it is one of the speed layer's.
    at: Option<Stage>,
    since: Duration,
    spent: BTreeMap<Stage, Duration>,
}

impl Meter {
    /// Begins with what is no stage.
    fn new(mut clock: Clock) -> Meter {
        let since = clock();
        Meter { clock, at: None, since, spent: BTreeMap::new() }
    }

    fn turn(&mut self, stage: Option<Stage>) -> Option<Stage> {
        let now = (self.clock)();
        let before = self.at;
        if let Some(stage) = before {
            *self.spent.entry(stage).or_default() += now - self.since;
        }
        (self.at, self.since) = (stage, now);
        before
    }
}

/// A meter that a store charges too.
#[derive(Clone)]
pub struct SharedMeter(Arc<Mutex<Meter>>);

impl SharedMeter {
    /// Begins with what is no stage.
    pub fn new(clock: Clock) -> SharedMeter {
        SharedMeter(Arc::new(Mutex::new(Meter::new(clock))))
    }

    /// From now on time is that of `stage`. Returns the stage that it was of.
    pub fn enter(&self, stage: Stage) -> Option<Stage> {
        self.resume(Some(stage))
    }

    /// From now on time is that of no stage.
    pub fn leave(&self) {
        self.resume(None);
    }

    /// From now on time is that of `stage`, if it is of any. Returns the stage that it was of.
    pub fn resume(&self, stage: Option<Stage>) -> Option<Stage> {
        self.locked().turn(stage)
    }

    /// Ends the stage under way. Returns the time of each.
    pub fn finish(&self) -> BTreeMap<Stage, Duration> {
        self.leave();
        std::mem::take(&mut self.locked().spent)
    }

    fn locked(&self) -> MutexGuard<'_, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SharedMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedMeter")
    }
}

/// The seconds of every stage by name, of what a replay took and of what reading took, which is fetching and decoding.
pub fn seconds(
    reading: Duration,
    replayed: &BTreeMap<Stage, Duration>,
) -> BTreeMap<&'static str, f64> {
    let decoding = replayed.get(&Stage::Decode).copied().unwrap_or_default();
    let fetching = reading.as_secs_f64() - decoding.as_secs_f64();
    let replayed = replayed.iter().map(|(stage, spent)| (stage.as_str(), spent.as_secs_f64()));
    replayed.chain([(Stage::Fetch.as_str(), fetching)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that goes on by 1 ms, then 2 ms, and so on.
    fn clock() -> Clock {
        let (mut now, mut step) = (Duration::ZERO, Duration::ZERO);
        Box::new(move || {
            step += Duration::from_millis(1);
            now += step;
            now
        })
    }

    #[test]
    fn every_instant_belongs_to_the_stage_that_was_entered_last() {
        let meter = SharedMeter::new(clock());
        meter.enter(Stage::Decode); // 2 ms were no stage's
        meter.enter(Stage::Fold); // 3 ms
        meter.enter(Stage::Decode); // 4 ms
        meter.leave(); // 5 ms
        meter.enter(Stage::Commit); // 6 ms were no stage's
        let expected = [(Stage::Decode, 3 + 5), (Stage::Fold, 4), (Stage::Commit, 7)];
        let expected = expected.map(|(stage, millis)| (stage, Duration::from_millis(millis)));
        assert_eq!(meter.finish(), BTreeMap::from(expected));
    }

    #[test]
    fn stages_add_up_to_reading_and_what_follows_decoding() {
        let spent = |millis| Duration::from_millis(millis);
        let replayed = BTreeMap::from([
            (Stage::Decode, spent(100)),
            (Stage::Fold, spent(40)),
            (Stage::Upload, spent(7)),
        ]);
        let seconds = seconds(spent(550), &replayed);
        assert!((seconds["fetch"] - 0.45).abs() < 1e-9, "{seconds:?}");
        let sum: f64 = seconds.values().sum();
        assert!((sum - (0.55 + 0.04 + 0.007)).abs() < 1e-9, "{seconds:?}");
    }
}
