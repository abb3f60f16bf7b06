//! The table of names: what devices of each group may ask for, and what the answers open.
//!
//! The programs find a name by its longest match. So that a rule for a name and a rule for all names below a suffix
//! both count, the services of every wider rule are part of every narrower entry.

use std::collections::{BTreeMap, HashMap};

use sphere_common::{
    abi::{
        Cidr4Data, Cidr6Data, EndpointValue, MAX_SERVICES, NEVER, NameKeyData, NameValue, REFUSED, Service, name_flags,
    },
    name::rule_key,
};

use super::{desired::Inputs, misfit::Misfit, permits::Permits, tables::PrefixKey};
use crate::{
    policy::{DomainName, NamePattern, Rule},
    resolve::Special,
};

/// Room in each prefix table, beyond `[limits]`, for the prefixes that no answer may open.
pub(crate) const REFUSED_ROOM: u32 = 1024;

/// Entries of the table of names by group and pattern, as they come together.
#[derive(Debug, Default)]
pub(super) struct Names {
    entries: BTreeMap<(u32, NamePattern), NameValue>,
    crowded: Option<DomainName>,
}

impl Names {
    /// Adds what a rule about a name opens.
    pub(super) fn add(&mut self, (group, rule_number): (u32, u32), pattern: &NamePattern, rule: &Rule) {
        let entry = self.entries.entry((group, pattern.clone())).or_default();
        for service in &rule.services {
            let (port, protocol) = (service.port_number(), service.protocol().number4());
            let service = Service { rule: rule_number, port_be: port.to_be_bytes(), protocol, pad: 0 };
            if !push(entry, service) {
                self.crowded = Some(base(pattern).clone());
            }
        }
        entry.flags |= if rule.allow_private { name_flags::PRIVATE } else { 0 };
        entry.flags |= if rule.any_type { name_flags::ANY_TYPE } else { 0 };
    }

    /// The table.
    ///
    /// # Errors
    ///
    /// When a name opens more services than an entry holds.
    pub(super) fn finish(mut self, inputs: &Inputs<'_>) -> Result<BTreeMap<PrefixKey<NameKeyData>, NameValue>, Misfit> {
        self.inherit();
        if let Some(name) = self.crowded {
            return Err(Misfit::Services { name, capacity: MAX_SERVICES });
        }
        let resolver = &inputs.policy.resolver;
        let [floor, ceiling, grace] =
            [resolver.ttl_floor, resolver.ttl_ceiling, resolver.grace].map(|life| inputs.clock.ticks_for(life));
        let entries = self.entries.into_iter().filter_map(|((group, pattern), value)| {
            let below = matches!(pattern, NamePattern::Below(_));
            let (name, bytes) = rule_key(base(&pattern).as_str(), below)?;
            let prefix_len = 32 + 8 * u32::try_from(bytes).ok()?;
            let data = NameKeyData { group_be: group.to_be_bytes(), name };
            Some((PrefixKey { prefix_len, data }, NameValue { floor, ceiling, grace, ..value }))
        });
        Ok(entries.collect())
    }

    /// Gives every entry what wider patterns of its group open.
    fn inherit(&mut self) {
        let wide = self.entries.iter().filter_map(|((group, pattern), value)| match pattern {
            NamePattern::Below(suffix) => Some(((*group, suffix.as_str().to_owned()), *value)),
            NamePattern::Exact(_) => None,
        });
        let wider: HashMap<(u32, String), NameValue> = wide.collect();
        if wider.is_empty() {
            return;
        }
        for ((group, pattern), value) in &mut self.entries {
            let mut name = base(pattern).as_str();
            while let Some((_, suffix)) = name.split_once('.') {
                name = suffix;
                let Some(wide) = wider.get(&(*group, suffix.to_owned())) else { continue };
                for service in wide.services.iter().take(wide.services_len as usize) {
                    if !push(value, *service) {
                        self.crowded = Some(base(pattern).clone());
                    }
                }
                value.flags |= wide.flags;
            }
        }
    }
}

/// Adds a service that is not there yet. False when there is no room.
fn push(value: &mut NameValue, service: Service) -> bool {
    let used = value.services_len as usize;
    if value.services.iter().take(used).any(|there| *there == service) {
        return true;
    }
    match value.services.get_mut(used) {
        Some(slot) => {
            *slot = service;
            value.services_len += 1;
            true
        }
        None => false,
    }
}

const fn base(pattern: &NamePattern) -> &DomainName {
    match pattern {
        NamePattern::Exact(name) | NamePattern::Below(name) => name,
    }
}

/// Adds the prefixes that no answer may open: special-purpose ranges, and the gateway's own addresses.
pub(super) fn refuse(inputs: &Inputs<'_>, permits: &mut Permits) {
    for (network, bits, special) in Special::prefixes4() {
        let flags = special.map_or(name_flags::OPEN, flags_of);
        refuse4(permits, (network.octets(), bits), flags);
    }
    for (network, bits, special) in Special::prefixes6() {
        let flags = special.map_or(name_flags::OPEN, flags_of);
        refuse6(permits, (network.octets(), bits), flags);
    }
    for address in inputs.facts.own_addresses() {
        let flags = flags_of(Special::of(address).unwrap_or(Special::Gateway));
        match address {
            std::net::IpAddr::V4(address) => refuse4(permits, (address.octets(), 32), flags),
            std::net::IpAddr::V6(address) => refuse6(permits, (address.octets(), 128), flags),
        }
    }
}

const fn flags_of(special: Special) -> u32 {
    if special.is_reachable() { name_flags::PRIVATE } else { 0 }
}

fn refuse4(permits: &mut Permits, (address, bits): ([u8; 4], u32), flags: u32) {
    let data = Cidr4Data { group_be: REFUSED.to_be_bytes(), protocol: 0, pad: 0, port_be: [0; 2], address };
    let key = PrefixKey { prefix_len: Cidr4Data::FIXED_BITS + bits, data };
    permits.cidrs4.insert(key, EndpointValue { expires: NEVER, rule: 0, flags });
}

fn refuse6(permits: &mut Permits, (address, bits): ([u8; 16], u32), flags: u32) {
    let data = Cidr6Data { group_be: REFUSED.to_be_bytes(), protocol: 0, pad: 0, port_be: [0; 2], address };
    let key = PrefixKey { prefix_len: Cidr6Data::FIXED_BITS + bits, data };
    permits.cidrs6.insert(key, EndpointValue { expires: NEVER, rule: 0, flags });
}
