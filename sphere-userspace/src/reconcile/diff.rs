//! The way from what is installed to what is desired.
//!
//! Order: labels, then what devices depend on, then all other permissions, then who is a device, then removals, then
//! flows of rules that are no more, then their numbers. At no point is less allowed than both before and after.

use std::collections::{BTreeMap, BTreeSet};

use sphere_common::abi::{Cidr4Data, Cidr6Data, Config, Endpoint4Key, Endpoint6Key, EndpointValue, Ticks};

use super::{
    changeset::{Changeset, Step},
    desired::Desired,
    merge::merged,
    names::REFUSED_ROOM,
    tables::{Installed, PrefixKey, Tables},
};
use crate::policy::Limits;

impl Changeset {
    /// The steps that make what is desired of what is installed, in tables of these limits.
    pub fn between(installed: &Installed, desired: &Desired, limits: &Limits) -> Self {
        let wanted = &desired.tables;
        let mut changes = Self::default();
        let early = Stale::early(installed, wanted, limits);
        changes.early_removals = early.len();
        changes.steps.extend(early.steps());
        changes.labels(installed, wanted);
        changes.permissions(installed, desired);
        let names = missing(&installed.names, &wanted.names);
        changes.steps.extend(names.map(|(key, value)| Step::PutName(*key, Box::new(*value))));
        changes.membership(installed, wanted);
        changes.steps.extend(gone(&installed.names, &wanted.names).map(|key| Step::RemoveName(*key)));
        changes.steps.extend(gone(&installed.subnets, &wanted.subnets).map(|key| Step::RemoveSubnet(*key)));
        changes.steps.extend(Stale::all(installed, wanted).except(&early).steps());
        changes.steps.extend(gone(&installed.ports, &wanted.ports).map(|ifindex| Step::RemovePort(*ifindex)));
        changes.vanished(installed, wanted);
        changes
    }

    fn labels(&mut self, installed: &Installed, wanted: &Tables) {
        let new = gone(&wanted.rule_labels, &installed.rule_labels);
        self.steps.extend(new.map(|number| Step::ClearRuleCounter(*number)));
        let labels = missing(&installed.rule_labels, &wanted.rule_labels);
        self.steps.extend(labels.map(|(number, label)| Step::PutRuleLabel(*number, Box::new(*label))));
        let labels = missing(&installed.group_labels, &wanted.group_labels);
        self.steps.extend(labels.map(|(number, label)| Step::PutGroupLabel(*number, Box::new(*label))));
    }

    fn permissions(&mut self, installed: &Installed, desired: &Desired) {
        let wanted = &desired.tables;
        let is_first = |value: &EndpointValue| desired.infrastructure.contains(&value.rule);
        let mut later = Vec::new();
        let steps = &mut self.steps;
        let mut put = |step: Step, value: &EndpointValue| {
            if is_first(value) { steps.push(step) } else { later.push(step) }
        };
        for (key, value) in missing(&installed.endpoints4, &wanted.endpoints4) {
            put(Step::PutEndpoint4(*key, *value), value);
        }
        for (key, value) in missing(&installed.endpoints6, &wanted.endpoints6) {
            put(Step::PutEndpoint6(*key, *value), value);
        }
        for (key, value) in missing(&installed.cidrs4, &wanted.cidrs4) {
            put(Step::PutCidr4(*key, *value), value);
        }
        for (key, value) in missing(&installed.cidrs6, &wanted.cidrs6) {
            put(Step::PutCidr6(*key, *value), value);
        }
        steps.extend(later);
    }

    fn membership(&mut self, installed: &Installed, wanted: &Tables) {
        let subnets = missing(&installed.subnets, &wanted.subnets);
        self.steps.extend(subnets.map(|(key, value)| Step::PutSubnet(*key, *value)));
        // The offset belongs to the data plane.
        let comparable = |config: &Config| Config { clock_offset: 0, seed: 0, ..*config };
        if comparable(&installed.config) != comparable(&wanted.config) {
            self.steps.push(Step::PutConfig(Box::new(wanted.config)));
        }
        let ports = missing(&installed.ports, &wanted.ports);
        self.steps.extend(ports.map(|(ifindex, port)| Step::PutPort(*ifindex, *port)));
    }

    fn vanished(&mut self, installed: &Installed, wanted: &Tables) {
        self.vanished_rules = gone(&installed.rule_labels, &wanted.rule_labels).copied().collect();
        if !self.vanished_rules.is_empty() {
            self.steps.push(Step::CutFlows(self.vanished_rules.clone()));
        }
        self.steps.extend(self.vanished_rules.iter().map(|number| Step::RemoveRuleLabel(*number)));
        let groups = gone(&installed.group_labels, &wanted.group_labels);
        self.steps.extend(groups.map(|number| Step::RemoveGroupLabel(*number)));
    }
}

