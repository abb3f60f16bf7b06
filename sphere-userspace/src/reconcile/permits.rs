//! Exact endpoints and prefixes: what every rule of every group opens, as one union.
//!
//! Several rules may want one entry. It then lives as long as the longest of them wants it, and counts for that
//! rule: a name that goes away takes nothing from another.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::IpAddr,
};

use ipnet::IpNet;
use sphere_common::abi::{
    Cidr4Data, Cidr6Data, Endpoint4Key, Endpoint6Key, EndpointValue, INBOUND, NEVER, endpoint_flags,
};

use super::{
    desired::{Inputs, Refusal},
    label,
    names::{self, Names},
    numbers::RuleNumbers,
    tables::PrefixKey,
};
use crate::{
    policy::{DomainName, Group, NamePattern, Protocol, Rule, Server, Service, Step, Target},
    resolve::{Family, Special},
};

/// IP protocol number of UDP.
const UDP: u8 = 17;
/// IP protocol number of TCP.
const TCP: u8 = 6;
const DNS: u16 = 53;
const DHCP4: u16 = 67;
const DHCP6: u16 = 547;

/// Entries as they come together.
#[derive(Debug, Default)]
pub(super) struct Permits {
    pub(super) endpoints4: BTreeMap<Endpoint4Key, EndpointValue>,
    pub(super) endpoints6: BTreeMap<Endpoint6Key, EndpointValue>,
    pub(super) cidrs4: BTreeMap<PrefixKey<Cidr4Data>, EndpointValue>,
    pub(super) cidrs6: BTreeMap<PrefixKey<Cidr6Data>, EndpointValue>,
    pub(super) names: Names,
    pub(super) infrastructure: BTreeSet<u32>,
    pub(super) refusals: BTreeSet<Refusal>,
    /// Services of rules about names: each needs room for one address of each family at least.
    pub(super) name_services: usize,
}

/// A protocol number and a port.
type Transport = (u8, u16);

impl Permits {
    /// What every group opens; `groups` are their numbers.
    pub(super) fn collect(inputs: &Inputs<'_>, groups: &[u32], numbers: &mut RuleNumbers<'_>) -> Self {
        let own: BTreeSet<IpAddr> = inputs.facts.own_addresses().collect();
        let mut permits = Self::default();
        for is_essential in [true, false] {
            for (group, number) in inputs.policy.groups.iter().zip(groups) {
                let (permits, numbers) = (&mut permits, &mut *numbers);
                let mut compiler = Compiler { inputs, own: &own, numbers, permits, group, number: *number };
                if is_essential {
                    compiler.infrastructure();
                } else {
                    compiler.rules();
                }
            }
        }
        names::refuse(inputs, &mut permits);
        permits
    }
}

/// What the rules of one group are compiled with.
struct Compiler<'a, 'n> {
    inputs: &'a Inputs<'a>,
    own: &'a BTreeSet<IpAddr>,
    numbers: &'a mut RuleNumbers<'n>,
    permits: &'a mut Permits,
    group: &'a Group,
    number: u32,
}

impl Compiler<'_, '_> {
    /// What everything else depends on: resolvers, DHCP servers, the gateway's own access.
    fn infrastructure(&mut self) {
        // A resolver on the gateway's loopback, as the gateway's own settings may name it, is none that a device can ask.
        let is_reachable = |server: &Server| !matches!(server, Server::Address(address) if address.is_loopback());
        for server in self.group.resolvers.iter().copied().filter(is_reachable) {
            let rule = self.essential(&label::resolver(server), Some(Step::Dns));
            let value = EndpointValue { flags: endpoint_flags::RESOLVER, ..lasting(rule) };
            for address in self.addresses_of(server) {
                self.endpoint(address, (UDP, DNS), value);
                self.endpoint(address, (TCP, DNS), value);
            }
        }
        for server in self.group.dhcp_servers.iter().copied() {
            let rule = self.essential(&label::dhcp(server), Some(Step::Dhcp));
            for address in self.addresses_of(server) {
                let port = if address.is_ipv4() { DHCP4 } else { DHCP6 };
                self.endpoint(address, (UDP, port), lasting(rule));
            }
        }
        if self.group.gateway_access {
            let rule = self.essential(label::GATEWAY, None);
            // Addresses of loopback never come from outside, and go nowhere.
            for address in self.own.iter().filter(|address| !address.is_loopback() && !address.is_unspecified()) {
                self.prefix((*address).into(), (self.number | INBOUND, 0, 0), rule);
            }
        }
    }

    /// What the rules open, and what names stand for now.
    fn rules(&mut self) {
        for rule in &self.group.rules {
            let number = self.numbers.number(self.number, &label::destination(rule), rule.step);
            match &rule.target {
                Target::Address(address) => {
                    for service in &rule.services {
                        self.endpoint(*address, transport(*service, Family::of(*address)), lasting(number));
                    }
                }
                Target::Cidr(net) => self.prefixes(*net, self.number, (&rule.services, number)),
                Target::Name(pattern) => {
                    self.permits.name_services += rule.services.len();
                    self.permits.names.add((self.number, number), pattern, rule);
                    self.leases_for(pattern, rule, number);
                }
            }
        }
        for rule in &self.group.inbound {
            let number = self.numbers.number(self.number, &label::inbound(rule), None);
            self.prefixes(rule.from, self.number | INBOUND, (&rule.services, number));
        }
    }

