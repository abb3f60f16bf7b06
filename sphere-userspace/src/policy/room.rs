//! Whether the policy fits into the kernel's tables: counted as the reconciler counts, before a daemon is asked.
//!
//! Only what the text says is counted. The gateway's own addresses, and those that names lead to beyond the first,
//! are known to a running daemon alone.

use std::{collections::BTreeSet, net::IpAddr, ops::Range};

use ipnet::IpNet;
use sphere_common::abi::MAX_RESERVED;

use super::{
    Policy,
    findings::{Findings, Located},
    group::{Group, Server, Target},
    group_file::Written,
    room_of_names,
    service::Service,
    settings_file::LimitPlaces,
};

/// Groups that the data plane's tables of groups hold.
const MAX_GROUPS: usize = sphere_common::abi::MAX_GROUPS as usize;
/// Subnets that its table of subnets holds, each for one interface.
const MAX_SUBNETS: usize = 1024;
/// Interfaces that its table of ports holds.
const MAX_INTERFACES: usize = 256;

/// Number of a group in the order of the file, address or prefix, protocol and port.
type Key<T> = (usize, T, (u8, u16));

/// Entries that a policy needs at least.
#[derive(Debug, Default)]
struct Needs {
    /// What tells one rule from another, by group: rules that say the same have one number.
    rules: BTreeSet<(usize, String)>,
    endpoints: BTreeSet<Key<IpAddr>>,
    cidrs: BTreeSet<Key<(bool, IpNet)>>,
    /// Services of rules about names: each takes one address of each family.
    name_services: usize,
}

/// Reports what does not fit, at the key of `[limits]` that gives too little room.
pub(super) fn check_limits(policy: &Policy, places: &LimitPlaces, findings: &mut Findings) {
    let needs = Needs::of(policy);
    let limits = &policy.limits;
    let [endpoints4, endpoints6] = by_family(&needs.endpoints, IpAddr::is_ipv4);
    let [cidrs4, cidrs6] = by_family(&needs.cidrs, |(_, net)| matches!(net, IpNet::V4(_)));
    let (endpoints, cidrs) = (endpoints4.max(endpoints6) + needs.name_services, cidrs4.max(cidrs6));
    for (what, needed, room, key) in [
        // Number 0 belongs to no rule.
        ("rule numbers", needs.rules.len() + 1, limits.rules, "rules"),
        ("endpoints of one family", endpoints, limits.endpoints, "endpoints"),
        ("prefix rules of one family", cidrs, limits.cidrs, "cidrs"),
    ] {
        if needed > room as usize {
            let message = format!("the policy needs room for at least {needed} {what}, and `{key}` gives {room}");
            let remedy = match key {
                "endpoints" => ", and more for names with several addresses",
                _ => "",
            };
            findings.error(&places.of(key), message, format!("raise `{key}` in [limits] to {needed} or more{remedy}"));
        }
    }
}

/// Reports groups, subnets, interfaces and reserved prefixes beyond what the data plane holds, at the first too many.
pub(super) fn check_groups(groups: &[Written], findings: &mut Findings) {
    let names = groups.iter().map(|written| (1, written.name_at.as_ref().unwrap_or(&written.at)));
    if let Some((at, needed)) = beyond(names, MAX_GROUPS) {
        let remedy = "merge groups that have the same rules: a group may have many subnets";
        findings.error(at, format!("the policy has {needed} groups, more than {MAX_GROUPS}"), remedy);
    }
    let subnets = groups.iter().flat_map(|written| {
        let each = written.group.interfaces.len();
        written.subnets.iter().map(move |subnet| (each, &subnet.span))
    });
    if let Some((at, needed)) = beyond(subnets, MAX_SUBNETS) {
        let message = format!("the policy has {needed} pairs of a subnet and an interface, more than {MAX_SUBNETS}");
        findings.error(at, message, "write fewer and wider subnets, or name fewer interfaces in a group");
    }
    let interfaces = first_of_each(groups.iter().flat_map(|written| &written.interfaces));
    if let Some((at, needed)) = beyond(interfaces, MAX_INTERFACES) {
        let message = format!("the policy names {needed} interfaces, more than {MAX_INTERFACES}");
        findings.error(at, message, "put devices behind fewer interfaces, such as a bridge");
    }
    let reserved = first_of_each(groups.iter().flat_map(|written| &written.reserved));
    if let Some((at, needed)) = beyond(reserved, MAX_RESERVED) {
        let message = format!("the profiles of the policy reserve {needed} prefixes, more than {MAX_RESERVED}");
        findings.error(at, message, "use fewer profiles that reserve prefixes, or reserve fewer and wider ones");
    }
    for written in groups {
        room_of_names::check(written, findings);
    }
}

