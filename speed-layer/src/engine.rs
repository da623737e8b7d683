//! The engine: takes what the source tells, and commits what it adds up to.
//!
//! Everything happens in one task and in one order, so that what a commit holds is exactly the records before
//! the position that it records. While a commit is under way the source's bounded queue fills, and fetching
//! stops. What fails because the store is away stays in memory and is tried again; past a bound nothing more
//! is taken until it lands. Once told to stop, the engine has a bounded time for what it holds: whatever it is
//! at then is dropped where it stands, which to the tables is a crash like any other.

mod assignment;
mod averages;
mod ends;
mod land;
mod run;
mod tidy;
mod watermarks;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use lake_config::Settings;
use lake_delta::{Lake, LakeError};
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::tidy::Tidy;
use crate::partition::{Partition, Rules};
use crate::recovery::RecoveryError;
use crate::source::{Source, SourceEvent};
use crate::tables::Tables;

/// How long the engine listens to the source after a commit failed, before it tries the next. Trying takes long
/// while the store is away: without a pause something would always be due, and partitions given or taken away
/// would wait until it is back.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Why the engine stopped.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The tables.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A partition can't be continued.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The source.
    #[error("{0}")]
    Source(String),
    /// The time for committing ran out after the request to stop.
    #[error(
        "stopped without committing everything: the store did not take it within speed.shutdown_timeout = \
         {0:?}; nothing is lost, the next start reads it from Kafka again"
    )]
    OutOfTime(Duration),
}

/// How the engine paces itself.
#[derive(Clone, Copy, Debug)]
struct Pace {
    commit_interval: Duration,
    landing_interval: Duration,
    position_interval: Duration,
    shutdown_timeout: Duration,
    landing_bytes: usize,
    accept_loss: bool,
}

/// The speed layer on a source of records.
pub struct Engine<S> {
    source: S,
    lake: Lake,
    tables: Tables,
    rules: Rules,
    pace: Pace,
    partitions: BTreeMap<i32, Partition>,
    epochs: u64,
    /// Partitions that seemed to end before what is landed, with the offset wanted.
    suspects: BTreeMap<i32, i64>,
    /// The end offsets to stop at, if it is to stop.
    ends: Option<BTreeMap<i32, i64>>,
    /// Before this instant no commit is tried.
    retry_at: Instant,
    tidy: Tidy,
}

impl<S: Source> Engine<S> {
    /// Gets ready to take records from `source` into `tables`.
    pub fn new(source: S, tables: Tables, settings: &Settings) -> Result<Engine<S>, EngineError> {
        let lake = tables.events.lake().clone();
        let pace = Pace {
            commit_interval: settings.speed.commit_interval,
            landing_interval: settings.speed.landing_interval,
            position_interval: settings.speed.position_interval,
            shutdown_timeout: settings.speed.shutdown_timeout,
            landing_bytes: usize::try_from(settings.speed.landing_bytes).unwrap_or(usize::MAX),
            accept_loss: settings.kafka.on_data_loss == lake_config::OnDataLoss::Accept,
        };
        let tidy = Tidy::new(&lake);
        Ok(Engine {
            source,
            lake,
            tables,
            rules: Rules::new(settings)?,
            pace,
            partitions: BTreeMap::new(),
            epochs: 0,
            suspects: BTreeMap::new(),
            ends: None,
            retry_at: Instant::now(),
            tidy,
        })
    }

    /// Takes what comes until `shutdown` completes or the ends are reached.
    async fn turn_until(&mut self, shutdown: impl Future<Output = ()>) -> Result<(), EngineError> {
        // What counts from 0 on shows its first increase.
        metrics::counter!("lambdalake_speed_commit_failures_total").increment(0);
        metrics::counter!("lambdalake_speed_fenced_total").increment(0);
        let mut averages = ticks(self.pace.commit_interval);
        let mut landing = ticks(self.pace.landing_interval);
        let mut positions = ticks(self.pace.position_interval);
        tokio::pin!(shutdown);
        while !self.has_reached_ends() {
            let waiting_bytes = self.waiting_bytes();
            metrics::gauge!("lambdalake_speed_waiting_bytes").set(waiting_bytes as f64);
            let has_room = waiting_bytes < 2 * self.pace.landing_bytes;
            tokio::select! {
                biased;
                () = &mut shutdown => {
                    tracing::info!("stopping: committing what is held");
                    break;
                }
                _ = averages.tick() => {
                    self.tell_watermarks();
                    self.average_if_possible(false).await?;
                    self.look_for_ends_elsewhere().await;
                }
                _ = landing.tick() => self.land_if_possible(false).await?,
                _ = positions.tick() => {
                    self.land_if_possible(true).await?;
                    self.average_if_possible(true).await?;
                }
                event = self.source.next(), if has_room => self.handle(event).await?,
            }
        }
        Ok(())
    }

