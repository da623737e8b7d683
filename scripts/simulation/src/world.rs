//! One simulated world: its clock, its store, its broker, the settings of processes, and how processes are started in it.
//! Which programs they run is in [`crate::programs`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use lake_config::{OnDataLoss, Settings};
use lake_delta::Lake;
use lake_delta::storage::TableOptions;
use lake_model::calendar::TzRelease;
use lake_model::{KafkaPartition, ZoneRules};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::broker::Broker;
use crate::clock::{Clock, ProcessEnvironment};
use crate::connection::Connection;
use crate::faults::Faults;
use crate::plan::{Plan, SecondRelease};
use crate::process::{Death, Exit, Process};
use crate::programs::Failure;
use crate::store::Store;
use crate::trace::Trace;
use crate::truth::TrueSettings;

/// The release of the time-zone database that processes of the second release have, later than any that there is.
pub const LATER_TZ_RELEASE: &str = "2099a";
/// How the name ends of a run that repeats the one of the name before it.
pub const AGAIN: &str = "-again";

/// A world.
#[derive(Debug)]
pub struct World {
    /// What everything in it follows from.
    pub seed: u64,
    /// Its wall clock.
    pub clock: Arc<Clock>,
    /// What happens in it.
    pub trace: Trace,
    /// Its objects.
    pub store: Arc<Store>,
    /// What goes wrong between processes and the store.
    pub faults: Arc<Faults>,
    /// Its topic.
    pub broker: Arc<Broker>,
    /// What all processes are set to, but for what [`World::settings_of`] says.
    pub settings: Settings,
    /// What those of the second release do otherwise.
    second_release: SecondRelease,
    /// Since when processes that start accept that records are lost.
    accepts_loss_since_us: AtomicI64,
    /// Whether a process has ended because it does not accept that.
    has_refused_loss: AtomicBool,
}

/// A process under way.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub process: Arc<Process>,
    /// Its clock.
    pub environment: Arc<ProcessEnvironment>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<bool>,
}

impl Running {
    /// Tells it to stop in good order.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Whoever has ended already needs no telling.
            let _ = stop.send(());
        }
    }

    /// Waits until it is over; returns whether it did all that it should.
    pub async fn ended(self) -> bool {
        self.task.await.unwrap_or(false)
    }
}

