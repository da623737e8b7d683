//! The engine: takes what the source tells, and commits what it adds up to.
//!
//! Everything happens in one task and in one order, so that what a commit holds is exactly the records before
//! the position that it records. While a commit is under way the source's bounded queue fills, and fetching
//! stops. What fails because the store is away stays in memory and is tried again; past a bound nothing more
//! is taken until it lands.

mod assignment;
mod averages;
mod land;
mod tidy;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use lake::{Lake, LakeError, Settings};
use lake_model::{Calendar, Lateness, Speed};
use tokio::time::{MissedTickBehavior, interval};

use self::tidy::Tidy;
use crate::partition::{Limits, Partition, Rules};
use crate::recovery::RecoveryError;
use crate::source::{Source, SourceEvent};
use crate::tables::Tables;

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
}

/// How the engine paces itself.
#[derive(Clone, Copy, Debug)]
struct Pace {
    commit_interval: Duration,
    landing_interval: Duration,
    position_interval: Duration,
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
    /// The end offsets to stop at, if it is to stop.
    ends: Option<BTreeMap<i32, i64>>,
    tidy: Tidy,
}

impl<S: Source> Engine<S> {
    /// Gets ready to take records from `source` into `tables`.
    pub fn new(source: S, tables: Tables, settings: &Settings) -> Result<Engine<S>, EngineError> {
        let lake = tables.events.lake().clone();
        let calendar = Calendar::new(&settings.pipeline.timezone)
            .map_err(|error| LakeError::Configuration(format!("pipeline.timezone: {error}")))?;
        let lateness = Lateness {
            allowed_us: micros(settings.speed.allowed_lateness),
            out_of_orderness_us: micros(settings.speed.out_of_orderness),
        };
        let limits = Limits {
            default: settings.speed_limits.default_kmh.map(Speed::rounded),
            cameras: settings
                .speed_limits
                .cameras
                .iter()
                .map(|(camera, kmh)| (camera.clone(), Speed::rounded(*kmh)))
                .collect(),
        };
        let pace = Pace {
            commit_interval: settings.speed.commit_interval,
            landing_interval: settings.speed.landing_interval,
            position_interval: settings.speed.position_interval,
            landing_bytes: usize::try_from(settings.speed.landing_bytes).unwrap_or(usize::MAX),
            accept_loss: settings.kafka.on_data_loss == lake::settings::OnDataLoss::Accept,
        };
        let tidy = Tidy::new(&lake);
        Ok(Engine {
            source,
            lake,
            tables,
            rules: Rules { calendar, lateness, limits },
            pace,
            partitions: BTreeMap::new(),
            epochs: 0,
            ends: None,
            tidy,
        })
    }

    /// Stops once the tables hold everything before these end offsets, by partition.
    #[must_use]
    pub fn until(mut self, ends: BTreeMap<i32, i64>) -> Engine<S> {
        self.ends = Some(ends);
        self
    }

    /// Takes records until `shutdown` completes or the ends are reached, commits all that is held, and
    /// leaves the group.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), EngineError> {
        let result = self.turn_until(shutdown).await;
        let committed = match &result {
            Ok(()) => self.commit_all().await,
            Err(_) => Ok(()),
        };
        self.source.close().await;
        result.and(committed)
    }

    async fn turn_until(&mut self, shutdown: impl Future<Output = ()>) -> Result<(), EngineError> {
        let mut averages = ticks(self.pace.commit_interval);
        let mut landing = ticks(self.pace.landing_interval);
        let mut positions = ticks(self.pace.position_interval);
        tokio::pin!(shutdown);
        while !self.has_reached_ends() {
            let has_room = self.waiting_bytes() < 2 * self.pace.landing_bytes;
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                _ = averages.tick() => {
                    let result = self.commit_averages(false).await;
                    self.tolerate(result)?;
                    self.look_for_ends_elsewhere().await;
                }
                _ = landing.tick() => self.land_if_possible(false).await?,
                _ = positions.tick() => {
                    self.land_if_possible(true).await?;
                    let result = self.commit_averages(true).await;
                    self.tolerate(result)?;
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
                    partition.take(batch, rules);
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
                self.partitions.retain(|id, _| !partitions.contains(id));
                let _ = reply.send(());
            }
            SourceEvent::Lost { partitions } => {
                tracing::warn!(
                    ?partitions,
                    "partitions lost: what was not committed will be replayed"
                );
                self.partitions.retain(|id, _| !partitions.contains(id));
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
        let result = self.land(offsets_alone).await;
        self.tolerate(result)
    }

    /// What failed because the outside is away is kept and tried again; anything else ends the engine.
    fn tolerate(&self, result: Result<(), EngineError>) -> Result<(), EngineError> {
        match result {
            Err(EngineError::Lake(error)) if error.is_transient() => {
                metrics::counter!("lambdalake_speed_commit_failures_total").increment(1);
                tracing::error!(
                    %error, waiting_bytes = self.waiting_bytes(), "not committed; trying again"
                );
                Ok(())
            }
            result => result,
        }
    }

    fn tell_group(&mut self) {
        let offsets: Vec<(i32, i64)> = self
            .partitions
            .values()
            .filter_map(|p| Some((p.id(), p.landing.landed().events.min(p.averaged)?)))
            .collect();
        self.source.commit_offsets(&offsets);
    }

    fn waiting_bytes(&self) -> usize {
        self.partitions.values().map(|partition| partition.landing.bytes()).sum()
    }

    /// Whether the tables or the partitions held reach every end.
    fn has_reached_ends(&self) -> bool {
        let Some(ends) = &self.ends else { return false };
        ends.iter().all(|(id, end)| match self.partitions.get(id) {
            Some(partition) => partition.position() >= *end,
            None => {
                let next = |log: &lake::TableLog| {
                    self.tables.app_ids.progress(log.state(), *id).next_offset.unwrap_or(0)
                };
                next(&self.tables.events).min(next(&self.tables.avg_speed)) >= *end
            }
        })
    }

    /// Other instances may be what reaches the remaining ends.
    async fn look_for_ends_elsewhere(&mut self) {
        let Some(ends) = &self.ends else { return };
        let are_ours_reached = self.partitions.values().all(|partition| {
            ends.get(&partition.id()).is_none_or(|end| partition.position() >= *end)
        });
        if are_ours_reached && let Err(error) = self.tables.refresh().await {
            tracing::warn!(%error, "the tables can't be read");
        }
    }
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

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
