//! Why a device may or may not reach something, now and before: schema `sphere.explain/1`.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use etherparse::PacketBuilder;
use serde::Serialize;
use sphere_common::decide::{Context, Workspace, ingress};
use sphere_common::host::HostTables;
use sphere_common::verdict::{Reason, Verdict};

use super::report::seconds;
use super::view::{LeaseView, View, millis};
use crate::datapath::Inspection;
use crate::policy::DomainName;
use crate::reconcile::Sighting;

/// Services that are tried when none is asked for and none is open at the address.
const USUAL: [(u8, u16); 2] = [(TCP, 443), (TCP, 80)];
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Source port of the packets that are tried.
const SOURCE_PORT: u16 = 49_152;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The device.
    pub device: IpAddr,
    /// An address, or a name.
    pub target: Result<IpAddr, DomainName>,
    /// IP protocol and port.
    pub service: Option<(u8, u16)>,
}

/// What is wrong with a query.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The target is neither an address nor a name.
    #[error("`{0}` is neither an address nor a name: write `192.0.2.7`, `[2001:db8::7]:443` or `api.example.com:443`")]
    Target(String),
    /// The port cannot be read.
    #[error("`{0}` is no port: write a number from 1 to 65535, with `/udp` behind it for UDP")]
    Port(String),
}

impl Query {
    /// Reads `NAME-or-ADDRESS[:PORT[/tcp|/udp]]`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(device: IpAddr, text: &str) -> Result<Self, QueryError> {
        let (target, service) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, "")) => (address, None),
            Some((address, rest)) => (address, Some(rest.strip_prefix(':').unwrap_or(rest))),
            None if text.parse::<IpAddr>().is_ok() => (text, None),
            None => text.rsplit_once(':').map_or((text, None), |(target, port)| (target, Some(port))),
        };
        let service = service.map(port).transpose()?;
        let target = match target.parse() {
            Ok(address) => Ok(address),
            Err(_) => Err(DomainName::parse(target).map_err(|_name| QueryError::Target(target.to_owned()))?),
        };
        Ok(Self { device, target, service })
    }
}

fn port(text: &str) -> Result<(u8, u16), QueryError> {
    let wrong = || QueryError::Port(text.to_owned());
    let (number, protocol) = match text.split_once('/') {
        None | Some((_, "tcp")) => (text.split('/').next().unwrap_or(text), TCP),
        Some((number, "udp")) => (number, UDP),
        Some(_) => return Err(wrong()),
    };
    let number: u16 = number.parse().map_err(|_number| wrong())?;
    if number == 0 { Err(wrong()) } else { Ok((protocol, number)) }
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    schema: &'static str,
    /// The device.
    pub device: IpAddr,
    /// Its group; absent when it is in no device subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether its group enforces, or the port it would be on.
    pub enforced: bool,
    /// The name that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For a name: whether the device may ask for its addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_ask: Option<bool>,
    /// What would happen to a first packet now.
    pub verdicts: Vec<VerdictLine>,
    /// What was known of the addresses, the latest first.
    pub history: Vec<HistoryLine>,
    /// Flows that the device has open to them.
    pub flows: usize,
}

/// What would happen to a first packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerdictLine {
    /// Where to.
    pub address: IpAddr,
    /// `tcp/443`.
    pub service: String,
    /// `pass`, `audit` or `deny`.
    pub verdict: &'static str,
    /// Word of the reason.
    pub reason: &'static str,
    /// The reason as a sentence.
    pub explanation: &'static str,
    /// The rule that allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// What was known of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryLine {
    /// The address.
    pub address: IpAddr,
    /// The name that it was an answer for.
    pub name: String,
    /// The group that it is open for; absent: every group with a rule for the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `polled`, `seen` or `restored`.
    pub source: String,
    /// The device that it was told to last, for `seen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<IpAddr>,
    /// Seconds since it was learned last.
    pub learned_seconds_ago: u64,
    /// Seconds until it is no longer allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_in_seconds: Option<u64>,
    /// Seconds since it was allowed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_seconds_ago: Option<u64>,
}

/// Explains what a device may reach.
#[must_use]
pub fn explain(query: &Query, view: &View, inspection: &Inspection) -> Explanation {
    let mut gateway = Gateway::new(inspection, query.device);
    let addresses = match &query.target {
        Ok(address) => BTreeSet::from([*address]),
        Err(name) => gateway.addresses_of(view, name),
    };
    let probe = addresses.first().copied().unwrap_or(query.device);
    let (group, enforced) = gateway.group(probe);
    let flows = inspection.flows.iter().filter(|flow| flow.device == query.device && addresses.contains(&flow.peer));
    let name = query.target.as_ref().err();
    Explanation {
        schema: "sphere.explain/1",
        device: query.device,
        enforced,
        name: name.map(ToString::to_string),
        may_ask: name.map(|name| group.is_some_and(|group| crate::reconcile::allows(&inspection.tables, group, name))),
        verdicts: addresses.iter().flat_map(|address| gateway.verdicts(*address, query.service)).collect(),
        history: history(view, inspection, &addresses),
        flows: flows.count(),
        group: group.and_then(|number| inspection.group(number)),
    }
}

