//! What is worth a warning about the sources on a port: those that nobody judges, and more than there is room for.

use std::{collections::BTreeMap, ops::Range};

use ipnet::IpNet;

use super::{
    Policy,
    findings::Findings,
    group_file::Written,
    port::{InterfaceName, unjudged_sources},
    settings_file::LimitPlaces,
};

/// Most devices and flows that `[limits]` can give room for.
const MOST: (u64, u64) = (1 << 20, 1 << 24);

/// What groups say of a port.
#[derive(Debug)]
pub(super) struct Port {
    /// Where the first group names it.
    at: Range<usize>,
    /// IPv4 addresses of the device subnets behind it.
    addresses: u64,
    /// The widest of these subnets, and where it stands.
    widest: Option<(u8, Range<usize>)>,
}

/// The ports by name.
pub(super) type Ports = BTreeMap<InterfaceName, Port>;

/// What the groups say of their ports.
pub(super) fn ports(groups: &[Written]) -> Ports {
    let mut ports = Ports::new();
    for written in groups {
        let v4 = written.subnets.iter().filter_map(|subnet| match subnet.value {
            IpNet::V4(net) => Some((net.prefix_len(), &subnet.span)),
            IpNet::V6(_) => None,
        });
        let addresses = v4.clone().map(|(bits, _)| 1_u64 << (32 - u32::from(bits))).sum::<u64>();
        let widest = v4.min_by_key(|(bits, _)| *bits).map(|(bits, at)| (bits, at.clone()));
        for interface in &written.interfaces {
            let new = || Port { at: interface.span.clone(), addresses: 0, widest: None };
            let port = ports.entry(interface.value.clone()).or_insert_with(new);
            port.addresses += addresses;
            let both = port.widest.take().into_iter().chain(widest.clone());
            port.widest = both.min_by_key(|(bits, _)| *bits);
        }
    }
    ports
}

/// Warns of what the ports of a policy let through or take up.
pub(super) fn warn(ports: &Ports, (policy, places): (&Policy, &LimitPlaces), findings: &mut Findings) {
    for port in &policy.interfaces {
        let sources = (port.other_sources_v4, port.other_sources_v6);
        let unjudged = unjudged_sources(port.name.as_str(), sources.0, sources.1);
        if let (Some(Port { at, .. }), Some((message, remedy))) = (ports.get(&port.name), unjudged) {
            findings.warn(at, message, remedy);
        }
    }
    warn_of_crowds(ports, (policy, places), findings);
}

/// Warns when a device can send from more IPv4 addresses than the table of devices has room for: it then takes the
/// room of all others. IPv6 subnets always hold more.
fn warn_of_crowds(ports: &Ports, (policy, places): (&Policy, &LimitPlaces), findings: &mut Findings) {
    let limits = &policy.limits;
    let crowded = ports.iter().filter(|(_, port)| port.addresses > u64::from(limits.devices));
    let Some((name, Port { addresses, widest: Some((_, at)), .. })) = crowded.max_by_key(|(_, port)| port.addresses)
    else {
        return;
    };
    let message = format!(
        "the device subnets on `{name}` hold {addresses} IPv4 addresses, and `devices` gives room for {}: a device that \
         sends from many of them takes the room of all others, which then open no flows",
        limits.devices
    );
    let fits = *addresses <= MOST.0 && addresses * u64::from(limits.flows_per_device) <= MOST.1;
    let remedy = if fits {
        format!("set `devices` in [limits] to {addresses} or more, or name narrower subnets")
    } else {
        "name narrower subnets: those that devices really have addresses of".to_owned()
    };
    findings.warn(&places.written("devices").unwrap_or_else(|| at.clone()), message, remedy);
}
