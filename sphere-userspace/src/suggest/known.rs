//! What the policy that is there says of something that was denied.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::suggestion::Why;
use crate::policy::{
    DnsPolicy, DomainName, Group, GroupName, NamePattern, Policy, PortMatch, ProfileOption, Rule, Server, Service,
    ShippedProfile, Target,
};
use crate::resolve::Special;

/// The policy, if one was given, and the profiles that ship with the daemon.
pub(super) struct Known<'a> {
    policy: Option<&'a Policy>,
    pub(super) profiles: Vec<ShippedProfile>,
}

impl<'a> Known<'a> {
    pub(super) fn new(policy: Option<&'a Policy>) -> Self {
        Self { policy, profiles: ShippedProfile::all() }
    }

    /// The group of this name: the policy must have it, when there is one.
    pub(super) fn group(&self, name: &str) -> Result<(GroupName, Option<&'a Group>), Why> {
        let name = GroupName::parse(name).ok_or(Why::NoGroup)?;
        let Some(policy) = self.policy else { return Ok((name, None)) };
        let group = policy.groups.iter().find(|group| group.name == name).ok_or(Why::NoGroup)?;
        Ok((name, Some(group)))
    }

    /// The option of a profile of the group that allows a target.
    pub(super) fn option(
        &self,
        group: Option<&Group>,
        target: &Target,
        service: Option<Service>,
    ) -> Option<ProfileOption> {
        let group = group?;
        let mut used = self.profiles.iter().filter(|profile| group.profiles.contains_key(profile.name()));
        used.find_map(|profile| profile.option(target, service, group))
    }

    /// Whether a profile of the policy reserves the address.
    pub(super) fn is_reserved(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        self.policy.is_some_and(|policy| policy.reserved.iter().any(|net| net.contains(&address)))
    }

    /// Whether the address is in a device subnet of the policy.
    pub(super) fn is_device(&self, address: IpAddr) -> bool {
        let mut subnets = self.policy.into_iter().flat_map(|policy| &policy.groups).flat_map(|group| &group.subnets);
        subnets.any(|net| net.contains(&address))
    }

    /// Ports that another group, or a shipped profile, has for a name, and where.
    pub(super) fn ports_elsewhere(&self, name: &DomainName) -> Option<(BTreeSet<Service>, String)> {
        let groups = self.policy.into_iter().flat_map(|policy| &policy.groups);
        let mut rules = groups.flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
        let of_group = rules.find_map(|(group, rule)| {
            let covers = matches!(&rule.target, Target::Name(pattern) if pattern.covers(name));
            covers.then(|| (rule.services.clone(), format!("a rule of the group `{}` ({})", group.name, rule.origin)))
        });
        of_group.or_else(|| {
            let mut profiles = self.profiles.iter().map(|profile| (profile, profile.services(name)));
            let (profile, services) = profiles.find(|(_, services)| !services.is_empty())?;
            Some((services, format!("the profile `{}`", profile.name())))
        })
    }
}

/// The rule that allows devices of a group to reach an address that these names led to.
pub(super) fn reaches(group: &Group, names: &[DomainName], (address, service): (IpAddr, Service)) -> Option<String> {
    let fits = |rule: &&Rule| has(&rule.services, service) && leads(rule, names, address);
    group.rules.iter().find(fits).map(|rule| rule.origin.to_string())
}

fn leads(rule: &Rule, names: &[DomainName], address: IpAddr) -> bool {
    match &rule.target {
        Target::Address(allowed) => *allowed == address,
        Target::Cidr(net) => net.contains(&address),
        Target::Name(pattern) => {
            names.iter().any(|name| pattern.covers(name)) && (rule.allow_private || Special::of(address).is_none())
        }
    }
}

/// What allows devices of a group to ask for a name.
pub(super) fn asks(group: &Group, name: &DomainName) -> Option<String> {
    if group.dns == DnsPolicy::Any {
        return Some("dns = \"any\"".to_owned());
    }
    rule_about(group, name).map(|rule| rule.origin.to_string())
}

/// A rule about a name: one that lets devices ask for every type of record, if there is one.
pub(super) fn rule_about<'a>(group: &'a Group, name: &DomainName) -> Option<&'a Rule> {
    let mut rules = group.rules.iter();
    let about = |rule: &&Rule| matches!(&rule.target, Target::Name(pattern) if pattern.covers(name));
    rules.clone().filter(about).find(|rule| rule.any_type).or_else(|| rules.find(about))
}

/// The rule that allows somebody to open flows to devices of a group.
pub(super) fn knocks(group: &Group, from: IpNet, service: Service) -> Option<String> {
    let mut rules = group.inbound.iter();
    let rule = rules.find(|rule| rule.from.contains(&from) && has(&rule.services, service));
    rule.map(|rule| rule.origin.to_string())
}

/// Whether devices of a group may ask a resolver.
pub(super) fn is_resolver(group: &Group, address: IpAddr) -> bool {
    group.resolvers.contains(&Server::Address(address))
}

/// Services that rules open at a name: what a further rule opens takes room beside them.
pub(super) fn services_at(group: &Group, name: &DomainName) -> usize {
    let about = |pattern: &NamePattern| pattern.covers(name);
    let rules = group.rules.iter().filter(|rule| matches!(&rule.target, Target::Name(pattern) if about(pattern)));
    rules.map(|rule| rule.services.len()).sum()
}

fn has(services: &BTreeSet<Service>, wanted: Service) -> bool {
    services.iter().any(|service| {
        service.protocol() == wanted.protocol() && (service.port() == PortMatch::Any || service.port() == wanted.port())
    })
}
