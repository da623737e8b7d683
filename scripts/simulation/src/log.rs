//! One partition of the simulated topic: records, transactions with their markers, and retention.

use crate::truth::{TruePartition, TrueRecord};

/// A record to be appended.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its payload.
    pub payload: Option<Vec<u8>>,
}

/// The log of a partition.
#[derive(Debug, Default)]
pub struct PartitionLog {
    truth: TruePartition,
    next: i64,
    /// The first offset of the open transaction.
    open: Option<i64>,
    /// The greatest offset that the group was told of: the tables hold everything before it.
    told: i64,
}

/// What a fetch finds.
#[derive(Debug)]
pub enum Found {
    /// Records, in order.
    Records(Vec<TrueRecord>),
    /// Nothing up to that offset, which is the end.
    NothingUpTo(i64),
    /// The end.
    End,
    /// Retention has deleted what is at that offset.
    OutOfRange,
}

impl PartitionLog {
    /// A log whose offsets before `first` retention has deleted already.
    pub fn starting_at(first: i64) -> PartitionLog {
        let truth = TruePartition { first_available: first, ..TruePartition::default() };
        PartitionLog { truth, next: first, ..PartitionLog::default() }
    }

    /// Appends records with the Kafka timestamp `at_us`, which is cut to milliseconds.
    pub fn append(&mut self, at_us: i64, records: Vec<NewRecord>) {
        for NewRecord { key, payload } in records {
            let kafka_timestamp_us = at_us.div_euclid(1000) * 1000;
            let offset = self.next;
            let is_visible = true;
            let record = TrueRecord { offset, kafka_timestamp_us, key, payload, is_visible };
            self.truth.records.push(record);
            self.next += 1;
        }
    }

    /// Begins a transaction, if none is open: nothing after this is stable before it ends.
    pub fn begin(&mut self) {
        self.open = self.open.or(Some(self.next));
    }

    /// Ends the open transaction with a marker. The records of one that is not committed are never seen.
    pub fn end(&mut self, is_committed: bool) {
        let Some(first) = self.open.take() else { return };
        for record in self.truth.records.iter_mut().rev().take_while(|r| r.offset >= first) {
            record.is_visible = is_committed;
        }
        self.next += 1;
    }

    /// The first offset that is left and the last stable offset.
    pub fn bounds(&self) -> (i64, i64) {
        (self.truth.first_available, self.open.unwrap_or(self.next))
    }

    /// What a consumer at `position` finds, at most `count` records.
    pub fn fetch(&self, position: i64, count: usize) -> Found {
        let (low, end) = self.bounds();
        if position < low {
            return Found::OutOfRange;
        }
        let from = self.truth.records.partition_point(|record| record.offset < position);
        let stable = self.truth.records[from..].iter().take_while(|record| record.offset < end);
        let seen: Vec<TrueRecord> =
            stable.filter(|record| record.is_visible).take(count).cloned().collect();
        match seen.is_empty() {
            false => Found::Records(seen),
            true if position < end => Found::NothingUpTo(end),
            true => Found::End,
        }
    }

    /// Notes that a consumer begins.
    pub fn note_start(&mut self) {
        let low = self.truth.first_available;
        self.truth.first_consumed.get_or_insert(low);
    }

    /// Notes how far the group was told that the tables are.
    pub fn note_told(&mut self, next: i64) {
        self.told = self.told.max(next);
    }

    /// Deletes what lies before `low`, as far as the tables are known to hold it.
    pub fn expire(&mut self, low: i64) {
        let first = self.truth.first_available;
        self.truth.first_available = low.min(self.told).max(first);
    }

    /// Deletes what lies before `low` though the tables, which nobody is writing, end at `held`.
    pub fn lose(&mut self, held: Option<i64>, low: i64) {
        let (first, end) = self.bounds();
        let low = low.clamp(first, end.max(first));
        self.truth.first_available = low;
        match held {
            Some(held) if held < low => self.truth.losses.push((held, low)),
            Some(_) => {}
            // Whoever comes first begins with what is left.
            None => self.truth.first_consumed = None,
        }
    }

    /// How far the group was told that the tables are.
    pub fn told(&self) -> i64 {
        self.told
    }

    /// What really happened here.
    pub fn truth(&self) -> TruePartition {
        TruePartition { end: self.bounds().1, ..self.truth.clone() }
    }
}
