//! Owners of one partition who overtake one another in any order, and who decode its records differently: each offset
//! enters exactly one of the tables that records land in.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::*;
use crate::offsets::{Offset, OffsetRange};

/// The tables that records land in, in the order in which they are committed, and that of averages.
const TABLES: usize = 4;
const EVENTS: usize = 2;
const AVERAGES: usize = 3;

/// What a table's log holds of the partition.
#[derive(Clone, Debug, Default)]
struct Table {
    owner: OwnerEpoch,
    next: Option<Offset>,
    rows: Vec<Offset>,
}

/// An owner, from when it loads the partition until it is fenced or dies.
#[derive(Clone, Debug)]
struct Owner {
    claims: [OwnerClaim; TABLES],
    built_on: [Option<Offset>; TABLES],
    /// Offsets from the next one of `events` on that other tables hold.
    covered: BTreeSet<Offset>,
    position: Offset,
    waiting: [Vec<Offset>; EVENTS + 1],
}

impl Owner {
    fn load(tables: &[Table; TABLES]) -> Owner {
        let ours = OwnerEpoch::above(tables.iter().map(|table| table.owner));
        let events_next = tables[EVENTS].next.unwrap_or(Offset::ZERO);
        let beside = tables[..EVENTS].iter().flat_map(|table| table.rows.iter().copied());
        Owner {
            claims: tables.each_ref().map(|table| OwnerClaim { ours, expected: table.owner }),
            built_on: tables.each_ref().map(|table| table.next),
            covered: beside.filter(|offset| *offset >= events_next).collect(),
            position: events_next,
            waiting: Default::default(),
        }
    }

    /// Receives records, of which `decoder` says the table that each goes to.
    fn receive(&mut self, count: i64, decoder: u64) {
        let end = self.position.plus(count);
        for offset in OffsetRange::new(self.position, end).offsets() {
            if !self.covered.contains(&offset) {
                self.waiting[table_of(decoder, offset)].push(offset);
            }
        }
        self.position = end;
    }

    /// The table that is to be committed next, if there is news, and whether with its news. The table of the first news is claimed by the commit of
    /// that, and the others are claimed before.
    fn next_commit(&self) -> Option<(usize, bool)> {
        if self.built_on[EVENTS] >= Some(self.position) {
            return None;
        }
        let first = (0..EVENTS).find(|table| !self.waiting[*table].is_empty()).unwrap_or(EVENTS);
        let mut others = (0..TABLES).filter(|table| *table != first);
        let unclaimed = others.find(|table| !self.claims[*table].is_made());
        Some(unclaimed.map_or((first, true), |table| (table, false)))
    }

    /// Makes the next commit. Returns whether it was not fenced.
    fn step(&mut self, tables: &mut [Table; TABLES]) -> bool {
        let Some((at, with_news)) = self.next_commit() else { return true };
        let rows = if with_news { self.waiting[at].clone() } else { Vec::new() };
        let target = match self.built_on[at] {
            _ if at == EVENTS && with_news => self.position,
            next if rows.is_empty() => next.unwrap_or(Offset::ZERO),
            next => next.map_or(self.position, |next| self.position.max(next.next())),
        };
        let found = tables[at].clone();
        let facts = PartitionFacts {
            built_on: self.built_on[at],
            found: found.next,
            target,
            owner: self.claims[at],
            found_owner: found.owner,
            was_reset: false,
            has_other_bounds: false,
            may_be_vacuumed: false,
        };
        match decide(facts) {
            PartitionDecision::Fenced => return false,
            PartitionDecision::NothingNew => unreachable!("there is a claim to make, or news"),
            PartitionDecision::Claim => {}
            PartitionDecision::Commit if target > Offset::ZERO => {
                tables[at].rows.extend(rows);
                tables[at].next = Some(target);
                self.built_on[at] = Some(target);
                self.waiting[at].clear();
            }
            PartitionDecision::Commit => {}
        }
        tables[at].owner = self.claims[at].ours;
        self.claims[at].expected = self.claims[at].ours;
        true
    }
}

/// The table that a decoder puts an offset into, for no reason.
fn table_of(decoder: u64, offset: Offset) -> usize {
    let mixed =
        (offset.0.unsigned_abs() ^ decoder.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed >> 32) % 3).expect("it is less than 3")
}

fn landed(tables: &[Table; TABLES]) -> Vec<Offset> {
    let mut landed: Vec<Offset> = tables[..AVERAGES].iter().flat_map(|t| t.rows.clone()).collect();
    landed.sort_unstable();
    landed
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Receive(i64),
    Commit,
    Die,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        3 => (1_i64..4).prop_map(Turn::Receive),
        12 => Just(Turn::Commit),
        1 => Just(Turn::Die),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn of_owners_with_different_decoders_whoever_commits_each_offset_enters_one_table_once(
        decoders in any::<[u64; 2]>(),
        turns in prop::collection::vec((0_usize..2, turn()), 1..120),
    ) {
        let mut tables: [Table; TABLES] = Default::default();
        let mut owners = [Owner::load(&tables), Owner::load(&tables)];
        for (who, turn) in turns {
            let goes_on = match turn {
                Turn::Receive(count) => {
                    owners[who].receive(count, decoders[who]);
                    true
                }
                Turn::Commit => owners[who].step(&mut tables),
                Turn::Die => false,
            };
            if !goes_on {
                owners[who] = Owner::load(&tables);
            }
            let landed = landed(&tables);
            prop_assert!(landed.windows(2).all(|pair| pair[0] < pair[1]), "twice: {landed:?}");
            let next = tables[EVENTS].next.unwrap_or(Offset::ZERO);
            let before: Vec<Offset> = landed.iter().copied().filter(|at| *at < next).collect();
            prop_assert_eq!(before, OffsetRange::new(Offset::ZERO, next).offsets().collect::<Vec<_>>());
        }
        // Whoever is left alone lands all there is.
        let mut last = Owner::load(&tables);
        let end = tables.iter().filter_map(|table| table.next).max().unwrap_or(Offset::ZERO).plus(5);
        last.receive(end.since(last.position), decoders[0]);
        while last.next_commit().is_some() {
            prop_assert!(last.step(&mut tables), "nobody else is there");
        }
        prop_assert_eq!(landed(&tables), OffsetRange::new(Offset::ZERO, end).offsets().collect::<Vec<_>>());
    }
}
