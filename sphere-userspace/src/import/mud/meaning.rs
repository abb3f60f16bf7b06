//! What entries mean together: which flows devices open, which are opened to them, and what is only the other half of it.
//!
//! A MUD file says each conversation twice, once for either direction. Sphere's rules say who may open a flow; its replies
//! pass by themselves. Who opens it, an entry tells by `direction-initiated` (TCP alone, RFC 8520 section 4.8), and else by
//! the side whose port it names: that side serves. An entry that names both ports or none is a reply if devices may ask
//! the same, and lets others ask otherwise.

use std::collections::BTreeSet;

use super::entry::{Echo, Entry, Peer, Ports, Traffic, Transport, Way};
use crate::policy::{PortMatch, Protocol, Service};

/// What an entry comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Flows of these services may be opened, by devices or to them.
    Opens(Way, BTreeSet<Service>),
    /// Nothing of its own: it is the other half of what another entry opens, or drops what is not allowed anyway.
    Nothing,
    /// It would be the other half of flows, opened by devices or to them, that no entry opens.
    Unasked(Way, BTreeSet<Service>),
}

/// What an entry can mean by itself.
enum Reading {
    Nothing,
    Opens(Way, BTreeSet<Service>),
    /// The other half of flows that are opened this way.
    Reply(Way, BTreeSet<Service>),
    /// A reply to devices if they may ask for the first, and else something that opens the second to them.
    Either(BTreeSet<Service>, BTreeSet<Service>),
}

/// Flows that entries open.
type Opened = BTreeSet<(Way, Peer, Service)>;

/// What each of the entries means.
pub(super) fn meanings(entries: &[Entry]) -> Vec<Meaning> {
    let readings: Vec<Reading> = entries.iter().map(reading).collect();
    let mut opened = Opened::new();
    for (entry, reading) in entries.iter().zip(&readings) {
        if let Reading::Opens(way, services) = reading {
            opened.extend(services.iter().map(|service| (*way, entry.peer.value.clone(), *service)));
        }
    }
    let by_devices = opened.clone();
    for (entry, reading) in entries.iter().zip(&readings) {
        if let Reading::Either(asked, served) = reading
            && !has(&by_devices, Way::FromDevice, &entry.peer.value, asked)
        {
            opened.extend(served.iter().map(|service| (Way::ToDevice, entry.peer.value.clone(), *service)));
        }
    }
    let meaning = |(entry, reading): (&Entry, Reading)| match reading {
        Reading::Nothing => Meaning::Nothing,
        Reading::Opens(way, services) => Meaning::Opens(way, services),
        Reading::Reply(way, services) if has(&opened, way, &entry.peer.value, &services) => Meaning::Nothing,
        Reading::Reply(way, services) => Meaning::Unasked(way, services),
        Reading::Either(asked, _) if has(&by_devices, Way::FromDevice, &entry.peer.value, &asked) => Meaning::Nothing,
        Reading::Either(_, served) => Meaning::Opens(Way::ToDevice, served),
    };
    entries.iter().zip(readings).map(meaning).collect()
}

/// Whether all of the services are opened, each by itself or by one for every port.
fn has(opened: &Opened, way: Way, peer: &Peer, services: &BTreeSet<Service>) -> bool {
    let is_there = |service: Service| opened.contains(&(way, peer.clone(), service));
    services.iter().all(|service| is_there(*service) || is_there(Service::every(service.protocol())))
}

fn reading(entry: &Entry) -> Reading {
    match &entry.traffic {
        _ if !entry.accepts => Reading::Nothing,
        Traffic::Every => {
            let every = BTreeSet::from([Protocol::Tcp, Protocol::Udp, Protocol::Icmp].map(Service::every));
            match entry.way {
                Way::FromDevice => Reading::Opens(Way::FromDevice, every),
                Way::ToDevice => Reading::Either(every.clone(), every),
            }
        }
        Traffic::Echo(echo) => of_echo(entry.way, *echo),
        Traffic::Ports { transport, device, remote } => of_ports(entry, *transport, (device, remote)),
    }
}

fn of_echo(way: Way, echo: Echo) -> Reading {
    let services = BTreeSet::from([Service::every(Protocol::Icmp)]);
    match (way, echo) {
        (way, Echo::Request) | (way @ Way::FromDevice, Echo::Either) => Reading::Opens(way, services),
        (Way::FromDevice, Echo::Reply) => Reading::Reply(Way::ToDevice, services),
        (Way::ToDevice, Echo::Reply) => Reading::Reply(Way::FromDevice, services),
        (Way::ToDevice, Echo::Either) => Reading::Either(services.clone(), services),
    }
}

fn of_ports(entry: &Entry, transport: Transport, (device, remote): (&Ports, &Ports)) -> Reading {
    let (asked, served) = (services(transport, remote), services(transport, device));
    match (entry.way, entry.opened_by) {
        (Way::FromDevice, Some(Way::FromDevice)) => Reading::Opens(Way::FromDevice, asked),
        (Way::ToDevice, Some(Way::FromDevice)) => Reading::Reply(Way::FromDevice, asked),
        (Way::ToDevice, Some(Way::ToDevice)) => Reading::Opens(Way::ToDevice, served),
        (Way::FromDevice, Some(Way::ToDevice)) => Reading::Reply(Way::ToDevice, served),
        (way, None) => match (way, device, remote) {
            (Way::FromDevice, Some(_), None) => Reading::Reply(Way::ToDevice, served),
            (Way::FromDevice, _, _) => Reading::Opens(Way::FromDevice, asked),
            (Way::ToDevice, None, Some(_)) => Reading::Reply(Way::FromDevice, asked),
            (Way::ToDevice, Some(_), None) => Reading::Opens(Way::ToDevice, served),
            (Way::ToDevice, Some(_), Some(_)) | (Way::ToDevice, None, None) => Reading::Either(asked, served),
        },
    }
}

fn services(transport: Transport, ports: &Ports) -> BTreeSet<Service> {
    match (transport, ports) {
        (Transport::Tcp, Some(ports)) => ports.iter().map(|port| Service::tcp(*port)).collect(),
        (Transport::Udp, Some(ports)) => ports.iter().map(|port| Service::udp(*port)).collect(),
        (Transport::Tcp, None) => BTreeSet::from([Service::every(Protocol::Tcp)]),
        (Transport::Udp, None) => BTreeSet::from([Service::every(Protocol::Udp)]),
    }
}

/// Whether the service is of this transport and port.
pub(super) fn is_at(service: Service, protocol: Protocol, ports: &[u16]) -> bool {
    service.protocol() == protocol && matches!(service.port(), PortMatch::One(port) if ports.contains(&port.get()))
}