/// Permissions that are no more. Those of exact endpoints with the end that they had: the programs may raise it.
struct Stale {
    endpoints4: BTreeMap<Endpoint4Key, Ticks>,
    endpoints6: BTreeMap<Endpoint6Key, Ticks>,
    cidrs4: BTreeSet<PrefixKey<Cidr4Data>>,
    cidrs6: BTreeSet<PrefixKey<Cidr6Data>>,
}

impl Stale {
    /// All of them.
    fn all(installed: &Installed, wanted: &Tables) -> Self {
        Self {
            endpoints4: ends(&installed.endpoints4, &wanted.endpoints4).collect(),
            endpoints6: ends(&installed.endpoints6, &wanted.endpoints6).collect(),
            cidrs4: gone(&installed.cidrs4, &wanted.cidrs4).copied().collect(),
            cidrs6: gone(&installed.cidrs6, &wanted.cidrs6).copied().collect(),
        }
    }

    /// Those that have to make room.
    fn early(installed: &Installed, wanted: &Tables, limits: &Limits) -> Self {
        let (endpoints, cidrs) = (limits.endpoints as usize, (limits.cidrs + REFUSED_ROOM) as usize);
        let keys4 = overflow(&installed.cidrs4, &wanted.cidrs4, cidrs).into_keys().collect();
        let keys6 = overflow(&installed.cidrs6, &wanted.cidrs6, cidrs).into_keys().collect();
        Self {
            endpoints4: overflow(&installed.endpoints4, &wanted.endpoints4, endpoints),
            endpoints6: overflow(&installed.endpoints6, &wanted.endpoints6, endpoints),
            cidrs4: keys4,
            cidrs6: keys6,
        }
    }

    fn except(mut self, others: &Self) -> Self {
        self.endpoints4.retain(|key, _| !others.endpoints4.contains_key(key));
        self.endpoints6.retain(|key, _| !others.endpoints6.contains_key(key));
        self.cidrs4.retain(|key| !others.cidrs4.contains(key));
        self.cidrs6.retain(|key| !others.cidrs6.contains(key));
        self
    }

    fn len(&self) -> usize {
        self.endpoints4.len() + self.endpoints6.len() + self.cidrs4.len() + self.cidrs6.len()
    }

    fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let endpoints4 = self.endpoints4.iter().map(|(key, end)| Step::RemoveEndpoint4(*key, *end));
        let endpoints6 = self.endpoints6.iter().map(|(key, end)| Step::RemoveEndpoint6(*key, *end));
        let cidrs4 = self.cidrs4.iter().copied().map(Step::RemoveCidr4);
        let cidrs6 = self.cidrs6.iter().copied().map(Step::RemoveCidr6);
        endpoints4.chain(endpoints6).chain(cidrs4).chain(cidrs6)
    }
}

/// What has to go first for old and new to fit together: no more than that, and what would have ended first.
fn overflow<K: Ord + Copy>(
    installed: &BTreeMap<K, EndpointValue>,
    wanted: &BTreeMap<K, EndpointValue>,
    capacity: usize,
) -> BTreeMap<K, Ticks> {
    // No more than this can be too much: most of the time there is nothing to count.
    if installed.len() + wanted.len() <= capacity {
        return BTreeMap::new();
    }
    let new = gone(wanted, installed).count();
    let excess = (installed.len() + new).saturating_sub(capacity);
    if excess == 0 {
        return BTreeMap::new();
    }
    let mut by_end: Vec<(Ticks, K)> = ends(installed, wanted).map(|(key, end)| (end, key)).collect();
    by_end.sort_unstable();
    by_end.into_iter().take(excess).map(|(end, key)| (key, end)).collect()
}

/// Entries that are to be removed, with their ends.
fn ends<'a, K: Ord + Copy>(
    installed: &'a BTreeMap<K, EndpointValue>,
    wanted: &'a BTreeMap<K, EndpointValue>,
) -> impl Iterator<Item = (K, Ticks)> + 'a {
    merged(installed, wanted).filter_map(|(key, there, wanted)| match (there, wanted) {
        (Some(there), None) => Some((*key, there.expires)),
        _ => None,
    })
}

/// Entries that are to be written.
fn missing<'a, K: Ord, V: PartialEq>(
    installed: &'a BTreeMap<K, V>,
    wanted: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    merged(installed, wanted).filter_map(|(key, there, wanted)| match wanted {
        Some(wanted) if there != Some(wanted) => Some((key, wanted)),
        _ => None,
    })
}

/// Keys that are to be removed.
fn gone<'a, K: Ord, V>(installed: &'a BTreeMap<K, V>, wanted: &'a BTreeMap<K, V>) -> impl Iterator<Item = &'a K> {
    merged(installed, wanted).filter_map(|(key, there, wanted)| match (there, wanted) {
        (Some(_), None) => Some(key),
        _ => None,
    })
}
