//! The programs of the product, as processes of a world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use batch_layer::nightly::{DayFilter, NightlyOptions};
use batch_layer::{BatchError, Context, Shutdown, maintain, nightly};
use lake_delta::LakeError;
use lake_model::{KafkaPartition, Offset, Timestamp};
use lake_tables::identity::LakeIdentity;
use speed_layer::recovery::RecoveryError;
use speed_layer::reset::reset_watermark;
use speed_layer::stop_at::StopAt;
use speed_layer::tables::Tables;
use speed_layer::{Engine, EngineError};
use tokio::sync::oneshot;

use crate::broker::Ends;
use crate::chance;
use crate::source::SimulatedSource;
use crate::world::{Fortune, Running, World};

impl World {
    /// Starts `speed-layer run`, which stops at `ends` if there are any.
    pub fn speed_layer(
        self: &Arc<World>,
        name: String,
        fortune: Fortune,
        ends: Option<BTreeMap<KafkaPartition, Offset>>,
    ) -> Running {
        let world = Arc::clone(self);
        self.start(name, fortune, move |process, lake, stopped| async move {
            let settings = world.settings_of(process.name());
            let (identity, rules) =
                (LakeIdentity::of(&settings), world.zone_rules_of(process.name()));
            let tables = Tables::open_with_rules(&lake, identity, &rules).await?;
            let chance = chance::stream(world.seed, process.name());
            let decode = settings.event.clone();
            let source =
                SimulatedSource::join(&world.broker, &process, &world.trace, decode, chance);
            let stop_at = ends.clone().map(|ends| {
                let stop_at = StopAt::from(ends);
                let is_exceeded = stop_at.is_exceeded(&tables);
                if is_exceeded { stop_at.doubting(&tables, &world.broker.ends()) } else { stop_at }
            });
            let engine = Engine::new(source, tables, &settings)?;
            let engine = match stop_at {
                Some(stop_at) => engine.until(stop_at),
                None => engine,
            };
            let was_stopped = Arc::new(AtomicBool::new(false));
            let stopping = Arc::clone(&was_stopped);
            let stop = async move {
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
                stopping.store(true, Ordering::Relaxed);
            };
            engine.run(stop).await.map_err(|error| world.failure(error))?;
            if !was_stopped.load(Ordering::Relaxed) {
                world.check_ends(process.name(), &ends.unwrap_or_default());
            }
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

    /// Whether the tables hold everything before `ends`, as they must where a run has ended for that.
    fn check_ends(&self, name: &str, ends: &BTreeMap<KafkaPartition, Offset>) {
        for (partition, end) in ends {
            for table in ["events", "avg_speed"] {
                let next = self.next_offset(table, *partition).unwrap_or(0);
                if next < end.0 {
                    let problem = format!("{name} ended at the ends, with partition {partition}");
                    self.trace.problem(format!("{problem} of {table} at {next}, not {end}"));
                }
            }
        }
    }

    /// Why a speed layer ended. One that refuses to go on after a cut of the log does right, if there was one.
    fn failure(&self, error: EngineError) -> Failure {
        if let EngineError::Recovery(RecoveryError::Truncated { cut, wanted, .. }) = &error
            && self.broker.is_cut_before(cut.partition, *wanted)
            && self.accepts_loss_since_us() != Some(0)
        {
            self.note_refusal();
            return Failure { problem: error.to_string(), is_outside: true };
        }
        error.into()
    }
}

fn signal(stopped: oneshot::Receiver<()>) -> Shutdown {
    Shutdown::on(async move {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Why a process ended by itself.
pub(crate) struct Failure {
    pub(crate) problem: String,
    /// Whether that is right: the store failed it, or records are lost.
    pub(crate) is_outside: bool,
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