/// How a process that was started is to end, and what its clock shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fortune {
    /// Where it dies.
    pub death: Option<Death>,
    /// How far its clock is ahead.
    pub skew_us: i64,
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(seed: u64, plan: &Plan, clock: Arc<Clock>, trace: Trace) -> Arc<World> {
        let accepts_loss = plan.settings.kafka.on_data_loss == OnDataLoss::Accept;
        Arc::new(World {
            seed,
            store: Store::new(&clock, &trace),
            faults: Arc::new(Faults::new(seed, plan.profile)),
            broker: Broker::new(&clock, &trace, plan.group, &plan.firsts),
            settings: plan.settings.clone(),
            second_release: plan.second_release,
            accepts_loss_since_us: AtomicI64::new(if accepts_loss { 0 } else { i64::MAX }),
            has_refused_loss: AtomicBool::new(false),
            clock,
            trace,
        })
    }

    /// What a process of that name does by its release. A run that repeats another is of the same release: the first run of a newer
    /// one has rules of the zone to add.
    fn release_of(&self, name: &str) -> SecondRelease {
        let name = name.strip_suffix(AGAIN).unwrap_or(name);
        let is_second = self.faults.draw(&["release", name]).happens(500);
        if is_second { self.second_release } else { SecondRelease::default() }
    }

    /// The settings of a process of that name that starts now.
    pub fn settings_of(&self, name: &str) -> Settings {
        let mut settings = self.settings.clone();
        if self.accepts_loss_since_us().is_some() {
            settings.kafka.on_data_loss = OnDataLoss::Accept;
        }
        if let Some(max_speed_kmh) = self.release_of(name).max_speed_kmh {
            settings.event.max_speed_kmh = max_speed_kmh;
        }
        settings
    }

    /// The rules of the pipeline's time zone in the database of a process of that name.
    pub fn zone_rules_of(&self, name: &str) -> ZoneRules {
        let zone = &self.settings.pipeline.timezone;
        let bundled = |zone| ZoneRules::bundled(zone).expect("plans name good zones");
        match self.release_of(name).zone {
            None => bundled(zone),
            Some(other) => {
                let release = TzRelease::new(LATER_TZ_RELEASE);
                let rules = ZoneRules::from_tzif(release, bundled(other).tzif());
                rules.expect("the database has good files")
            }
        }
    }

    /// From now on processes that start accept that records are lost.
    pub fn accept_loss(&self) {
        if self.accepts_loss_since_us().is_none() {
            self.trace.say("from now on losses are accepted");
            self.accepts_loss_since_us.store(self.clock.now_us(), Ordering::Relaxed);
        }
    }

    /// Since when processes that start accept that records are lost.
    pub fn accepts_loss_since_us(&self) -> Option<i64> {
        let since_us = self.accepts_loss_since_us.load(Ordering::Relaxed);
        (since_us < i64::MAX).then_some(since_us)
    }

    /// Notes that a process has ended because it does not accept a loss.
    pub fn note_refusal(&self) {
        self.trace.count("loss refused");
        self.has_refused_loss.store(true, Ordering::Relaxed);
    }

    /// Whether a process has ended because it does not accept a loss.
    pub fn has_refused_loss(&self) -> bool {
        self.has_refused_loss.load(Ordering::Relaxed)
    }

    /// The next offset of a partition in a table, as its log says.
    pub fn next_offset(&self, table: &str, partition: KafkaPartition) -> Option<i64> {
        let (pipeline, topic) = (&self.settings.pipeline.name, &self.settings.kafka.topic);
        self.store.last_txn(table, &format!("{pipeline}:{topic}:{partition}"))
    }

    fn connect(&self, process: &Arc<Process>, environment: &Arc<ProcessEnvironment>) -> Lake {
        let connection =
            Connection::new(process, &self.store, &self.faults, &self.clock, &self.trace);
        let options = TableOptions::from(&self.settings.lake);
        let clock = Arc::<ProcessEnvironment>::clone(environment);
        let ids = Arc::<ProcessEnvironment>::clone(environment);
        Lake::on_store(Arc::new(connection), clock, ids, options)
    }

    /// Starts what `work` makes of the process's lake and its signal to stop. Says what became of it.
    pub(crate) fn start<F>(
        self: &Arc<World>,
        name: String,
        fortune: Fortune,
        work: impl FnOnce(Arc<Process>, Lake, oneshot::Receiver<()>) -> F,
    ) -> Running
    where
        F: Future<Output = Result<bool, Failure>> + 'static,
    {
        let environment = ProcessEnvironment::new(&self.clock, self.seed, &name, fortune.skew_us);
        let process = Process::new(name, fortune.death);
        let lake = self.connect(&process, &environment);
        let (stop, stopped) = oneshot::channel();
        let contained = process.contain(work(Arc::clone(&process), lake, stopped));
        self.trace.say(&format!("{} starts", process.name()));
        let (trace, name) = (self.trace.clone(), process.name().to_owned());
        let task = tokio::task::spawn_local(async move {
            match contained.await {
                Exit::Killed => {
                    trace.count("crash");
                    trace.say(&format!("{name} is dead"));
                    false
                }
                Exit::Returned(Ok(is_complete)) => {
                    trace.say(&format!("{name} ends, complete: {is_complete}"));
                    is_complete
                }
                Exit::Returned(Err(Failure { problem, is_outside: true })) => {
                    trace.count("end by an external failure");
                    trace.say(&format!("{name} ends: {problem}"));
                    false
                }
                Exit::Returned(Err(Failure { problem, .. })) => {
                    trace.problem(format!("{name} ended for good: {problem}"));
                    false
                }
            }
        });
        Running { process, environment, stop: Some(stop), task }
    }

    /// The settings that the checker goes by.
    pub fn true_settings(&self) -> TrueSettings {
        let settings = &self.settings;
        TrueSettings {
            pipeline: settings.pipeline.name.clone(),
            timezone: settings.pipeline.timezone.clone(),
            later_rules: self.second_release.zone.map(|zone| (LATER_TZ_RELEASE, zone)),
            topic: settings.kafka.topic.clone(),
            allowed_lateness_us: micros(settings.speed.allowed_lateness),
            out_of_orderness_us: micros(settings.speed.out_of_orderness),
            close_after_us: micros(settings.batch.close_after),
            max_speed_kmh: settings.event.max_speed_kmh,
            other_max_speed_kmh: self.second_release.max_speed_kmh,
            max_record_bytes: settings.event.max_record_bytes,
            max_future_skew_us: settings.event.max_future_skew_us,
            default_limit_kmh: settings.speed_limits.default_kmh,
            camera_limits_kmh: settings.speed_limits.cameras.clone(),
            deleted_file_retention_us: micros(settings.lake.deleted_file_retention),
            event_retention_us: settings.maintain.event_retention.map(micros),
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