/// The deciding code over what is pinned.
struct Gateway<'a> {
    inspection: &'a Inspection,
    tables: HostTables,
    device: IpAddr,
    workspace: Box<Workspace>,
}

impl<'a> Gateway<'a> {
    fn new(inspection: &'a Inspection, device: IpAddr) -> Self {
        Self { inspection, tables: inspection.host_tables(device), device, workspace: Box::default() }
    }

    /// What happens to a first packet of the device, on the port that knows it.
    fn judge(&mut self, address: IpAddr, (protocol, port): (u8, u16)) -> Option<(Verdict, Reason, u32, u32)> {
        let frame = frame(self.device, address, (protocol, port))?;
        let inspection = self.inspection;
        let now = inspection.clock.ticks_at(inspection.now);
        let ports: Vec<u32> = inspection.tables.ports.keys().copied().collect();
        let mut last = None;
        for ifindex in ports {
            let context = Context { config: &inspection.tables.config, ifindex, now };
            ingress(&mut frame.as_slice(), &mut self.tables, &context, &mut self.workspace);
            let decision = &self.workspace.decision;
            last = Some((decision.verdict, decision.reason, decision.rule, decision.group));
            if decision.reason != Reason::OtherSubnet {
                break;
            }
        }
        last
    }

    /// Number of the device's group, and whether it enforces.
    fn group(&mut self, towards: IpAddr) -> (Option<u32>, bool) {
        let towards = if towards.is_ipv4() == self.device.is_ipv4() { towards } else { self.device };
        let group = self.judge(towards, (TCP, 443)).map(|(.., group)| group);
        let labels = &self.inspection.tables.group_labels;
        let known = group.and_then(|group| labels.get(&group).map(|label| (group, label.enforce != 0)));
        known.map_or((None, false), |(group, enforced)| (Some(group), enforced))
    }

    /// Addresses of a name, in the family of the device.
    fn addresses_of(&self, view: &View, name: &DomainName) -> BTreeSet<IpAddr> {
        let known = view.names.get(name.as_str()).map(|known| known.leases.as_slice()).unwrap_or_default();
        let past = view.past.iter().filter(|(past, _)| past == name.as_str()).map(|(_, lease)| lease);
        let all = known.iter().chain(past).map(|lease| lease.address);
        all.filter(|address| address.is_ipv4() == self.device.is_ipv4()).collect()
    }

    /// Verdicts of the service that is asked for, or of those that are open there, or of the usual ones.
    fn verdicts(&mut self, address: IpAddr, service: Option<(u8, u16)>) -> Vec<VerdictLine> {
        let services = service.map_or_else(|| self.services(address), |service| BTreeSet::from([service]));
        let mut lines = Vec::new();
        for service in services {
            let Some((verdict, reason, rule, _)) = self.judge(address, service) else { continue };
            lines.push(VerdictLine {
                address,
                service: shown(service),
                verdict: verdict.word(),
                reason: reason.word(),
                explanation: reason.sentence(),
                rule: if verdict == Verdict::Pass { self.inspection.rule(rule) } else { None },
            });
        }
        lines
    }

    fn services(&self, address: IpAddr) -> BTreeSet<(u8, u16)> {
        let tables = &self.inspection.tables;
        let of_v4 = tables.endpoints4.keys().map(|key| (IpAddr::from(key.address), key.protocol, key.port_be));
        let of_v6 = tables.endpoints6.keys().map(|key| (IpAddr::from(key.address), key.protocol, key.port_be));
        let open = of_v4.chain(of_v6).filter(|(open, ..)| *open == address);
        let open = open.map(|(_, protocol, port_be)| (protocol, u16::from_be_bytes(port_be)));
        let open = open.filter(|(protocol, port)| matches!(*protocol, TCP | UDP) && *port != 0);
        let open: BTreeSet<(u8, u16)> = open.collect();
        if open.is_empty() { USUAL.into() } else { open }
    }
}

/// A first packet.
fn frame(device: IpAddr, address: IpAddr, (protocol, port): (u8, u16)) -> Option<Vec<u8>> {
    let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let ip = match (device, address) {
        (IpAddr::V4(device), IpAddr::V4(address)) => link.ipv4(device.octets(), address.octets(), 64),
        (IpAddr::V6(device), IpAddr::V6(address)) => link.ipv6(device.octets(), address.octets(), 64),
        _ => return None,
    };
    let mut frame = Vec::new();
    let written = if protocol == UDP {
        ip.udp(SOURCE_PORT, port).write(&mut frame, &[])
    } else {
        ip.tcp(SOURCE_PORT, port, 1, 1024).syn().write(&mut frame, &[])
    };
    written.is_ok().then_some(frame)
}

