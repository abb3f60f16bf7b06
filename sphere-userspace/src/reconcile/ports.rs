//! Device ports and subnets, and the configuration of the programs.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sphere_common::abi::{
    Config, INBOUND, MAX_RESERVED, Port, REFUSED, Reserved4, Subnet4, Subnet6, SubnetValue, Timeouts, config_flags,
    group_flags, port_flags,
};

use super::{
    desired::Inputs,
    misfit::Misfit,
    tables::{SubnetPrefix, Tables},
};
use crate::policy::{DnsPolicy, Group, Interface, Mode, OtherSources, Policy, Target};

/// Entries of `SUBNETS`, as the programs declare it.
const SUBNETS: usize = 1024;
/// Entries of `PORTS`, as the programs declare it.
const PORTS: usize = 256;

/// How long a DNS query may wait for its answer.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether ports, subnets and reserved prefixes fit, with every interface there.
pub(super) fn check(policy: &Policy) -> Result<(), Misfit> {
    let pairs = policy.groups.iter().map(|group| group.subnets.len() * group.interfaces.len());
    let (subnets, ports, reserved) = (pairs.sum(), policy.interfaces.len(), policy.reserved.len());
    if subnets > SUBNETS {
        return Err(Misfit::Subnets { needed: subnets, capacity: SUBNETS });
    }
    if ports > PORTS {
        return Err(Misfit::Ports { needed: ports, capacity: PORTS });
    }
    if reserved > MAX_RESERVED {
        return Err(Misfit::Reserved { needed: reserved, capacity: MAX_RESERVED });
    }
    Ok(())
}

/// Fills in ports, subnets and configuration; `numbers` are those of the groups.
pub(super) fn fill(inputs: &Inputs<'_>, numbers: &[u32], tables: &mut Tables) {
    tables.ports = ports(inputs);
    let mut subnets = subnets(inputs, numbers);
    // Stable: interfaces in the order of the policy within one prefix.
    subnets.sort_by_key(|subnet| std::cmp::Reverse(subnet.net.prefix_len()));
    let mut config = base_config(inputs);
    for subnet in subnets {
        let placed = match subnet.net {
            IpNet::V4(net) => place4(&mut config, &subnet, net),
            IpNet::V6(net) => place6(&mut config, &subnet, net),
        };
        if !placed {
            config.flags |= config_flags::SUBNETS_IN_TRIE;
            tables.subnets.insert(trie_key(&subnet), subnet.value);
        }
    }
    for (flag, used) in [
        (config_flags::CIDRS4, tables.cidrs4.keys().any(|key| is_destination(key.data.group_be))),
        (config_flags::CIDRS6, tables.cidrs6.keys().any(|key| is_destination(key.data.group_be))),
        (config_flags::INBOUND4, tables.cidrs4.keys().any(|key| is_inbound(key.data.group_be))),
        (config_flags::INBOUND6, tables.cidrs6.keys().any(|key| is_inbound(key.data.group_be))),
        (config_flags::NAMES, true),
        (config_flags::WILDCARD_PORTS, has_wildcards(inputs.policy)),
    ] {
        config.flags |= if used { flag } else { 0 };
    }
    tables.config = config;
}

const fn is_inbound(group_be: [u8; 4]) -> bool {
    u32::from_be_bytes(group_be) & INBOUND != 0
}

const fn is_destination(group_be: [u8; 4]) -> bool {
    u32::from_be_bytes(group_be) & (INBOUND | REFUSED) == 0
}

/// What the programs do with DNS of a group.
fn dns_flags(group: &Group) -> u8 {
    let policy = match group.dns {
        DnsPolicy::Refuse => group_flags::DNS_POLICY,
        DnsPolicy::Drop => group_flags::DNS_POLICY | group_flags::DNS_DROP,
        DnsPolicy::Any => 0,
    };
    policy | if group.dns_hold.is_some() { group_flags::DNS_HOLD } else { 0 }
}

/// One device subnet on one interface.
struct Placed {
    net: IpNet,
    ifindex: u32,
    value: SubnetValue,
}

