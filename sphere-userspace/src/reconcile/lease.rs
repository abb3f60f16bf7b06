//! Leases: which name stood for which address, until when, and how that is known.
//!
//! A lease is one fact about one name and one address. It is live for the clamped TTL of the record that brought it,
//! counted from the reply, then in grace, then expired. Failures change nothing: the last known good stays for its
//! grace period, each family and each record by itself. An end is raised by what is learned later, never lowered.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::IpAddr,
    time::Duration,
};

use super::clock::Moment;
use crate::{
    policy::{DomainName, ResolverSettings},
    resolve::{Answer, Family},
};

/// How a lease came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseSource {
    /// The daemon asked.
    Polled,
    /// Seen in an answer on its way to this device.
    Sighted(IpAddr),
    /// Found in the kernel tables at start.
    Restored,
}

/// Where in its life a lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseState {
    /// The answer still holds.
    Live,
    /// The answer has ended, the address is still allowed.
    Grace,
    /// The address is no longer allowed for this name.
    Expired,
}

/// A fact: a name stands for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it was first learned.
    pub since: Moment,
    /// When it was last learned.
    pub renewed: Moment,
    /// When the answer ends.
    pub live_until: Moment,
    /// When the address is no longer allowed; not before `live_until`.
    pub ends: Moment,
    /// What it was last learned from.
    pub source: LeaseSource,
}

impl Lease {
    /// Where in its life the lease is.
    #[must_use]
    pub fn state(&self, now: Moment) -> LeaseState {
        if now < self.live_until {
            LeaseState::Live
        } else if now < self.ends {
            LeaseState::Grace
        } else {
            LeaseState::Expired
        }
    }
}

/// How long answers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// Shortest life of an answer.
    pub floor: Duration,
    /// Longest life of an answer.
    pub ceiling: Duration,
    /// How long an address is allowed after that.
    pub grace: Duration,
}

impl From<&ResolverSettings> for LeaseTerms {
    fn from(settings: &ResolverSettings) -> Self {
        Self { floor: settings.ttl_floor, ceiling: settings.ttl_ceiling, grace: settings.grace }
    }
}

impl LeaseTerms {
    /// The life of an answer with this TTL.
    #[must_use]
    pub fn life(&self, ttl: Duration) -> Duration {
        ttl.min(self.ceiling).max(self.floor)
    }
}

/// Every lease, by name and address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    by_name: BTreeMap<DomainName, BTreeMap<IpAddr, Lease>>,
}

impl Leases {
    /// No leases.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_name: BTreeMap::new() }
    }

    /// Learns an answer of `now`. Addresses that the answer lacks keep their own ends.
    pub fn learn(
        &mut self,
        name: &DomainName,
        answer: &Answer,
        terms: &LeaseTerms,
        (now, source): (Moment, LeaseSource),
    ) {
        for record in &answer.records {
            let live_until = now + terms.life(record.ttl);
            let fact = Lease { since: now, renewed: now, live_until, ends: live_until + terms.grace, source };
            self.put(name, record.address, fact);
        }
    }

    /// Takes up a fact, for example one found in the kernel at start. What is known already is only extended.
    pub fn put(&mut self, name: &DomainName, address: IpAddr, fact: Lease) {
        match self.by_name.entry(name.clone()).or_default().entry(address) {
            Entry::Vacant(vacant) => {
                vacant.insert(fact);
            }
            Entry::Occupied(mut occupied) => {
                let lease = occupied.get_mut();
                lease.since = lease.since.min(fact.since);
                lease.live_until = lease.live_until.max(fact.live_until);
                lease.ends = lease.ends.max(fact.ends);
                if fact.renewed >= lease.renewed {
                    lease.renewed = fact.renewed;
                    lease.source = fact.source;
                }
            }
        }
    }

    /// Forgets leases that have expired, and names that `wanted` lacks. Gives back how many it forgot.
    pub fn prune(&mut self, wanted: &BTreeSet<DomainName>, now: Moment) -> usize {
        let before = self.len();
        self.by_name.retain(|name, addresses| {
            addresses.retain(|_, lease| lease.state(now) != LeaseState::Expired);
            wanted.contains(name) && !addresses.is_empty()
        });
        before - self.len()
    }

    /// The leases of a name.
    pub fn of(&self, name: &DomainName) -> impl Iterator<Item = (IpAddr, &Lease)> {
        self.by_name.get(name).into_iter().flatten().map(|(address, lease)| (*address, lease))
    }

    /// The leases of a name in one family.
    pub fn of_family(&self, name: &DomainName, family: Family) -> impl Iterator<Item = (IpAddr, &Lease)> {
        self.of(name).filter(move |(address, _)| Family::of(*address) == family)
    }

    /// Every lease.
    pub fn iter(&self) -> impl Iterator<Item = (&DomainName, IpAddr, &Lease)> {
        self.by_name
            .iter()
            .flat_map(|(name, leases)| leases.iter().map(move |(address, lease)| (name, *address, lease)))
    }

    /// The names that stand for an address, for records of denied flows.
    pub fn names_of(&self, address: IpAddr) -> impl Iterator<Item = (&DomainName, &Lease)> {
        self.by_name.iter().filter_map(move |(name, leases)| leases.get(&address).map(|lease| (name, lease)))
    }

    /// How many leases there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.values().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The next moment at which a lease ends, if any does.
    #[must_use]
    pub fn next_end(&self, now: Moment) -> Option<Moment> {
        self.iter().map(|(_, _, lease)| lease.ends).filter(|end| *end > now).min()
    }
}
