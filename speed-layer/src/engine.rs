//! The engine: receives what the source delivers, and commits what it adds up to.
//!
//! It is a loop over parts that know nothing of each other. `Work` holds what was received in a
//! [`PartitionSet`](crate::partition_set::PartitionSet), which the [`Lander`](crate::lander::Lander) and the
//! [`AveragesWriter`](crate::averages_writer::AveragesWriter) commit through the [`Committer`](crate::committer::Committer),
//! and which [`Takeover`](crate::takeover::Takeover) loads from the tables. The `RetryGate` holds commits back for a moment
//! after one failed, and [`StopAt`] says whether a bounded run is at its end.
//!
//! Everything happens in one task and in one order, so that what a commit holds is exactly the records before
//! the position that it records. While a commit is under way the source's bounded queue fills, and fetching
//! stops. What fails because the store is away stays in memory and is tried again; past a bound nothing more
//! is received until it lands. Once asked to stop, the engine has a bounded time for what it holds: whatever it is
//! at then is dropped where it stands, which to the tables is a crash like any other.

mod error;
mod pace;
mod retry_gate;
mod work;

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use lake_config::Settings;
use lake_model::{KafkaPartition, Offset};
use lake_runtime::Readiness;
use tokio::time::{Instant, sleep};

pub use self::error::EngineError;
use self::pace::{Pace, ticks};
use self::retry_gate::RetryGate;
use self::work::Work;
use crate::dead_share::DeadShare;
use crate::source::{AssignedPartition, Source, SourceEvent, Start};
use crate::stop_at::StopAt;
use crate::tables::Tables;
use crate::topic_check::TopicCheck;

/// The wait between tries at the last commits.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// The speed layer on a source of records.
pub struct Engine<S> {
    source: S,
    pace: Pace,
    work: Work,
    /// Where to stop, if it is to stop.
    stop_at: Option<StopAt>,
    retry: RetryGate,
    dead_share: DeadShare,
    readiness: Readiness,
}

impl<S: Source> Engine<S> {
    /// Gets ready to receive records from `source` into `tables`.
    pub fn new(source: S, tables: Tables, settings: &Settings) -> Result<Engine<S>, EngineError> {
        let pace = Pace::new(&settings.speed);
        Ok(Engine {
            source,
            retry: RetryGate::new(pace.commit_interval),
            dead_share: DeadShare::new(settings),
            readiness: Readiness::default(),
            pace,
            work: Work::new(tables, settings)?,
            stop_at: None,
        })
    }

    /// Stops once the tables hold everything before these ends.
    #[must_use]
    pub fn until(mut self, ends: impl Into<StopAt>) -> Engine<S> {
        self.stop_at = Some(ends.into().after_cuts(self.work.committer.tables()));
        self
    }

    /// Reports to `readiness` while too many records become dead letters.
    #[must_use]
    pub fn reporting(self, readiness: Readiness) -> Engine<S> {
        Engine { readiness, ..self }
    }

    /// Commits only while `topic` finds the topic to be the one whose offsets the tables hold.
    #[must_use]
    pub fn checking(mut self, topic: TopicCheck) -> Engine<S> {
        self.work.check(topic);
        self
    }

