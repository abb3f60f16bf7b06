//! What is pinned, as far as it explains names, addresses and flows; read without a daemon.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::path::Path;

use sphere_common::abi::{Flow4Key, Flow6Key, FlowValue, SightingKey, SightingValue, Ticks, flow_kind};
use sphere_common::host::HostTables;
use zerocopy::IntoBytes as _;

use super::apply::installed;
use super::clock;
use super::error::DatapathError;
use super::lock::is_running;
use super::maps::Maps;
use super::monotonic;
use super::netlink;
use super::object::Programs;
use super::pins::Pins;
use crate::reconcile::{Clock, Installed, Moment};

/// A flow that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFlow {
    /// The device.
    pub device: IpAddr,
    /// The other side.
    pub peer: IpAddr,
    /// Port of the device.
    pub device_port: u16,
    /// Port of the other side.
    pub peer_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// The entry.
    pub value: FlowValue,
}

/// What is pinned.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Whether a daemon runs.
    pub running: bool,
    /// When this was read.
    pub now: Moment,
    /// The kernel's ticks next to the monotonic clock.
    pub clock: Clock,
    /// The tables that the daemon writes, with what the programs added.
    pub tables: Installed,
    /// Addresses that were seen in answers.
    pub sightings: Vec<(SightingKey, SightingValue)>,
    /// Flows that are open: not fragments, not queries.
    pub flows: Vec<OpenFlow>,
    /// Names of the interfaces by index.
    pub interfaces: BTreeMap<u32, String>,
}

/// Reads what is pinned under a root.
///
/// # Errors
///
/// [`DatapathError::NotPinned`] when nothing is, or when a table cannot be read.
pub fn inspect(pin_root: &Path) -> Result<Inspection, DatapathError> {
    let pins = Pins::existing(pin_root)?;
    let maps = Maps::open(&pins)?;
    let programs = Programs::open(&pins)?;
    let tables = installed(&maps)?;
    let clock = clock::now(programs.clock.as_fd(), &maps, tables.config.ticks_per_second.max(1))?;
    let now = monotonic::now();
    Ok(Inspection {
        running: is_running(pin_root),
        now,
        clock,
        tables,
        sightings: maps.sightings.entries()?,
        flows: flows(&maps, clock.ticks_at(now))?,
        interfaces: netlink::links()?.into_iter().map(|link| (link.ifindex, link.name)).collect(),
    })
}

/// Reads the flows alone that are open under a root.
///
/// # Errors
///
/// [`DatapathError::NotPinned`] when nothing is, or when a table cannot be read.
pub fn open_flows(pin_root: &Path, clock: &Clock) -> Result<Vec<OpenFlow>, DatapathError> {
    let pins = Pins::existing(pin_root)?;
    flows(&Maps::open(&pins)?, clock.ticks_at(monotonic::now()))
}

fn flows(maps: &Maps, now: Ticks) -> Result<Vec<OpenFlow>, DatapathError> {
    let mut flows = Vec::new();
    let mut add = |kind: u8, value: &FlowValue, (device, peer): (IpAddr, IpAddr), ports: [[u8; 2]; 2], protocol: u8| {
        if kind == flow_kind::TRANSPORT && now < value.ends {
            let [device_port, peer_port] = ports.map(u16::from_be_bytes);
            flows.push(OpenFlow { device, peer, device_port, peer_port, protocol, value: *value });
        }
    };
    maps.flows4.visit(|key, value| {
        let ports = [key.device_port_be, key.peer_port_be];
        add(key.kind, value, (key.device.into(), key.peer.into()), ports, key.protocol);
    })?;
    maps.flows6.visit(|key, value| {
        let ports = [key.device_port_be, key.peer_port_be];
        add(key.kind, value, (key.device.into(), key.peer.into()), ports, key.protocol);
    })?;
    Ok(flows)
}

impl Inspection {
    /// The tables as the deciding code takes them on the host, with the open flows of one device.
    #[must_use]
    pub fn host_tables(&self, device: IpAddr) -> HostTables {
        let tables = &self.tables;
        let mut host = HostTables::new(&tables.config, 1);
        host.endpoints4.extend(&tables.endpoints4);
        host.endpoints6.extend(&tables.endpoints6);
        host.ports.extend(&tables.ports);
        for (key, value) in &tables.cidrs4 {
            host.cidrs4.insert(key.prefix_len, key.data.as_bytes(), *value);
        }
        for (key, value) in &tables.cidrs6 {
            host.cidrs6.insert(key.prefix_len, key.data.as_bytes(), *value);
        }
        for (key, value) in &tables.subnets {
            host.subnets.insert(key.prefix_len, key.key().as_bytes(), *value);
        }
        for (key, value) in &tables.names {
            host.names.insert(key.prefix_len, key.data.as_bytes(), *value);
        }
        for flow in self.flows.iter().filter(|flow| flow.device == device) {
            let (device_port_be, peer_port_be) = (flow.device_port.to_be_bytes(), flow.peer_port.to_be_bytes());
            let (protocol, kind, pad) = (flow.protocol, flow_kind::TRANSPORT, [0; 2]);
            match (flow.device, flow.peer) {
                (IpAddr::V4(device), IpAddr::V4(peer)) => {
                    let (device, peer) = (device.octets(), peer.octets());
                    let key = Flow4Key { device, peer, device_port_be, peer_port_be, protocol, kind, pad };
                    host.flows4.flows.insert(key, flow.value);
                }
                (IpAddr::V6(device), IpAddr::V6(peer)) => {
                    let (device, peer) = (device.octets(), peer.octets());
                    let key = Flow6Key { device, peer, device_port_be, peer_port_be, protocol, kind, pad };
                    host.flows6.flows.insert(key, flow.value);
                }
                _ => {}
            }
        }
        host
    }

    /// Name of a group.
    #[must_use]
    pub fn group(&self, number: u32) -> Option<String> {
        self.tables.group_labels.get(&number).map(|label| super::snapshot::text(&label.text))
    }

    /// What a rule is called.
    #[must_use]
    pub fn rule(&self, number: u32) -> Option<String> {
        self.tables.rule_labels.get(&number).map(|label| super::snapshot::text(&label.text))
    }
}
