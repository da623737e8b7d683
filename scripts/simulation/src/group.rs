//! The consumer group of the simulated topic: who is in it and who owns what.
//!
//! A rebalance revokes partitions first and assigns them once they are released: all of them where the
//! group is eager, only those that move where it is cooperative. A member that does not answer for as long as
//! the session time-out, or that does not release partitions in time, is expelled without notice; it finds out
//! later, and until then continues as a member.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use lake_model::KafkaPartition;

use crate::process::Process;

/// How rebalances go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Everything is released at each rebalance.
    Eager,
    /// Only what moves is released.
    Cooperative,
}

/// What a member has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Consume these partitions.
    Assign(Vec<KafkaPartition>),
    /// Release these partitions.
    Revoke(Vec<KafkaPartition>),
}

/// The settings of a group; times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct GroupSettings {
    /// How rebalances go.
    pub protocol: Protocol,
    /// How long a member may be silent.
    pub session_timeout_ms: u64,
    /// How long a member may take to release partitions.
    pub rebalance_timeout_ms: u64,
}

/// The group.
#[derive(Debug)]
pub struct Group {
    settings: GroupSettings,
    members: BTreeMap<u64, Member>,
    next_member: u64,
    generation: usize,
    is_due: bool,
    /// What is to be handed out once everything is given back.
    target: Option<BTreeMap<u64, BTreeSet<KafkaPartition>>>,
}

#[derive(Debug)]
struct Member {
    process: Arc<Process>,
    owned: BTreeSet<KafkaPartition>,
    orders: VecDeque<Order>,
    silent_since: Option<u64>,
    revoking_since: Option<u64>,
}

impl Group {
    /// A group without members.
    pub fn new(settings: GroupSettings) -> Group {
        Group {
            settings,
            members: BTreeMap::new(),
            next_member: 1,
            generation: 0,
            is_due: false,
            target: None,
        }
    }

    /// Lets a process in; returns what it is called here.
    pub fn join(&mut self, process: &Arc<Process>) -> u64 {
        let id = self.next_member;
        self.next_member += 1;
        let member = Member {
            process: Arc::clone(process),
            owned: BTreeSet::new(),
            orders: VecDeque::new(),
            silent_since: None,
            revoking_since: None,
        };
        self.members.insert(id, member);
        self.is_due = true;
        id
    }

    /// Takes a member out.
    pub fn leave(&mut self, id: u64) {
        self.is_due |= self.members.remove(&id).is_some();
    }

    /// Asks for a rebalance.
    pub fn shake(&mut self) {
        self.is_due = true;
    }

    /// Whether the member is still one.
    pub fn holds(&self, id: u64) -> bool {
        self.members.contains_key(&id)
    }

    /// The member's next order.
    pub fn order_for(&mut self, id: u64) -> Option<Order> {
        self.members.get_mut(&id)?.orders.pop_front()
    }

    /// A member gave partitions back.
    pub fn given_back(&mut self, id: u64, partitions: &[KafkaPartition]) {
        if let Some(member) = self.members.get_mut(&id) {
            member.owned.retain(|partition| !partitions.contains(partition));
            member.revoking_since = None;
        }
    }

    /// The processes that own partitions, with these.
    pub fn owners(&self) -> Vec<(String, Vec<KafkaPartition>)> {
        let owned = |member: &Member| member.owned.iter().copied().collect();
        self.members.values().map(|m| (m.process.name().to_owned(), owned(m))).collect()
    }

    /// Looks after the members at `now_ms`; returns what happened.
    pub fn turn(&mut self, now_ms: u64, partitions: &BTreeSet<KafkaPartition>) -> Vec<String> {
        let mut said = self.expel(now_ms);
        if self.target.is_none() && self.is_due {
            self.begin(now_ms, partitions);
        }
        let has_all = self.members.values().all(|member| member.revoking_since.is_none());
        if has_all && let Some(target) = self.target.take() {
            said.push(format!("rebalanced: {target:?}"));
            self.hand_out(&target);
        }
        said
    }

    fn expel(&mut self, now_ms: u64) -> Vec<String> {
        let settings = self.settings;
        let mut expelled = Vec::new();
        for (id, member) in &mut self.members {
            match member.process.is_alive() {
                true => member.silent_since = None,
                false => member.silent_since = member.silent_since.or(Some(now_ms)),
            }
            let over = |since: Option<u64>, limit| since.is_some_and(|at| now_ms - at > limit);
            if over(member.silent_since, settings.session_timeout_ms)
                || over(member.revoking_since, settings.rebalance_timeout_ms)
            {
                expelled.push((*id, member.process.name().to_owned()));
            }
        }
        let drop_member = |(id, name): (u64, String)| {
            self.leave(id);
            format!("{name} is expelled from the group")
        };
        expelled.into_iter().map(drop_member).collect()
    }

    fn begin(&mut self, now_ms: u64, partitions: &BTreeSet<KafkaPartition>) {
        self.is_due = false;
        self.generation += 1;
        let target = match self.settings.protocol {
            Protocol::Eager => self.spread(partitions),
            Protocol::Cooperative => self.keep_and_fill(partitions),
        };
        let is_eager = self.settings.protocol == Protocol::Eager;
        for (id, member) in &mut self.members {
            let keeps = |partition: &&KafkaPartition| !is_eager && target[id].contains(partition);
            let revoked: Vec<KafkaPartition> =
                member.owned.iter().filter(|partition| !keeps(partition)).copied().collect();
            if !revoked.is_empty() {
                member.orders.push_back(Order::Revoke(revoked));
                member.revoking_since = Some(now_ms);
            }
        }
        self.target = Some(target);
    }

    /// Every partition in turn to the next member, each time beginning with another.
    fn spread(
        &self,
        partitions: &BTreeSet<KafkaPartition>,
    ) -> BTreeMap<u64, BTreeSet<KafkaPartition>> {
        let ids: Vec<u64> = self.members.keys().copied().collect();
        let mut target: BTreeMap<u64, BTreeSet<KafkaPartition>> =
            ids.iter().map(|id| (*id, BTreeSet::new())).collect();
        for (at, partition) in partitions.iter().enumerate().filter(|_| !ids.is_empty()) {
            let id = ids[(at + self.generation) % ids.len()];
            target.entry(id).or_default().insert(*partition);
        }
        target
    }

    /// Members keep what they have up to a fair share; the rest goes to those who have least.
    fn keep_and_fill(
        &self,
        partitions: &BTreeSet<KafkaPartition>,
    ) -> BTreeMap<u64, BTreeSet<KafkaPartition>> {
        let share = partitions.len().div_ceil(self.members.len().max(1));
        let mut target: BTreeMap<u64, BTreeSet<KafkaPartition>> = BTreeMap::new();
        for (id, member) in &self.members {
            target.insert(*id, member.owned.iter().copied().take(share).collect());
        }
        let kept: BTreeSet<KafkaPartition> = target.values().flatten().copied().collect();
        for partition in partitions.difference(&kept) {
            if let Some(least) = target.values_mut().min_by_key(|owned| owned.len()) {
                least.insert(*partition);
            }
        }
        target
    }

    fn hand_out(&mut self, target: &BTreeMap<u64, BTreeSet<KafkaPartition>>) {
        for (id, wanted) in target {
            let Some(member) = self.members.get_mut(id) else {
                // It left meanwhile: what was meant for it is handed out again.
                self.is_due = true;
                continue;
            };
            let new: Vec<KafkaPartition> = wanted.difference(&member.owned).copied().collect();
            member.owned.extend(&new);
            if !new.is_empty() {
                member.orders.push_back(Order::Assign(new));
            }
        }
    }
}