    /// Receives records until `shutdown` completes or the ends are reached, commits all that is held, and
    /// leaves the group. After `shutdown` this takes `speed.shutdown_timeout` at most, and what the source
    /// needs to close.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), EngineError> {
        let limit = self.pace.shutdown_timeout;
        let shutdown = shutdown.shared();
        let stop_requested = shutdown.clone();
        let too_late = async move {
            stop_requested.await;
            sleep(limit).await;
        };
        let finished = tokio::select! {
            biased;
            result = self.work_until(shutdown) => Some(result),
            () = too_late => None,
        };
        self.source.close().await;
        self.dead_share.review(Instant::now(), &self.readiness);
        let landed = &self.work.partitions.landed;
        let (events, dead_letters, reasons) =
            (landed.events, landed.dead_total(), landed.by_reason());
        match dead_letters {
            0 => tracing::info!(events, dead_letters, "landed in this run"),
            _ => tracing::warn!(events, dead_letters, reasons, "landed in this run"),
        }
        match finished {
            Some(result) => result,
            None if self.work.partitions.is_ahead() => Err(EngineError::OutOfTime(limit)),
            None => Ok(()),
        }
    }

    async fn work_until(
        &mut self,
        shutdown: impl Future<Output = ()> + Clone,
    ) -> Result<(), EngineError> {
        loop {
            self.receive_until(shutdown.clone()).await?;
            let has_a_limit = shutdown.clone().now_or_never().is_some();
            self.commit_last(has_a_limit).await?;
            // A partition that was fenced by these commits is behind its end again.
            if has_a_limit || self.is_at_its_end() {
                return Ok(());
            }
        }
    }

    /// Commits everything that is held; where a limit ends that, what the store refuses is tried again until then.
    async fn commit_last(&mut self, has_a_limit: bool) -> Result<(), EngineError> {
        loop {
            match self.commit_all().await {
                Err(EngineError::Lake(error)) if has_a_limit && error.is_transient() => {
                    tracing::warn!(%error, "not committed; trying again while there is time");
                    sleep(LAST_WAIT).await;
                }
                result => return result,
            }
        }
    }

    /// Receives what comes until `shutdown` completes or the ends are reached.
    async fn receive_until(
        &mut self,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), EngineError> {
        // What counts from 0 on shows its first increase.
        metrics::counter!("lambdalake_speed_commit_failures_total").increment(0);
        metrics::counter!("lambdalake_speed_fenced_total").increment(0);
        metrics::counter!("lambdalake_speed_accepted_truncations_total").increment(0);
        let mut averages = ticks(self.pace.commit_interval);
        let mut landing = ticks(self.pace.landing_interval);
        let mut positions = ticks(self.pace.position_interval);
        tokio::pin!(shutdown);
        while !self.is_at_its_end() {
            let waiting_bytes = self.work.partitions.waiting_bytes();
            metrics::gauge!("lambdalake_speed_waiting_bytes").set(waiting_bytes as f64);
            let has_room = waiting_bytes < 2 * self.pace.landing_bytes;
            tokio::select! {
                biased;
                () = &mut shutdown => {
                    tracing::info!("stopping: committing what is held");
                    break;
                }
                _ = averages.tick() => {
                    self.work.record_watermarks();
                    self.dead_share.review(Instant::now(), &self.readiness);
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
                self.dead_share.observe(&batch);
                let partition = batch.partition;
                let is_current = self.work.partitions.current(partition, batch.epoch).is_some();
                let starts = self.work.accept(*batch).await?;
                if is_current && starts.is_empty() {
                    self.observe_delivery(partition);
                }
                self.seek(starts);
                if self.work.partitions.waiting_bytes() >= self.pace.landing_bytes {
                    self.land_if_possible(false).await?;
                }
            }
            SourceEvent::Position { partition, epoch, next, leader_epoch } => {
                if let Some(held) = self.work.partitions.current(partition, epoch) {
                    held.advance(next, leader_epoch);
                    self.observe_delivery(partition);
                    self.observe_end(partition, next);
                }
            }
            SourceEvent::Assigned { partitions, reply } => {
                let starts = self.work.load(&partitions).await?;
                for AssignedPartition { partition, high, .. } in &partitions {
                    self.observe_end(*partition, *high);
                }
                // Nobody waits any more if the assignment was revoked meanwhile.
                let _ = reply.send(starts);
            }
            SourceEvent::Revoked { partitions, reply } => {
                let result = self.commit_all().await;
                self.tolerate(result)?;
                self.work.partitions.release(&partitions);
                let _ = reply.send(());
            }
            SourceEvent::Lost { partitions } => {
                tracing::warn!(
                    ?partitions,
                    "partitions lost: what was not committed will be replayed"
                );
                self.work.partitions.release(&partitions);
            }
            SourceEvent::Failed { problem } => {
                // That the topic is another one explains what the failure only shows.
                self.work.check_topic().await?;
                return Err(EngineError::Source(problem));
            }
        }
        Ok(())
    }

    /// Commits everything that is held, and the group's offsets.
    async fn commit_all(&mut self) -> Result<(), EngineError> {
        self.land(true).await?;
        self.average(true).await
    }

    async fn land(&mut self, offsets_alone: bool) -> Result<(), EngineError> {
        let landed = self.work.land(offsets_alone).await?;
        self.go_on(landed);
        Ok(())
    }

    async fn average(&mut self, offsets_alone: bool) -> Result<(), EngineError> {
        let committed = self.work.average(offsets_alone).await?;
        self.go_on(committed);
        Ok(())
    }

    /// After a commit, fetches from where partitions go on that were fenced, and commits the group's offsets.
    fn go_on(&mut self, committed: Option<Vec<Start>>) {
        let Some(starts) = committed else { return };
        self.retry.committed(Instant::now());
        self.seek(starts);
        self.source.commit_offsets(&self.work.partitions.group_offsets());
    }

    fn seek(&mut self, starts: Vec<Start>) {
        starts.into_iter().for_each(|start| self.source.seek(start));
    }

    async fn land_if_possible(&mut self, offsets_alone: bool) -> Result<(), EngineError> {
        if !self.retry.is_open(Instant::now()) {
            return Ok(());
        }
        let result = self.land(offsets_alone).await;
        self.tolerate(result)
    }

    async fn average_if_possible(&mut self, offsets_alone: bool) -> Result<(), EngineError> {
        if !self.retry.is_open(Instant::now()) {
            return Ok(());
        }
        let result = self.average(offsets_alone).await;
        self.tolerate(result)
    }

    /// What failed because the outside is away is kept and tried again; anything else ends the engine.
    fn tolerate(&mut self, result: Result<(), EngineError>) -> Result<(), EngineError> {
        self.retry.tolerate(result, self.work.partitions.waiting_bytes(), Instant::now())
    }

    fn is_at_its_end(&self) -> bool {
        let stop_at = self.stop_at.as_ref();
        stop_at.is_some_and(|stop| {
            stop.is_reached(&self.work.partitions, self.work.committer.tables(), Instant::now())
        })
    }

    fn observe_delivery(&mut self, partition: KafkaPartition) {
        if let Some(stop_at) = &mut self.stop_at {
            stop_at.observe_delivery(partition);
        }
    }

    fn observe_end(&mut self, partition: KafkaPartition, high: Offset) {
        if let Some(stop_at) = &mut self.stop_at {
            let tables = self.work.committer.tables();
            stop_at.observe_end(tables, partition, high, Instant::now());
        }
    }

    /// Other instances may be what reaches the remaining ends.
    async fn look_for_ends_elsewhere(&mut self) {
        let is_reached_here =
            |stop: &StopAt| stop.is_reached_here(&self.work.partitions, Instant::now());
        if !self.stop_at.as_ref().is_some_and(is_reached_here) {
            return;
        }
        if let Err(error) = self.work.committer.tables_mut().refresh().await {
            tracing::warn!(%error, "the tables can't be read");
            return;
        }
        let Work { partitions, committer, .. } = &self.work;
        let is_cut =
            |stop: &StopAt| stop.is_cut_elsewhere(partitions, committer.tables(), Instant::now());
        if self.stop_at.as_ref().is_some_and(is_cut) {
            let mut ends = self.work.ends().await;
            ends.retain(|id, _| self.work.partitions.get(*id).is_none());
            ends.into_iter().for_each(|(id, end)| self.observe_end(id, end));
        }
    }
}

#[cfg(test)]
mod tests;
