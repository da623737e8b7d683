//! One simulated world: its clock, its store, its broker, the settings that every process shares, and how
//! processes are started in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use batch_layer::nightly::{DayFilter, NightlyOptions};
use batch_layer::{BatchError, Context, Shutdown, maintain, nightly};
use lake_config::OnDataLoss;
use lake_config::Settings;
use lake_delta::storage::TableOptions;
use lake_delta::{Lake, LakeError};
use lake_model::{KafkaPartition, Offset, Timestamp};
use speed_layer::recovery::RecoveryError;
use speed_layer::reset::reset_watermark;
use speed_layer::tables::Tables;
use speed_layer::{Engine, EngineError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::broker::{Broker, Ends};
use crate::chance;
use crate::clock::{Clock, ProcessEnvironment};
use crate::connection::Connection;
use crate::faults::Faults;
use crate::process::{Death, Exit, Process};
use crate::source::SimulatedSource;
use crate::store::Store;
use crate::trace::Trace;
use crate::truth::TrueSettings;

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
    /// The settings of every process.
    pub settings: Settings,
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
    fn connect(&self, process: &Arc<Process>, environment: &Arc<ProcessEnvironment>) -> Lake {
        let connection =
            Connection::new(process, &self.store, &self.faults, &self.clock, &self.trace);
        let options = TableOptions::from(&self.settings.lake);
        let clock = Arc::<ProcessEnvironment>::clone(environment);
        let ids = Arc::<ProcessEnvironment>::clone(environment);
        Lake::on_store(Arc::new(connection), clock, ids, options)
    }

    /// Starts what `work` makes of the process's lake and its signal to stop. Says what became of it.
    fn start<F>(
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

    /// Starts `speed-layer run`, which stops at `ends` if there are any.
    pub fn speed_layer(
        self: &Arc<World>,
        name: String,
        fortune: Fortune,
        ends: Option<BTreeMap<KafkaPartition, Offset>>,
    ) -> Running {
        let world = Arc::clone(self);
        self.start(name, fortune, move |process, lake, stopped| async move {
            let tables = Tables::open(&lake, &world.settings).await?;
            let chance = chance::stream(world.seed, process.name());
            let decode = world.settings.event.clone();
            let source =
                SimulatedSource::join(&world.broker, &process, &world.trace, decode, chance);
            let engine = Engine::new(source, tables, &world.settings)?;
            let engine = match ends {
                Some(ends) => engine.until(ends),
                None => engine,
            };
            let stop = async move {
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            engine.run(stop).await?;
            Ok(true)
        })
    }

    /// Starts `batch-layer nightly`.
    pub fn nightly(self: &Arc<World>, name: String, fortune: Fortune, wait: Duration) -> Running {
        let world = Arc::clone(self);
        self.start(name, fortune, move |process, lake, stopped| async move {
            let context = Context::new(world.settings.clone(), lake)?;
            let ends = Ends::new(&world.broker, &process);
            let days = DayFilter::default();
            let options = NightlyOptions { days, dry_run: false, force: false, wait };
            let report = nightly::run(&context, &ends, &options, &signal(stopped)).await?;
            let lines = report.to_string();
            lines.lines().for_each(|line| world.trace.say(&format!("{}: {line}", process.name())));
            Ok(report.is_complete())
        })
    }

    /// Starts `batch-layer maintain`.
    pub fn maintain(self: &Arc<World>, name: String, fortune: Fortune) -> Running {
        let world = Arc::clone(self);
        self.start(name, fortune, move |process, lake, stopped| async move {
            let context = Context::new(world.settings.clone(), lake)?;
            let ends = Ends::new(&world.broker, &process);
            let report = maintain::run(&context, &ends, false, &signal(stopped)).await?;
            let lines = report.to_string();
            lines.lines().for_each(|line| world.trace.say(&format!("{}: {line}", process.name())));
            Ok(true)
        })
    }

    /// Starts `speed-layer reset-watermark`.
    pub fn reset_watermark(
        self: &Arc<World>,
        name: String,
        fortune: Fortune,
        partition: KafkaPartition,
        to_us: i64,
    ) -> Running {
        let world = Arc::clone(self);
        self.start(name, fortune, move |process, lake, _| async move {
            let to = Timestamp::from_micros(to_us);
            let outcome = reset_watermark(&lake, &world.settings, partition, to).await?;
            world.trace.say(&format!("{}: {outcome:?}", process.name()));
            Ok(true)
        })
    }

    /// Starts `batch-layer audit`, whose findings are problems.
    pub fn audit(self: &Arc<World>, name: String) -> Running {
        let world = Arc::clone(self);
        self.start(name, Fortune::default(), move |_, lake, _| async move {
            let context = Context::new(world.settings.clone(), lake)?;
            let report = batch_layer::audit::run(&context).await?;
            for problem in &report.problems {
                world.trace.problem(format!("audit: {problem}"));
            }
            Ok(report.is_ok())
        })
    }

    /// The settings that the checker goes by.
    pub fn true_settings(&self) -> TrueSettings {
        let settings = &self.settings;
        TrueSettings {
            pipeline: settings.pipeline.name.clone(),
            timezone: settings.pipeline.timezone.clone(),
            topic: settings.kafka.topic.clone(),
            allowed_lateness_us: micros(settings.speed.allowed_lateness),
            out_of_orderness_us: micros(settings.speed.out_of_orderness),
            close_after_us: micros(settings.batch.close_after),
            max_speed_kmh: settings.event.max_speed_kmh,
            max_record_bytes: settings.event.max_record_bytes,
            max_future_skew_us: settings.event.max_future_skew_us,
            default_limit_kmh: settings.speed_limits.default_kmh,
            camera_limits_kmh: settings.speed_limits.cameras.clone(),
            deleted_file_retention_us: micros(settings.lake.deleted_file_retention),
            event_retention_us: settings.maintain.event_retention.map(micros),
            accepts_loss: settings.kafka.on_data_loss == OnDataLoss::Accept,
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn signal(stopped: oneshot::Receiver<()>) -> Shutdown {
    Shutdown::on(async move {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Why a process ended by itself.
struct Failure {
    problem: String,
    /// Whether trying again may help: the store failed it.
    is_outside: bool,
}

impl From<LakeError> for Failure {
    fn from(error: LakeError) -> Failure {
        Failure { problem: error.to_string(), is_outside: error.is_transient() }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        let is_outside = match &error {
            EngineError::Lake(error) | EngineError::Recovery(RecoveryError::Lake(error)) => {
                error.is_transient()
            }
            EngineError::OutOfTime(_) => true,
            _ => false,
        };
        Failure { problem: error.to_string(), is_outside }
    }
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Failure {
        let is_outside = matches!(&error, BatchError::Lake(error) if error.is_transient());
        Failure { problem: error.to_string(), is_outside }
    }
}
