//! Whether what opens at each name fits into the entry of a name.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use sphere_common::abi::MAX_SERVICES;

use super::{
    findings::Findings,
    group::{Rule, Target},
    group_file::Written,
    name::NamePattern,
    service::Service,
};

/// Reports names at which the rules of a group open more services than an entry holds, at the last rule of them. What
/// is open below a name is open at every narrower name of the group too.
pub(super) fn check(written: &Written, findings: &mut Findings) {
    let mut exact: BTreeMap<&NamePattern, Opened<'_>> = BTreeMap::new();
    let mut below: BTreeMap<&str, Opened<'_>> = BTreeMap::new();
    for (rule, at) in written.group.rules.iter().zip(&written.rules_at) {
        let Target::Name(pattern) = &rule.target else { continue };
        exact.entry(pattern).or_default().add((pattern, rule), at);
        if let NamePattern::Below(suffix) = pattern {
            below.entry(suffix.as_str()).or_default().add((pattern, rule), at);
        }
    }
    for (pattern, own) in &exact {
        let (NamePattern::Exact(name) | NamePattern::Below(name)) = pattern;
        let suffixes = name.as_str().match_indices('.').filter_map(|(dot, _)| name.as_str().get(dot + 1..));
        let all = suffixes.filter_map(|suffix| below.get(suffix)).chain([own]).collect::<Vec<_>>();
        let services: BTreeSet<_> = all.iter().flat_map(|opened| &opened.services).collect();
        let last = all.iter().filter_map(|opened| opened.last).max_by_key(|at| at.start);
        if let (true, Some(at)) = (services.len() > MAX_SERVICES, last) {
            let count = services.len();
            let message =
                format!("rules open {count} services at `{pattern}`, and the data plane holds {MAX_SERVICES}");
            findings.error(at, message, "use `tcp/*` or `udp/*`, or fewer ports");
        }
    }
}

/// What tells one rule from others: pattern, services, and whether private addresses count.
type Label<'a> = (&'a NamePattern, &'a BTreeSet<Service>, bool);

/// What rules about one pattern open.
#[derive(Default)]
struct Opened<'a> {
    /// Services, each with its rule.
    services: BTreeSet<(Label<'a>, Service)>,
    last: Option<&'a Range<usize>>,
}

impl<'a> Opened<'a> {
    fn add(&mut self, (pattern, rule): (&'a NamePattern, &'a Rule), at: &'a Range<usize>) {
        let label = (pattern, &rule.services, rule.allow_private);
        self.services.extend(rule.services.iter().map(|service| (label, *service)));
        self.last = self.last.into_iter().chain([at]).max_by_key(|at| at.start);
    }
}
