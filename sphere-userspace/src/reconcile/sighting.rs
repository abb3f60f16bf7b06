//! What the programs saw in answers to devices, read back: addresses with their names, and who asked.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use sphere_common::abi::{SIGHTING_NAME_BYTES, SightingKey, SightingValue};

use super::{
    clock::{Clock, Moment},
    label,
    lease::{Lease, LeaseSource},
    tables::Installed,
};
use crate::policy::{DomainName, GroupName, NamePattern, Policy, Target};

/// An address that was seen in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The asked name.
    pub name: DomainName,
    /// The address.
    pub address: IpAddr,
    /// The group of the device.
    pub group: GroupName,
    /// The device that asked last.
    pub device: IpAddr,
    /// When it was answered last.
    pub seen: Moment,
    /// When the address is no longer allowed.
    pub ends: Moment,
    /// Time to live in the answer.
    pub ttl: Duration,
}

impl Sighting {
    /// Reads an entry; [`None`] when its group is no more, or its name is none that a policy can have.
    #[must_use]
    pub fn read(key: &SightingKey, value: &SightingValue, clock: &Clock, installed: &Installed) -> Option<Self> {
        let group = installed.group_labels.get(&key.group)?;
        Some(Self {
            name: name_of(key, value, installed)?,
            address: plain(key.address),
            group: GroupName::parse(label::until_zero(&group.text))?,
            device: plain(value.device),
            seen: clock.moment_of(value.seen),
            ends: clock.moment_of(value.expires),
            ttl: Duration::from_secs(value.ttl.into()),
        })
    }

    /// The lease that it stands for.
    #[must_use]
    pub fn lease(&self, grace: Duration) -> Lease {
        Lease {
            since: self.seen,
            renewed: self.seen,
            live_until: self.ends.before(grace).max(self.seen),
            ends: self.ends.max(self.seen),
            source: LeaseSource::Sighted(self.device),
        }
    }
}

/// The asked name. One that was cut is that of its rule, when the rule is for one name.
fn name_of(key: &SightingKey, value: &SightingValue, installed: &Installed) -> Option<DomainName> {
    let bytes = value.name_bytes as usize;
    let text = std::str::from_utf8(value.name.get(..bytes.min(SIGHTING_NAME_BYTES))?).ok()?;
    if bytes <= SIGHTING_NAME_BYTES {
        return DomainName::parse(text).ok();
    }
    let of_rule = DomainName::parse(label::first_word(installed.rule_labels.get(&key.rule)?)).ok()?;
    (of_rule.as_str().len() == bytes && of_rule.as_str().starts_with(text)).then_some(of_rule)
}

/// An address of the tables, which hold IPv4 as `::ffff:a.b.c.d`.
pub(crate) fn plain(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// The names that the rules of a policy allow, for each group.
#[derive(Debug, Default)]
pub struct AllowedNames {
    exact: HashMap<DomainName, Vec<GroupName>>,
    below: Vec<(NamePattern, GroupName)>,
}

impl AllowedNames {
    /// The names of a policy.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let mut allowed = Self::default();
        for group in &policy.groups {
            for rule in &group.rules {
                match &rule.target {
                    Target::Name(NamePattern::Exact(name)) => {
                        allowed.exact.entry(name.clone()).or_default().push(group.name.clone());
                    }
                    Target::Name(pattern) => allowed.below.push((pattern.clone(), group.name.clone())),
                    Target::Address(_) | Target::Cidr(_) => {}
                }
            }
        }
        allowed
    }

    /// Whether a name is allowed: for a group, or for any.
    #[must_use]
    pub fn allow(&self, name: &DomainName, group: Option<&GroupName>) -> bool {
        let fits = |found: &GroupName| group.is_none_or(|group| found == group);
        self.exact.get(name).is_some_and(|groups| groups.iter().any(fits))
            || self.below.iter().any(|(pattern, found)| fits(found) && pattern.covers(name))
    }
}
