//! Which of the names of an address a rule is to be about.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::Flow;
use super::fit::{self, Ask};
use crate::policy::{DomainName, Group, Service, Target};

/// Longest name that a policy can have.
const MAX_NAME_BYTES: usize = sphere_common::name::MAX_NAME_BYTES;

/// For each group and service, how many other sides had a name.
pub(super) struct Popular<'a>(BTreeMap<(&'a str, Service, &'a str), usize>);

impl<'a> Popular<'a> {
    pub(super) fn new(flows: &'a [Flow]) -> Self {
        let mut counts = BTreeMap::new();
        for flow in flows.iter().filter(|flow| !flow.names.is_empty()) {
            let Ok(Ask::Reach(_, service)) = fit::ask(flow) else { continue };
            for name in &flow.names {
                *counts.entry((flow.group.as_str(), service, name.as_str())).or_default() += 1;
            }
        }
        Self(counts)
    }

    /// The name that explains the most: one that the group has rules about, or that most of the other sides had; of
    /// several, the first of the alphabet.
    pub(super) fn choose(&self, flow: &Flow, service: Service, group: Option<&Group>) -> Option<DomainName> {
        let has_rule = |name: &DomainName| {
            let mut rules = group.into_iter().flat_map(|group| &group.rules);
            rules.any(|rule| matches!(&rule.target, Target::Name(pattern) if pattern.covers(name)))
        };
        let count = |name: &DomainName| self.0.get(&(flow.group.as_str(), service, name.as_str())).copied();
        let names = known_names(flow).into_iter();
        names.max_by_key(|name| (has_rule(name), count(name), std::cmp::Reverse(name.clone())))
    }
}

/// The names of the other side that a policy can have.
pub(super) fn known_names(flow: &Flow) -> Vec<DomainName> {
    flow.names.iter().filter_map(|name| usable(name)).collect()
}

/// The other names that led to the same address.
pub(super) fn others(flow: &Flow, chosen: &DomainName) -> BTreeSet<String> {
    known_names(flow).into_iter().filter(|name| name != chosen).map(|name| name.to_string()).collect()
}

/// The name, when a policy can have it and an address can be behind it.
pub(super) fn usable(name: &str) -> Option<DomainName> {
    let name = DomainName::parse(name).ok().filter(|name| name.as_str().len() <= MAX_NAME_BYTES)?;
    // What turns addresses into names (RFC 1035 section 3.5, RFC 3596 section 2.5) leads to no address.
    if name.labels().next_back() == Some("arpa") { None } else { Some(name) }
}
