//! Leases found in the kernel tables at start: an address that was allowed for a name stays so until it ends, even
//! when the resolver is down. Nothing is prolonged: a daemon that starts again and again keeps nothing alive.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use sphere_common::abi::{EndpointValue, NEVER, RuleLabel, endpoint_flags};

use super::{
    clock::{Clock, Moment},
    label,
    lease::{Lease, LeaseSource, Leases},
    tables::Installed,
};
use crate::policy::{DomainName, Policy, Target};

impl Leases {
    /// The leases that the installed tables stand for, as far as the policy still names their names. What the programs
    /// learned is not among them: it holds for the group that learned it, and its sightings tell more.
    #[must_use]
    pub fn restored(policy: &Policy, installed: &Installed, (clock, now): (&Clock, Moment)) -> Self {
        let names = Names::new(policy);
        let mut found: HashMap<u32, Vec<(IpAddr, Lease)>> = HashMap::new();
        let mut restore = |address: IpAddr, value: &EndpointValue| {
            let ends = clock.moment_of(value.expires);
            if value.expires == NEVER || value.flags & endpoint_flags::LEARNED != 0 || ends <= now {
                return;
            }
            let live_until = ends.before(policy.resolver.grace).max(now.min(ends));
            let lease = Lease { since: now, renewed: now, live_until, ends, source: LeaseSource::Restored };
            found.entry(value.rule).or_default().push((address, lease));
        };
        for (key, value) in &installed.endpoints4 {
            restore(IpAddr::from(key.address), value);
        }
        for (key, value) in &installed.endpoints6 {
            restore(IpAddr::from(key.address), value);
        }
        let mut leases = Self::new();
        for (rule, facts) in found {
            if let Some(name) = installed.rule_labels.get(&rule).and_then(|label| names.of(label)) {
                leases.put_all(&name, None, facts);
            }
        }
        leases
    }
}

/// Finds the name in the label of a rule.
struct Names {
    wanted: BTreeSet<DomainName>,
    /// Labels of names so long that they were cut.
    cut: HashMap<[u8; 248], DomainName>,
}

impl Names {
    fn new(policy: &Policy) -> Self {
        let rules = policy.groups.iter().flat_map(|group| &group.rules);
        let cut = rules.filter_map(|rule| match &rule.target {
            Target::Name(pattern) => {
                let name = pattern.exact()?;
                let text = label::destination(rule);
                (text.len() > 248).then(|| (label::rule(0, &text, None).text, name.clone()))
            }
            Target::Address(_) | Target::Cidr(_) => None,
        });
        Self { cut: cut.collect(), wanted: policy.names() }
    }

    /// The services of the rule may have changed since: what a name stands for has not.
    fn of(&self, label: &RuleLabel) -> Option<DomainName> {
        if let Some(name) = self.cut.get(&label.text) {
            return Some(name.clone());
        }
        DomainName::parse(label::first_word(label)).ok().filter(|name| self.wanted.contains(name))
    }
}