    /// What the names that a pattern covers stand for, as far as it holds for this group.
    fn leases_for(&mut self, pattern: &NamePattern, rule: &Rule, number: u32) {
        match pattern {
            NamePattern::Exact(name) => self.leases_of(name, rule, number),
            NamePattern::Below(_) => {
                for name in self.inputs.leases.names().filter(|name| pattern.covers(name)) {
                    self.leases_of(name, rule, number);
                }
            }
        }
    }

    fn leases_of(&mut self, name: &DomainName, rule: &Rule, number: u32) {
        let inputs = self.inputs;
        let live = inputs.leases.of_group(name, &self.group.name).filter(|(_, lease, _)| inputs.now < lease.ends);
        for (address, lease, is_own) in live {
            if let Some(why) = self.refuses(address, rule) {
                let group = self.group.name.clone();
                self.permits.refusals.insert(Refusal { name: name.clone(), address, group, why });
                continue;
            }
            let flags = if is_own { endpoint_flags::LEARNED } else { 0 };
            let value = EndpointValue { expires: inputs.clock.ticks_at(lease.ends), rule: number, flags };
            for service in &rule.services {
                self.endpoint(address, transport(*service, Family::of(address)), value);
            }
        }
    }

    /// Why an answer may not open this address for a rule.
    fn refuses(&self, address: IpAddr, rule: &Rule) -> Option<Special> {
        refuses(address, self.own.contains(&address), rule.allow_private)
    }

    fn essential(&mut self, text: &str, step: Option<Step>) -> u32 {
        let rule = self.numbers.number(self.number, text, step);
        self.permits.infrastructure.insert(rule);
        rule
    }

    fn addresses_of(&self, server: Server) -> Vec<IpAddr> {
        let facts = &self.inputs.facts.interfaces;
        match server {
            Server::Address(address) => vec![address],
            Server::Gateway => {
                let ports = self.group.interfaces.iter().filter_map(|name| facts.get(name));
                ports.flat_map(|port| port.addresses.iter().copied()).collect()
            }
        }
    }

    fn endpoint(&mut self, address: IpAddr, (protocol, port): Transport, value: EndpointValue) {
        let (group, port_be) = (self.number, port.to_be_bytes());
        match address {
            IpAddr::V4(address) => {
                let key = Endpoint4Key { group, address: address.octets(), port_be, protocol, pad: 0 };
                merge(&mut self.permits.endpoints4, key, value);
            }
            IpAddr::V6(address) => {
                let key = Endpoint6Key { group, address: address.octets(), port_be, protocol, pad: 0 };
                merge(&mut self.permits.endpoints6, key, value);
            }
        }
    }

    fn prefixes(&mut self, net: IpNet, group: u32, (services, rule): (&BTreeSet<Service>, u32)) {
        for service in services {
            let (protocol, port) = transport(*service, Family::of(net.addr()));
            self.prefix(net, (group, protocol, port), rule);
        }
    }

    fn prefix(&mut self, net: IpNet, (group, protocol, port): (u32, u8, u16), rule: u32) {
        let (group_be, port_be, bits) = (group.to_be_bytes(), port.to_be_bytes(), u32::from(net.prefix_len()));
        match net.network() {
            IpAddr::V4(address) => {
                let data = Cidr4Data { group_be, protocol, pad: 0, port_be, address: address.octets() };
                let key = PrefixKey { prefix_len: Cidr4Data::FIXED_BITS + bits, data };
                merge(&mut self.permits.cidrs4, key, lasting(rule));
            }
            IpAddr::V6(address) => {
                let data = Cidr6Data { group_be, protocol, pad: 0, port_be, address: address.octets() };
                let key = PrefixKey { prefix_len: Cidr6Data::FIXED_BITS + bits, data };
                merge(&mut self.permits.cidrs6, key, lasting(rule));
            }
        }
    }
}

/// Why an answer may not open an address, of the gateway's `own` or not, where private addresses count or not.
pub(super) fn refuses(address: IpAddr, own: bool, allow_private: bool) -> Option<Special> {
    let special = Special::of(address).or_else(|| own.then_some(Special::Gateway))?;
    (!allow_private || !special.is_reachable()).then_some(special)
}

/// The value of an entry that holds as long as its rule.
const fn lasting(rule: u32) -> EndpointValue {
    EndpointValue { expires: NEVER, rule, flags: 0 }
}

/// Protocol number and port as the tables spell them; 0 stands for every port.
const fn transport(service: Service, family: Family) -> Transport {
    let protocol: Protocol = service.protocol();
    let number = match family {
        Family::V4 => protocol.number4(),
        Family::V6 => protocol.number6(),
    };
    (number, service.port_number())
}

fn merge<K: Ord>(table: &mut BTreeMap<K, EndpointValue>, key: K, value: EndpointValue) {
    match table.entry(key) {
        Entry::Vacant(vacant) => {
            vacant.insert(value);
        }
        Entry::Occupied(mut occupied) => {
            let there = occupied.get_mut();
            let flags = there.flags | value.flags;
            let longer =
                (value.expires, std::cmp::Reverse(value.rule)) > (there.expires, std::cmp::Reverse(there.rule));
            *there = EndpointValue { flags, ..if longer { value } else { *there } };
        }
    }
}
