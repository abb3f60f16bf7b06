//! Whether what opens at each name fits into the entry of a name.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use sphere_common::abi::MAX_SERVICES;

use super::{findings::Findings, group::Target, group_file::Written, name::NamePattern, service::Service};

/// Reports names at which the rules of a group open more services than an entry holds, at the last rule of them. What
/// is open below a name is open at every narrower name of the group too.
pub(super) fn check(written: &Written, findings: &mut Findings) {
    let mut exact: BTreeMap<&NamePattern, Opened<'_, Service>> = BTreeMap::new();
    for (rule, at) in written.group.rules.iter().zip(&written.rules_at) {
        let Target::Name(pattern) = &rule.target else { continue };
        exact.entry(pattern).or_default().add((&rule.services, rule.allow_private), at);
    }
    let below = exact.iter().filter_map(|(pattern, opened)| match pattern {
        NamePattern::Below(suffix) => Some((suffix.as_str(), opened)),
        NamePattern::Exact(_) => None,
    });
    let below: BTreeMap<&str, &Opened<'_, Service>> = below.collect();
    for (pattern, own) in &exact {
        let (NamePattern::Exact(name) | NamePattern::Below(name)) = pattern;
        let suffixes = name.as_str().match_indices('.').filter_map(|(dot, _)| name.as_str().get(dot + 1..));
        let all = suffixes.filter_map(|suffix| below.get(suffix).copied()).chain([own]);
        // Rules about different patterns are different rules: what they open takes room of its own.
        let (mut count, mut last) = (0, None);
        for opened in all {
            count += opened.services;
            last = later(last, opened.last);
        }
        if let (true, Some(at)) = (count > MAX_SERVICES, last) {
            let message =
                format!("rules open {count} services at `{pattern}`, and the data plane holds {MAX_SERVICES}");
            findings.error(at, message, "use `tcp/*` or `udp/*`, or fewer ports");
        }
    }
}

/// What rules about one pattern open.
#[derive(Debug)]
struct Opened<'a, S> {
    /// What tells one rule from others: services, and whether private addresses count.
    rules: BTreeSet<(&'a BTreeSet<S>, bool)>,
    /// Services of all of them.
    services: usize,
    /// Where the last rule stands.
    last: Option<&'a Range<usize>>,
}

impl<S> Default for Opened<'_, S> {
    fn default() -> Self {
        Self { rules: BTreeSet::new(), services: 0, last: None }
    }
}

impl<'a, S: Ord> Opened<'a, S> {
    fn add(&mut self, (services, allow_private): (&'a BTreeSet<S>, bool), at: &'a Range<usize>) {
        if self.rules.insert((services, allow_private)) {
            self.services += services.len();
        }
        self.last = later(self.last, Some(at));
    }
}

/// The place that is further down.
fn later<'a>(one: Option<&'a Range<usize>>, other: Option<&'a Range<usize>>) -> Option<&'a Range<usize>> {
    one.into_iter().chain(other).max_by_key(|at| at.start)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::cmp::Ordering;

    use super::*;

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// A service that counts how often it is compared.
    #[derive(Clone, PartialEq, Eq)]
    struct Counted(usize);

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            COMPARED.set(COMPARED.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    /// Comparisons that it takes to count the services of so many rules with so many ports each, alike but for the last.
    fn work(rules: usize, ports: usize) -> usize {
        let services = |rule: usize| (1..ports).chain([ports + rule]).map(Counted).collect();
        let rules: Vec<BTreeSet<Counted>> = (0..rules).map(services).collect();
        COMPARED.set(0);
        let mut opened = Opened::default();
        for services in &rules {
            opened.add((services, false), &(0..1));
        }
        assert_eq!(opened.services, rules.len() * ports);
        COMPARED.get()
    }

    #[test]
    fn counting_services_takes_no_more_work_than_there_are_services() {
        assert_eq!(work(1, 8_000), 0, "one rule needs no comparison");
        for (rules, ports) in [(2_usize, 8_000), (64, 1_000), (1_000, 64)] {
            // A node of the tree holds up to eleven rules.
            let steps = 11 * rules.next_power_of_two().trailing_zeros() as usize;
            assert!(work(rules, ports) <= rules * ports * steps, "{rules} rules with {ports} ports");
        }
    }
}
