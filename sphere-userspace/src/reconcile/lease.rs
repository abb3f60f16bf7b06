//! Leases: which name stood for which address, until when, and how that is known.
//!
//! A lease is one fact about one name and one address. It is live for the clamped TTL of the record that brought it,
//! counted from the reply, then in grace, then expired. Failures change nothing: the last known good stays for its
//! grace period, each family and each record by itself. An end is raised by what is learned later, never lowered.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    net::IpAddr,
    time::Duration,
};

use super::clock::Moment;
use crate::{
    policy::{DomainName, GroupName, ResolverSettings},
    resolve::Answer,
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

impl LeaseSource {
    /// Word for people and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Polled => "polled",
            Self::Sighted(_) => "seen",
            Self::Restored => "restored",
        }
    }
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

/// Leases that have ended and are remembered, to explain what is denied now.
const PAST: usize = 4096;

/// An address, and the group that the lease is for; [`None`]: for every group.
type Holder = (IpAddr, Option<GroupName>);

/// A lease with what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseEntry<'a> {
    /// The name.
    pub name: &'a DomainName,
    /// The address that it stands for.
    pub address: IpAddr,
    /// The group that it is for; [`None`]: every group.
    pub group: Option<&'a GroupName>,
    /// The lease.
    pub lease: &'a Lease,
}

/// Every lease, by name and address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    by_name: BTreeMap<DomainName, BTreeMap<Holder, Lease>>,
    past: VecDeque<(DomainName, Holder, Lease)>,
}

impl Leases {
    /// No leases.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_name: BTreeMap::new(), past: VecDeque::new() }
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
        let facts = answer.records.iter().map(|record| {
            let live_until = now + terms.life(record.ttl);
            let fact = Lease { since: now, renewed: now, live_until, ends: live_until + terms.grace, source };
            (record.address, fact)
        });
        self.put_all(name, None, facts)
    }

    /// Takes up facts about one name, for one group or for all. What is known already is only extended. Gives back how
    /// many are new.
    pub fn put_all(
        &mut self,
        name: &DomainName,
        group: Option<&GroupName>,
        facts: impl IntoIterator<Item = (IpAddr, Lease)>,
    ) -> usize {
        let leases = match self.by_name.get_mut(name) {
            Some(leases) => leases,
            None => self.by_name.entry(name.clone()).or_default(),
        };
        facts.into_iter().map(|(address, fact)| usize::from(put(leases, (address, group.cloned()), fact))).sum()
    }

    /// Forgets leases that have expired, and those that `keep` does not want; what has expired is remembered as past.
    /// Gives back how many it forgot.
    pub fn prune(&mut self, keep: impl Fn(&DomainName, Option<&GroupName>) -> bool, now: Moment) -> usize {
        let (before, past) = (self.len(), &mut self.past);
        self.by_name.retain(|name, leases| {
            leases.retain(|holder, lease| {
                let has_ended = lease.state(now) == LeaseState::Expired;
                if has_ended {
                    past.push_back((name.clone(), holder.clone(), *lease));
                }
                !has_ended && keep(name, holder.1.as_ref())
            });
            !leases.is_empty()
        });
        past.drain(..past.len().saturating_sub(PAST));
        before - self.len()
    }

    /// The leases of a name.
    pub fn of(&self, name: &DomainName) -> impl Iterator<Item = (IpAddr, &Lease)> {
        self.by_name.get(name).into_iter().flatten().map(|((address, _), lease)| (*address, lease))
    }

    /// The leases of a name that hold for a group, each with whether they hold for this group only.
    pub fn of_group(&self, name: &DomainName, group: &GroupName) -> impl Iterator<Item = (IpAddr, &Lease, bool)> {
        let leases = self.by_name.get(name).into_iter().flatten();
        leases.filter_map(move |((address, holder), lease)| match holder {
            Some(holder) => (holder == group).then_some((*address, lease, true)),
            None => Some((*address, lease, false)),
        })
    }

    /// The names that have leases.
    pub fn names(&self) -> impl Iterator<Item = &DomainName> {
        self.by_name.keys()
    }

    /// Every lease.
    pub fn iter(&self) -> impl Iterator<Item = (&DomainName, IpAddr, &Lease)> {
        self.entries().map(|entry| (entry.name, entry.address, entry.lease))
    }

    /// Every lease, with whom it is for.
    pub fn entries(&self) -> impl Iterator<Item = LeaseEntry<'_>> {
        let of_name = |(name, leases)| {
            let leases: &BTreeMap<Holder, Lease> = leases;
            leases.iter().map(move |((address, group), lease)| LeaseEntry {
                name,
                address: *address,
                group: group.as_ref(),
                lease,
            })
        };
        self.by_name.iter().flat_map(of_name)
    }

    /// Leases that have ended, the latest last, as far as they are remembered.
    pub fn past(&self) -> impl Iterator<Item = LeaseEntry<'_>> {
        self.past.iter().map(|(name, (address, group), lease)| LeaseEntry {
            name,
            address: *address,
            group: group.as_ref(),
            lease,
        })
    }

    /// The names that stand for an address, for records of denied flows.
    pub fn names_of(&self, address: IpAddr) -> impl Iterator<Item = (&DomainName, &Lease)> {
        self.iter().filter(move |(_, held, _)| *held == address).map(|(name, _, lease)| (name, lease))
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

/// Takes up a fact; what is known already is only extended. Gives back whether it is new.
fn put(leases: &mut BTreeMap<Holder, Lease>, holder: Holder, fact: Lease) -> bool {
    match leases.entry(holder) {
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
        for minute in 0..2 * 24 * 60 {
            learn(&mut leases, &[("20.0.0.1", 60 - minute % 60)], minute * 60);
            assert_eq!(leases.prune(|_, _| true, at(minute * 60)), 0);
        }
        assert_eq!((leases.len(), lease(&leases, "20.0.0.1").since), (1, at(0)));
    }

    #[test]
    fn pruning_takes_what_expired_and_what_nobody_wants() {
        let mut leases = Leases::new();
        learn(&mut leases, &[("20.0.0.1", 60), ("20.0.0.2", 600)], 0);
        assert_eq!(leases.prune(|_, _| true, at(660)), 1);
        assert_eq!(leases.past().map(|past| past.address.to_string()).collect::<Vec<_>>(), ["20.0.0.1"]);
        assert_eq!(leases.prune(|_, _| false, at(660)), 1);
        assert!(leases.is_empty());
        assert_eq!(leases.past().count(), 1, "what nobody wants is no history");
    }

    #[test]
    fn what_one_group_was_told_holds_for_that_group_only() {
        let mut leases = Leases::new();
        learn(&mut leases, &[("20.0.0.1", 60)], 0);
        let (name, groups) = (DomainName::parse("a.example.com").unwrap(), ["one", "two"].map(GroupName::parse));
        let [one, two] = groups.map(Option::unwrap);
        let fact = Lease { source: LeaseSource::Sighted("10.0.0.5".parse().unwrap()), ..lease(&leases, "20.0.0.1") };
        assert_eq!(leases.put_all(&name, Some(&one), [("20.0.0.2".parse().unwrap(), fact)]), 1);
        let of = |group| leases.of_group(&name, group).map(|(at, _, own)| (at.to_string(), own)).collect::<Vec<_>>();
        assert_eq!(of(&one), [("20.0.0.1".to_owned(), false), ("20.0.0.2".to_owned(), true)]);
        assert_eq!(of(&two), [("20.0.0.1".to_owned(), false)]);
    }
}
