//! The daemon's knowledge of names, as plain data that goes through the control socket.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sphere_common::abi::{EndpointValue, NEVER, endpoint_flags};

use crate::datapath::Inspection;
use crate::policy::{DomainName, Policy, Target};
use crate::reconcile::{Lease, LeaseEntry, LeaseSource, Leases, Moment, Sighting, Standings, name_of_rule};

/// Everything known of names. Moments are milliseconds of the monotonic clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The names, in order.
    pub names: BTreeMap<String, NameView>,
    /// Leases that have ended, the latest last, with their names.
    pub past: Vec<(String, LeaseView)>,
}

/// What is known of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameView {
    /// Groups with a rule for it.
    pub groups: BTreeSet<String>,
    /// How the daemon's questions stand.
    pub questions: Vec<QuestionView>,
    /// The leases.
    pub leases: Vec<LeaseView>,
}

/// How a question stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionView {
    /// `A` or `AAAA`.
    pub family: String,
    /// What came of it last.
    pub outcome: String,
    /// Since when it has come out like this.
    pub since_ms: u64,
    /// When it was asked last.
    pub asked_ms: u64,
    /// How often in a row.
    pub times: u32,
    /// When it was last answered with addresses.
    pub answered_ms: Option<u64>,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// The address.
    pub address: IpAddr,
    /// The group that it is for; absent: every group.
    pub group: Option<String>,
    /// `polled`, `seen` or `restored`.
    pub source: String,
    /// The device that it was told to, for `seen`.
    pub device: Option<IpAddr>,
    /// When the address was first learned.
    pub since_ms: u64,
    /// When it was learned last.
    pub renewed_ms: u64,
    /// When the answer ends.
    pub live_until_ms: u64,
    /// When the address is no longer allowed.
    pub ends_ms: u64,
}

impl LeaseView {
    fn new(entry: &LeaseEntry<'_>) -> Self {
        let Lease { since, renewed, live_until, ends, source } = *entry.lease;
        let device = match source {
            LeaseSource::Sighted(device) => Some(device),
            LeaseSource::Polled | LeaseSource::Restored => None,
        };
        Self {
            address: entry.address,
            group: entry.group.map(ToString::to_string),
            source: source.word().to_owned(),
            device,
            since_ms: millis(since),
            renewed_ms: millis(renewed),
            live_until_ms: millis(live_until),
            ends_ms: millis(ends),
        }
    }
}

impl View {
    /// What the daemon knows.
    #[must_use]
    pub fn of_daemon(policy: &Policy, leases: &Leases, standings: &Standings) -> Self {
        let mut view = Self::of_leases(leases);
        for group in &policy.groups {
            for rule in &group.rules {
                if let Target::Name(pattern) = &rule.target {
                    view.name(&pattern.to_string()).groups.insert(group.name.to_string());
                    let below = leases.names().filter(|name| pattern.covers(name));
                    for name in below {
                        view.name(name.as_str()).groups.insert(group.name.to_string());
                    }
                }
            }
        }
        for (question, standing) in standings.iter() {
            view.name(question.name.as_str()).questions.push(QuestionView {
                family: question.family.record_type().to_owned(),
                outcome: standing.outcome.word().to_owned(),
                since_ms: millis(standing.since),
                asked_ms: millis(standing.at),
                times: standing.times,
                answered_ms: standing.answered.map(millis),
            });
        }
        view
    }

    /// What the pins tell when no daemon runs: the names of the rules, the addresses that are open for them, and those
    /// that the programs saw. An address of a rule for names below a name has no name of its own, unless it was seen.
    #[must_use]
    pub fn of_pins(inspection: &Inspection) -> Self {
        let (tables, clock, now) = (&inspection.tables, &inspection.clock, inspection.now);
        let mut leases = Leases::new();
        let mut restore = |address: IpAddr, value: &EndpointValue| {
            let Some(label) = tables.rule_labels.get(&value.rule) else { return };
            if value.expires == NEVER || value.flags & endpoint_flags::LEARNED != 0 {
                return;
            }
            if let Ok(name) = DomainName::parse(name_of_rule(label)) {
                let ends = clock.moment_of(value.expires);
                let source = LeaseSource::Restored;
                let lease = Lease { since: now, renewed: now, live_until: ends.max(now), ends: ends.max(now), source };
                leases.put_all(&name, None, [(address, lease)]);
            }
        };
        for (key, value) in &tables.endpoints4 {
            restore(key.address.into(), value);
        }
        for (key, value) in &tables.endpoints6 {
            restore(key.address.into(), value);
        }
        for (key, value) in &inspection.sightings {
            if let Some(sighting) = Sighting::read(key, value, clock, tables) {
                let fact = (sighting.address, sighting.lease(Duration::ZERO));
                leases.put_all(&sighting.name, Some(&sighting.group), [fact]);
            }
        }
        leases.prune(|_, _| true, now);
        let mut view = Self::of_leases(&leases);
        for label in tables.rule_labels.values() {
            let name = name_of_rule(label);
            let is_name = DomainName::parse(name.strip_prefix("*.").unwrap_or(name)).is_ok();
            if is_name && name.parse::<IpAddr>().is_err() && name.contains('.') {
                let group = inspection.group(label.group).unwrap_or_default();
                view.name(name).groups.insert(group);
            }
        }
        view
    }

    /// The names of each address, those of leases that have ended last.
    #[must_use]
    pub fn by_address(&self) -> BTreeMap<IpAddr, Vec<String>> {
        let held = self.names.iter().flat_map(|(name, known)| known.leases.iter().map(move |lease| (name, lease)));
        let mut names: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
        for (name, lease) in held.chain(self.past.iter().map(|(name, lease)| (name, lease))) {
            let known = names.entry(lease.address).or_default();
            if !known.contains(name) {
                known.push(name.clone());
            }
        }
        names
    }

    fn of_leases(leases: &Leases) -> Self {
        let mut view = Self::default();
        for entry in leases.entries() {
            view.name(entry.name.as_str()).leases.push(LeaseView::new(&entry));
        }
        view.past = leases.past().map(|entry| (entry.name.to_string(), LeaseView::new(&entry))).collect();
        view
    }

    fn name(&mut self, name: &str) -> &mut NameView {
        self.names.entry(name.to_owned()).or_default()
    }
}

/// Milliseconds of the monotonic clock.
pub(super) fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.since_zero().as_millis()).unwrap_or(u64::MAX)
}