fn shown((protocol, port): (u8, u16)) -> String {
    format!("{}/{port}", if protocol == UDP { "udp" } else { "tcp" })
}

/// What was known of addresses: leases that hold, leases that ended, and what the kernel still remembers of answers.
fn history(view: &View, inspection: &Inspection, addresses: &BTreeSet<IpAddr>) -> Vec<HistoryLine> {
    let now = millis(inspection.now);
    let held = view.names.iter().flat_map(|(name, known)| known.leases.iter().map(move |lease| (name, lease)));
    let past = view.past.iter().map(|(name, lease)| (name, lease));
    let mut lines: Vec<HistoryLine> = held
        .chain(past)
        .filter(|(_, lease)| addresses.contains(&lease.address))
        .map(|(name, lease)| line(name, lease, now))
        .collect();
    for (key, value) in &inspection.sightings {
        let Some(sighting) = Sighting::read(key, value, &inspection.clock, &inspection.tables) else { continue };
        let is_told = lines.iter().any(|line| line.address == sighting.address && line.device == Some(sighting.device));
        if addresses.contains(&sighting.address) && !is_told {
            let ends = millis(sighting.ends);
            lines.push(HistoryLine {
                address: sighting.address,
                name: sighting.name.to_string(),
                group: Some(sighting.group.to_string()),
                source: "seen".to_owned(),
                device: Some(sighting.device),
                learned_seconds_ago: seconds(millis(sighting.seen), now),
                ends_in_seconds: (now < ends).then(|| seconds(now, ends)),
                ended_seconds_ago: (now >= ends).then(|| seconds(ends, now)),
            });
        }
    }
    lines.sort_by_key(|line| (line.learned_seconds_ago, line.ended_seconds_ago));
    lines
}

fn line(name: &str, lease: &LeaseView, now: u64) -> HistoryLine {
    HistoryLine {
        address: lease.address,
        name: name.to_owned(),
        group: lease.group.clone(),
        source: lease.source.clone(),
        device: lease.device,
        learned_seconds_ago: seconds(lease.renewed_ms, now),
        ends_in_seconds: (now < lease.ends_ms).then(|| seconds(now, lease.ends_ms)),
        ended_seconds_ago: (now >= lease.ends_ms).then(|| seconds(lease.ends_ms, now)),
    }
}

impl fmt::Display for HistoryLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, name, .. } = self;
        match (self.ends_in_seconds, self.ended_seconds_ago) {
            (Some(seconds), _) => write!(formatter, "{address} is an answer for {name},\n   for another {seconds} s")?,
            (None, Some(seconds)) => write!(formatter, "{address} was an answer for {name}\n   until {seconds} s ago")?,
            (None, None) => write!(formatter, "{address} was an answer for {name}")?,
        }
        let ago = self.learned_seconds_ago;
        match (self.device, self.source.as_str()) {
            (Some(device), _) => write!(formatter, "; {device} asked {ago} s ago"),
            (None, "polled") => write!(formatter, "; the daemon asked {ago} s ago"),
            (None, _) => write!(formatter, "; found in the kernel's tables"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
    use super::*;

    #[test]
    fn targets_are_read() {
        let device: IpAddr = "10.20.0.5".parse().unwrap();
        let parse = |text: &str| Query::parse(device, text).map(|query| (query.target, query.service));
        let name = |text: &str| Err(DomainName::parse(text).unwrap());
        assert_eq!(parse("192.0.2.7"), Ok((Ok("192.0.2.7".parse().unwrap()), None)));
        assert_eq!(parse("192.0.2.7:443"), Ok((Ok("192.0.2.7".parse().unwrap()), Some((TCP, 443)))));
        assert_eq!(parse("2001:db8::7"), Ok((Ok("2001:db8::7".parse().unwrap()), None)));
        assert_eq!(parse("[2001:db8::7]:123/udp"), Ok((Ok("2001:db8::7".parse().unwrap()), Some((UDP, 123)))));
        assert_eq!(parse("API.example.com:8883/tcp"), Ok((name("api.example.com"), Some((TCP, 8883)))));
        assert_eq!(parse("a.example.com:0"), Err(QueryError::Port("0".to_owned())));
        assert_eq!(parse("a.example.com:443/sctp"), Err(QueryError::Port("443/sctp".to_owned())));
        assert!(matches!(parse("not a name"), Err(QueryError::Target(_))));
    }
}
