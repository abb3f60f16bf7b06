//! What an answer opens that the programs could not judge: the same entries that they would have written, at once and
//! without working out everything anew.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
};

use sphere_common::{
    abi::{
        Endpoint4Key, Endpoint6Key, EndpointValue, NameKeyData, NameValue, SIGHTING_NAME_BYTES, Service, SightingKey,
        SightingValue, endpoint_flags, name_flags,
    },
    name::rule_key,
};

use super::{
    changeset::{Changeset, Step},
    desired::Inputs,
    lease::{Lease, LeaseSource, LeaseTerms},
    permits::refuses,
    tables::{PrefixKey, Tables},
};
use crate::{policy::DomainName, resolve::AddressRecord};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// An answer to a device of a group.
#[derive(Clone, Debug)]
pub struct Heard<'a> {
    /// Number of the group.
    pub group: u32,
    /// The device.
    pub device: IpAddr,
    /// The asked name.
    pub name: &'a DomainName,
    /// The addresses in the answer.
    pub records: &'a [AddressRecord],
    /// Entries that the group may still learn.
    pub share: u32,
}

/// What an answer teaches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taught {
    /// The entries.
    pub changes: Changeset,
    /// What is noted beside the sightings of the programs.
    pub sightings: Vec<(SightingKey, SightingValue)>,
    /// The leases.
    pub leases: Vec<(IpAddr, Lease)>,
    /// Addresses that no rule opens for their range.
    pub refused: usize,
    /// Addresses for which the group has no share left.
    pub over_quota: usize,
    /// Entries that are new.
    pub new: u32,
}

/// What an answer teaches; [`None`] when the group has no rule for its name.
#[must_use]
pub fn teach(inputs: &Inputs<'_>, tables: &Tables, heard: &Heard<'_>) -> Option<Taught> {
    let value = find(tables, heard.group, heard.name)?;
    let own: BTreeSet<IpAddr> = inputs.facts.own_addresses().collect();
    let terms = LeaseTerms::from(&inputs.policy.resolver);
    let services = value.services.get(..value.services_len as usize).unwrap_or_default();
    let mut taught = Taught::default();
    for record in heard.records {
        let address = record.address;
        if refuses(address, own.contains(&address), value.flags & name_flags::PRIVATE != 0).is_some() {
            taught.refused += 1;
            continue;
        }
        let live_until = inputs.now + terms.life(record.ttl);
        let ends = live_until + terms.grace;
        let expires = inputs.clock.ticks_at(ends);
        let entry = |service: &Service| EndpointValue { expires, rule: service.rule, flags: endpoint_flags::LEARNED };
        let steps: Vec<(Step, bool)> =
            services.iter().filter_map(|service| put(tables, heard.group, address, service, entry(service))).collect();
        let new = u32::try_from(steps.iter().filter(|(_, is_new)| *is_new).count()).unwrap_or(u32::MAX);
        if taught.new.saturating_add(new) > heard.share {
            taught.over_quota += 1;
            continue;
        }
        taught.new += new;
        taught.changes.steps.extend(steps.into_iter().map(|(step, _)| step));
        let source = LeaseSource::Sighted(heard.device);
        taught.leases.push((address, Lease { since: inputs.now, renewed: inputs.now, live_until, ends, source }));
        taught.sightings.push(sighting(inputs, heard, (record, expires, services)));
    }
    Some(taught)
}

/// Whether devices of a group may ask for a name.
#[must_use]
pub fn allows(tables: &Tables, group: u32, name: &DomainName) -> bool {
    find(tables, group, name).is_some()
}

/// What the group opens at a name: the entry of the name, else that of the longest suffix.
fn find<'a>(tables: &'a Tables, group: u32, name: &DomainName) -> Option<&'a NameValue> {
    let entry = |name: &str, below: bool| {
        let (name, bytes) = rule_key(name, below)?;
        let data = NameKeyData { group_be: group.to_be_bytes(), name };
        tables.names.get(&PrefixKey { prefix_len: 32 + 8 * u32::try_from(bytes).ok()?, data })
    };
    let suffixes = name.as_str().match_indices('.').map(|(dot, _)| &name.as_str()[dot + 1..]);
    entry(name.as_str(), false).or_else(|| suffixes.into_iter().find_map(|suffix| entry(suffix, true)))
}

/// The step that opens a service at an address, and whether its entry is new; [`None`] when it is open for as long.
fn put(tables: &Tables, group: u32, address: IpAddr, service: &Service, value: EndpointValue) -> Option<(Step, bool)> {
    let Service { port_be, protocol, .. } = *service;
    let longer = |there: Option<&EndpointValue>| match there {
        Some(there) if there.expires >= value.expires => None,
        Some(there) => {
            Some((EndpointValue { expires: value.expires, flags: there.flags | value.flags, ..*there }, false))
        }
        None => Some((value, true)),
    };
    match address {
        IpAddr::V4(address) => {
            let key = Endpoint4Key { group, address: address.octets(), port_be, protocol, pad: 0 };
            longer(tables.endpoints4.get(&key)).map(|(value, is_new)| (Step::PutEndpoint4(key, value), is_new))
        }
        IpAddr::V6(address) => {
            let protocol = if protocol == ICMP { ICMPV6 } else { protocol };
            let key = Endpoint6Key { group, address: address.octets(), port_be, protocol, pad: 0 };
            longer(tables.endpoints6.get(&key)).map(|(value, is_new)| (Step::PutEndpoint6(key, value), is_new))
        }
    }
}

fn sighting(
    inputs: &Inputs<'_>,
    heard: &Heard<'_>,
    (record, expires, services): (&AddressRecord, u64, &[Service]),
) -> (SightingKey, SightingValue) {
    let rule = services.first().map_or(0, |service| service.rule);
    let text = heard.name.as_str().as_bytes();
    let mut name = [0; SIGHTING_NAME_BYTES];
    for (to, from) in name.iter_mut().zip(text) {
        *to = *from;
    }
    let value = SightingValue {
        expires,
        seen: inputs.clock.ticks_at(inputs.now),
        device: mapped(heard.device),
        ttl: u32::try_from(record.ttl.as_secs()).unwrap_or(u32::MAX),
        name_bytes: u32::try_from(text.len()).unwrap_or(u32::MAX),
        name,
    };
    (SightingKey { address: mapped(record.address), group: heard.group, rule }, value)
}

/// An address as the tables hold it.
fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => Ipv6Addr::octets(&address),
    }
}