fn ports(inputs: &Inputs<'_>) -> BTreeMap<u32, Port> {
    let facts = |port: &Interface| inputs.facts.interfaces.get(&port.name);
    let ports = inputs.policy.interfaces.iter().filter_map(|port| Some((facts(port)?.ifindex, port)));
    ports
        .map(|(ifindex, port)| {
            let is_on = |group: &&Group| group.interfaces.contains(&port.name);
            let enforce = inputs.policy.groups.iter().filter(is_on).any(|group| group.mode == Mode::Enforce);
            let denied = [
                (port.other_sources_v4 == OtherSources::Deny, port_flags::DENY_FOREIGN4),
                (port.other_sources_v6 == OtherSources::Deny, port_flags::DENY_FOREIGN6),
                (port.other_sources_v6 != OtherSources::Pass, port_flags::DENY_LINK_LOCAL6),
            ];
            let flags = denied.into_iter().filter(|(denied, _)| *denied).fold(0, |flags, (_, flag)| flags | flag);
            (ifindex, Port { enforce: u8::from(enforce), flags, ..Port::default() })
        })
        .collect()
}

fn subnets(inputs: &Inputs<'_>, numbers: &[u32]) -> Vec<Placed> {
    let mut placed = Vec::new();
    for (group, number) in inputs.policy.groups.iter().zip(numbers) {
        let enforce = u8::from(group.mode == Mode::Enforce);
        let flags = dns_flags(group);
        let value = SubnetValue { group: *number, enforce, flags, ..SubnetValue::default() };
        for facts in group.interfaces.iter().filter_map(|name| inputs.facts.interfaces.get(name)) {
            placed.extend(group.subnets.iter().map(|net| Placed { net: net.trunc(), ifindex: facts.ifindex, value }));
        }
    }
    placed
}

#[allow(clippy::needless_update, reason = "fields of the layout that are not named here are zero")]
fn base_config(inputs: &Inputs<'_>) -> Config {
    let (policy, ticks) = (inputs.policy, |duration| inputs.clock.ticks_for(duration));
    let timeouts = Timeouts {
        tcp_opening: ticks(policy.timeouts.tcp_opening),
        tcp_established: ticks(policy.timeouts.tcp_established),
        tcp_closing: ticks(policy.timeouts.tcp_closing),
        udp: ticks(policy.timeouts.udp),
        icmp: ticks(policy.timeouts.icmp),
        fragment: ticks(policy.timeouts.fragment),
        query: ticks(QUERY_TIMEOUT),
        ..Timeouts::default()
    };
    let mut config = Config {
        ticks_per_second: inputs.clock.ticks_per_second,
        flows_per_device: policy.limits.flows_per_device,
        events_per_second: policy.limits.events_per_second,
        timeouts,
        ..Config::default()
    };
    for (slot, net) in config.reserved4.iter_mut().zip(&policy.reserved) {
        *slot = Reserved4 { network: net.network().octets(), mask: net.netmask().octets() };
        config.reserved4_len += 1;
    }
    config
}

/// Whether there was room in the configuration.
fn place4(config: &mut Config, subnet: &Placed, net: Ipv4Net) -> bool {
    let used = config.subnets4_len;
    let Some(slot) = config.subnets4.get_mut(used as usize) else { return false };
    let (network, mask) = (net.network().octets(), net.netmask().octets());
    *slot = Subnet4 { network, mask, ifindex: subnet.ifindex, group: subnet.value };
    config.subnets4_len = used + 1;
    true
}

/// Whether there was room in the configuration.
fn place6(config: &mut Config, subnet: &Placed, net: Ipv6Net) -> bool {
    let used = config.subnets6_len;
    let Some(slot) = config.subnets6.get_mut(used as usize) else { return false };
    let (network, mask) = (net.network().octets(), net.netmask().octets());
    *slot = Subnet6 { network, mask, ifindex: subnet.ifindex, group: subnet.value };
    config.subnets6_len = used + 1;
    true
}

fn trie_key(subnet: &Placed) -> SubnetPrefix {
    let (address, bits) = match subnet.net.network() {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), 96),
        IpAddr::V6(address) => (address, 0),
    };
    SubnetPrefix {
        prefix_len: 32 + bits + u32::from(subnet.net.prefix_len()),
        ifindex_be: subnet.ifindex.to_be_bytes(),
        address: address.octets(),
    }
}

/// Whether a rule opens every port of an exact endpoint. Asked of the policy rather than of the table, so that
/// answers do not turn the configuration over.
fn has_wildcards(policy: &Policy) -> bool {
    let rules = policy.groups.iter().flat_map(|group| &group.rules);
    let mut exact = rules.filter(|rule| !matches!(rule.target, Target::Cidr(_)));
    exact.any(|rule| rule.services.iter().any(|service| service.is_wildcard()))
}