/// Each value where it stands first, as one.
fn first_of_each<'a, T: Ord + 'a>(
    all: impl Iterator<Item = &'a Located<T>>,
) -> impl Iterator<Item = (usize, &'a Range<usize>)> {
    let mut seen = BTreeSet::new();
    all.filter(move |located| seen.insert(&located.value)).map(|located| (1, &located.span))
}

/// The place that goes beyond a number, and how many there are in all; `None` when all fit.
fn beyond<'a>(all: impl Iterator<Item = (usize, &'a Range<usize>)>, most: usize) -> Option<(&'a Range<usize>, usize)> {
    let (mut total, mut at) = (0, None);
    for (count, place) in all {
        total += count;
        if total > most {
            at = at.or(Some(place));
        }
    }
    at.map(|at| (at, total))
}

/// How many entries are IPv4 ones, and how many are not.
fn by_family<T>(keys: &BTreeSet<Key<T>>, is_v4: impl Fn(&T) -> bool) -> [usize; 2] {
    let v4 = keys.iter().filter(|(_, what, _)| is_v4(what)).count();
    [v4, keys.len() - v4]
}

impl Needs {
    fn of(policy: &Policy) -> Self {
        let mut needs = Self::default();
        for (number, group) in policy.groups.iter().enumerate() {
            needs.add_infrastructure(number, group);
            needs.add_rules(number, group);
        }
        needs
    }

    fn add_infrastructure(&mut self, number: usize, group: &Group) {
        const UDP: u8 = 17;
        const TCP: u8 = 6;
        for server in &group.resolvers {
            self.rules.insert((number, format!("resolver {server}")));
            if let Server::Address(address) = server {
                self.endpoints.extend([(number, *address, (UDP, 53)), (number, *address, (TCP, 53))]);
            }
        }
        for server in &group.dhcp_servers {
            self.rules.insert((number, format!("dhcp {server}")));
            if let Server::Address(address) = server {
                self.endpoints.insert((number, *address, (UDP, if address.is_ipv4() { 67 } else { 547 })));
            }
        }
        if group.gateway_access {
            self.rules.insert((number, "gateway".to_owned()));
        }
    }

    fn add_rules(&mut self, number: usize, group: &Group) {
        for rule in &group.rules {
            let private = if rule.allow_private { "private" } else { "" };
            self.rules.insert((number, format!("{} {:?} {private}", rule.target, rule.services)));
            match &rule.target {
                Target::Name(_) => self.name_services += rule.services.len(),
                Target::Address(address) => {
                    let keys = rule.services.iter().map(|service| (number, *address, transport(*service, *address)));
                    self.endpoints.extend(keys);
                }
                Target::Cidr(net) => self.add_prefixes(number, (false, *net), &rule.services),
            }
        }
        for rule in &group.inbound {
            self.rules.insert((number, format!("inbound {} {:?}", rule.from, rule.services)));
            self.add_prefixes(number, (true, rule.from), &rule.services);
        }
    }

    fn add_prefixes(&mut self, number: usize, (inbound, net): (bool, IpNet), services: &BTreeSet<Service>) {
        let key = |service: &Service| (number, (inbound, net), transport(*service, net.addr()));
        self.cidrs.extend(services.iter().map(key));
    }
}

/// Protocol number and port as the tables spell them.
const fn transport(service: Service, address: IpAddr) -> (u8, u16) {
    let number = match address {
        IpAddr::V4(_) => service.protocol().number4(),
        IpAddr::V6(_) => service.protocol().number6(),
    };
    (number, service.port_number())
}