    async fn handle(&mut self, event: SourceEvent) -> Result<(), EngineError> {
        match event {
            SourceEvent::Records(batch) => {
                metrics::counter!("lambdalake_speed_records_total").increment(batch.len() as u64);
                let rules = &self.rules;
                if let Some(partition) = current(&mut self.partitions, batch.partition, batch.epoch)
                {
                    partition.take(*batch, rules);
                }
                if self.waiting_bytes() >= self.pace.landing_bytes {
                    self.land_if_possible(false).await?;
                }
            }
            SourceEvent::Position { partition, epoch, next } => {
                if let Some(partition) = current(&mut self.partitions, partition, epoch) {
                    partition.advance(next);
                }
            }
            SourceEvent::EndReached { partition, epoch } => {
                let end = self.ends.as_ref().and_then(|ends| ends.get(&partition)).copied();
                if let Some((partition, end)) =
                    current(&mut self.partitions, partition, epoch).zip(end)
                {
                    partition.advance(end);
                }
            }
            SourceEvent::Assigned { partitions, reply } => {
                let starts = self.load(&partitions).await?;
                // Nobody waits any more if the assignment was revoked meanwhile.
                let _ = reply.send(starts);
            }
            SourceEvent::Revoked { partitions, reply } => {
                let result = self.commit_all().await;
                self.tolerate(result)?;
                self.let_go(&partitions);
                let _ = reply.send(());
            }
            SourceEvent::Lost { partitions } => {
                tracing::warn!(
                    ?partitions,
                    "partitions lost: what was not committed will be replayed"
                );
                self.let_go(&partitions);
            }
            SourceEvent::Failed { problem } => return Err(EngineError::Source(problem)),
        }
        Ok(())
    }

    /// Commits everything that is held, and tells the group.
    async fn commit_all(&mut self) -> Result<(), EngineError> {
        self.land(true).await?;
        self.commit_averages(true).await
    }

    async fn land_if_possible(&mut self, offsets_alone: bool) -> Result<(), EngineError> {
        if Instant::now() < self.retry_at {
            return Ok(());
        }
        let result = self.land(offsets_alone).await;
        self.tolerate(result)
    }

    async fn average_if_possible(&mut self, offsets_alone: bool) -> Result<(), EngineError> {
        if Instant::now() < self.retry_at {
            return Ok(());
        }
        let result = self.commit_averages(offsets_alone).await;
        self.tolerate(result)
    }

    /// What failed because the outside is away is kept and tried again; anything else ends the engine.
    fn tolerate(&mut self, result: Result<(), EngineError>) -> Result<(), EngineError> {
        match result {
            Err(EngineError::Lake(error)) if error.is_transient() => {
                metrics::counter!("lambdalake_speed_commit_failures_total").increment(1);
                tracing::error!(
                    %error, waiting_bytes = self.waiting_bytes(), "not committed; trying again"
                );
                self.retry_at = Instant::now() + self.pace.commit_interval.min(RETRY_PAUSE);
                Ok(())
            }
            result => result,
        }
    }

    fn tell_group(&mut self) {
        let offsets: Vec<(i32, i64)> =
            self.partitions.values().filter_map(|p| Some((p.id(), group_offset(p)?))).collect();
        self.source.commit_offsets(&offsets);
    }

    fn waiting_bytes(&self) -> usize {
        self.partitions.values().map(|partition| partition.landing.bytes()).sum()
    }
}

/// How far both tables are.
fn group_offset(partition: &Partition) -> Option<i64> {
    partition.landing.landed().events.min(partition.averaged)
}

/// The partition, if it is held under that epoch.
fn current(
    partitions: &mut BTreeMap<i32, Partition>,
    id: i32,
    epoch: u64,
) -> Option<&mut Partition> {
    partitions.get_mut(&id).filter(|partition| partition.epoch() == epoch)
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
