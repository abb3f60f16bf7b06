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

    /// Learns an answer of `now`. Addresses that the answer lacks keep their own ends. Gives back how many addresses
    /// are new: with none, the tables may be brought up to date at leisure, as long as no end is near.
    pub fn learn(
        &mut self,
        name: &DomainName,
        answer: &Answer,
        terms: &LeaseTerms,
        (now, source): (Moment, LeaseSource),
    ) -> usize {
        let mut new = 0;
        for record in &answer.records {
            let live_until = now + terms.life(record.ttl);
            let fact = Lease { since: now, renewed: now, live_until, ends: live_until + terms.grace, source };
            new += usize::from(self.put(name, record.address, fact));
        }
        new
    }

    /// Takes up a fact, for example one found in the kernel at start. What is known already is only extended. Gives
    /// back whether it is new.
    pub fn put(&mut self, name: &DomainName, address: IpAddr, fact: Lease) -> bool {
        match self.by_name.entry(name.clone()).or_default().entry(address) {
            Entry::Vacant(vacant) => {
                vacant.insert(fact);
                true
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
                false
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use super::*;
    use crate::resolve::AddressRecord;

    const TERMS: LeaseTerms = LeaseTerms {
        floor: Duration::from_secs(60),
        ceiling: Duration::from_secs(3_600),
        grace: Duration::from_secs(600),
    };

    fn at(second: u64) -> Moment {
        Moment::new(Duration::from_secs(second))
    }

    fn learn(leases: &mut Leases, records: &[(&str, u64)], second: u64) -> usize {
        let record = |(text, ttl): &(&str, u64)| AddressRecord {
            address: text.parse().unwrap(),
            ttl: Duration::from_secs(*ttl),
        };
        let answer = Answer { records: records.iter().map(record).collect(), chain: Vec::new(), chain_ttl: None };
        let name = DomainName::parse("a.example.com").unwrap();
        leases.learn(&name, &answer, &TERMS, (at(second), LeaseSource::Polled))
    }

    fn lease(leases: &Leases, text: &str) -> Lease {
        let address: IpAddr = text.parse().unwrap();
        leases.iter().find(|(_, known, _)| *known == address).map(|(_, _, lease)| *lease).unwrap()
    }

    #[test]
    fn a_lease_is_live_then_in_grace_then_expired() {
        let mut leases = Leases::new();
        learn(&mut leases, &[("20.0.0.1", 100)], 1_000);
        let states = [1_000, 1_099, 1_100, 1_699, 1_700].map(|now| lease(&leases, "20.0.0.1").state(at(now)));
        let (live, grace) = (LeaseState::Live, LeaseState::Grace);
        assert_eq!(states, [live, live, grace, grace, LeaseState::Expired]);
    }

    #[test]
    fn floor_and_ceiling_bound_the_life_of_an_answer() {
        for (ttl, life) in [(0, 60), (60, 60), (61, 61), (3_600, 3_600), (86_400, 3_600)] {
            assert_eq!(TERMS.life(Duration::from_secs(ttl)), Duration::from_secs(life));
        }
    }

    #[test]
    fn each_record_has_its_own_life_and_a_later_answer_only_prolongs() {
        let mut leases = Leases::new();
        assert_eq!(learn(&mut leases, &[("20.0.0.1", 5), ("20.0.0.2", 300)], 0), 2);
        assert_eq!(learn(&mut leases, &[("20.0.0.2", 100)], 10), 0);
        assert_eq!(lease(&leases, "20.0.0.1").live_until, at(60));
        let second = lease(&leases, "20.0.0.2");
        assert_eq!((second.since, second.renewed, second.live_until), (at(0), at(10), at(300)));
        assert_eq!(leases.next_end(at(0)), Some(at(660)));
        assert_eq!(leases.next_end(at(660)), Some(at(900)));
    }

    #[test]
    fn an_address_seen_each_minute_never_ends_and_keeps_its_beginning() {
        let mut leases = Leases::new();
        let wanted = [DomainName::parse("a.example.com").unwrap()].into();
        for minute in 0..2 * 24 * 60 {
            learn(&mut leases, &[("20.0.0.1", 60 - minute % 60)], minute * 60);
            assert_eq!(leases.prune(&wanted, at(minute * 60)), 0);
        }
        assert_eq!((leases.len(), lease(&leases, "20.0.0.1").since), (1, at(0)));
    }

    #[test]
    fn pruning_takes_what_expired_and_what_nobody_wants() {
        let mut leases = Leases::new();
        learn(&mut leases, &[("20.0.0.1", 60), ("20.0.0.2", 600)], 0);
        let wanted = [DomainName::parse("a.example.com").unwrap()].into();
        assert_eq!(leases.prune(&wanted, at(660)), 1);
        assert_eq!(leases.prune(&BTreeSet::new(), at(660)), 1);
        assert!(leases.is_empty());
    }
}
