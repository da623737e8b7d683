//! One partition of the simulated topic: records, transactions with their markers, leaders, and retention.

use crate::truth::{Cut, TruePartition, TrueRecord};

/// The Kafka timestamp of a record that has none, as the product has it.
const ABSENT_US: i64 = 0;

/// A record to be appended.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its payload.
    pub payload: Option<Vec<u8>>,
    /// Whether it has a Kafka timestamp.
    pub has_timestamp: bool,
}

/// The log of a partition.
#[derive(Debug)]
pub struct PartitionLog {
    truth: TruePartition,
    next: i64,
    /// The first offset of the open transaction.
    open: Option<i64>,
    /// The greatest offset that the group was told of: the tables hold everything before it.
    told: i64,
    /// The broker that answers has the log up to here only, until that millisecond.
    behind: Option<(i64, u64)>,
    /// The epochs of the leaders that appended what is in the log, ascending, with the first offset of each.
    leaders: Vec<(i32, i64)>,
}

/// What a fetch finds.
#[derive(Debug)]
pub enum Found {
    /// Records of one leader, whose epoch it is, in order.
    Records(Vec<TrueRecord>, i32),
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
        PartitionLog {
            truth: TruePartition { first_available: first, ..TruePartition::default() },
            next: first,
            open: None,
            told: 0,
            behind: None,
            leaders: vec![(0, first)],
        }
    }

    /// Appends records at the time `at_us`, which is cut to milliseconds.
    pub fn append(&mut self, at_us: i64, records: Vec<NewRecord>) {
        for NewRecord { key, payload, has_timestamp } in records {
            let kafka_timestamp_us =
                if has_timestamp { at_us.div_euclid(1000) * 1000 } else { ABSENT_US };
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

    /// Ends the open transaction with a marker. The records of one that is not committed are never seen, but for those right after
    /// a cut, where no marker comes first either: what is never seen tells nobody that a log is another one.
    pub fn end(&mut self, is_committed: bool) {
        let Some(first) = self.open.take() else { return };
        let cut = self.truth.cut.as_ref().map(|cut| cut.offset).filter(|cut| *cut >= first);
        if cut == Some(self.next) {
            return;
        }
        let is_committed = is_committed || cut.is_some();
        for record in self.truth.records.iter_mut().rev().take_while(|r| r.offset >= first) {
            record.is_visible = is_committed;
        }
        self.next += 1;
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The first offset that is left and the last stable offset, as brokers say now.
    pub fn bounds(&self) -> (i64, i64) {
        let low = self.truth.first_available;
        (low, self.shown(self.stable_end()))
    }

    /// The end of all records, as brokers say now.
    pub fn high_watermark(&self) -> i64 {
        self.shown(self.next)
    }

    /// The last stable offset.
    fn stable_end(&self) -> i64 {
        self.open.unwrap_or(self.next)
    }

    /// What a broker that may be behind says of an end.
    fn shown(&self, end: i64) -> i64 {
        let shown = self.behind.map_or(end, |(shown, _)| end.min(shown));
        shown.max(self.truth.first_available)
    }

    /// Ends step back by so many offsets, until that millisecond: a broker answers that has less of the log.
    pub fn step_back(&mut self, offsets: i64, until_ms: u64) {
        self.behind = Some((self.next - offsets, until_ms));
    }

    /// Brokers that were behind have caught up if their time is over.
    pub fn catch_up(&mut self, now_ms: u64) {
        self.behind = self.behind.filter(|(_, until_ms)| now_ms < *until_ms);
    }

    /// What a consumer at `position` finds, at most `count` records.
    pub fn fetch(&self, position: i64, count: usize) -> Found {
        let (low, end) = self.bounds();
        if position < low {
            return Found::OutOfRange;
        }
        let from = self.truth.records.partition_point(|record| record.offset < position);
        let stable = self.truth.records[from..].iter().take_while(|record| record.offset < end);
        let mut seen = stable.filter(|record| record.is_visible).peekable();
        let epoch = seen.peek().map(|record| self.epoch_of(record.offset));
        match epoch {
            Some(epoch) => {
                let of_leader = seen.take_while(|record| self.epoch_of(record.offset) == epoch);
                Found::Records(of_leader.take(count).cloned().collect(), epoch)
            }
            None if position < end => Found::NothingUpTo(end),
            None => Found::End,
        }
    }

    /// The epoch of the leader.
    pub fn leader_epoch(&self) -> i32 {
        self.leaders.last().map_or(0, |(epoch, _)| *epoch)
    }

    /// The epoch of the leader that appended what is at `offset`, or would.
    pub fn epoch_of(&self, offset: i64) -> i32 {
        let leader = self.leaders.iter().rfind(|(_, first)| *first <= offset);
        leader.map_or(0, |(epoch, _)| *epoch)
    }

    /// Up to where the log is that of the leader of `epoch` and those before it.
    pub fn end_of_epoch(&self, epoch: i32) -> i64 {
        let next = self.leaders.iter().find(|(later, _)| *later > epoch);
        next.map_or(self.next, |(_, first)| *first)
    }

    /// Another broker leads, which has everything.
    pub fn elect(&mut self) {
        let epoch = self.leader_epoch() + 1;
        self.leaders.push((epoch, self.next));
    }

    /// Another broker leads, which lacks the last `offsets`: they are gone, and others come in their place.
    pub fn cut(&mut self, at_us: i64, offsets: i64) {
        let (first, stable_end) = (self.truth.first_available, self.stable_end());
        let at = (self.next - offsets).clamp(first, self.next);
        let kept = self.truth.records.partition_point(|record| record.offset < at);
        let records = self.truth.records.split_off(kept);
        self.truth.cut = Some(Cut { offset: at, at_us, stable_end, records });
        let epoch = self.leader_epoch() + 1;
        self.leaders.retain(|(_, first)| *first < at);
        self.leaders.push((epoch, at));
        self.open = self.open.filter(|open| *open < at);
        self.next = at;
    }

    /// Whether records from `offset` on that a consumer could have read were cut off, or those right before it.
    pub fn is_cut_before(&self, offset: i64) -> bool {
        self.truth
            .cut
            .as_ref()
            .is_some_and(|cut| cut.offset < offset && cut.offset < cut.stable_end)
    }

    /// Whether the log was ever cut.
    pub fn is_cut(&self) -> bool {
        self.truth.cut.is_some()
    }

    /// Whether the log was ever cut or has lost records: one such thing is enough for a partition.
    pub fn is_damaged(&self) -> bool {
        self.truth.cut.is_some() || !self.truth.losses.is_empty()
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
        self.truth.first_available = low.min(self.told).min(self.stable_end()).max(first);
    }

    /// Deletes what lies before `low` though the tables, which nobody is writing, end at `held`.
    pub fn lose(&mut self, held: Option<i64>, low: i64) {
        let (first, end) = (self.truth.first_available, self.stable_end());
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
        TruePartition { end: self.stable_end(), ..self.truth.clone() }
    }
}
