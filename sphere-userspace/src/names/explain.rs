//! Why a device may or may not reach something, now and before: schema `sphere.explain/1`.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::gateway::{Gateway, TCP, UDP};
use super::report::seconds;
use super::view::{LeaseView, View, millis};
use crate::datapath::Inspection;
use crate::policy::DomainName;
use crate::reconcile::Sighting;

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
    /// It is neither an address, a prefix nor a name.
    #[error(
        "`{0}` is neither an address, a prefix nor a name: write `192.0.2.7`, `2001:db8::/32` or `api.example.com`"
    )]
    Peers(String),
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
    /// Whether its group enforces.
    pub enforced: bool,
    /// Without a group: what happens to it on each device port.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortLine>,
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

/// What happens on a device port to a source in no device subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortLine {
    /// Name of the interface; its index when it has none any more.
    pub interface: String,
    /// `pass`, `audit` or `deny`.
    pub verdict: &'static str,
    /// Word of the reason.
    pub reason: &'static str,
    /// What that means.
    pub explanation: &'static str,
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
    /// What would have to change, where it is not a rule that is missing but what the rule allows answers to open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
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
    // No rule speaks of a source without a group: each port says what becomes of it.
    let (ports, addresses) =
        if group.is_some() { (Vec::new(), addresses) } else { (gateway.ports(probe), BTreeSet::new()) };
    let flows = inspection.flows.iter().filter(|flow| flow.device == query.device && addresses.contains(&flow.peer));
    let name = query.target.as_ref().err();
    let history = history(view, inspection, &addresses);
    Explanation {
        schema: "sphere.explain/1",
        device: query.device,
        enforced,
        ports,
        name: name.map(ToString::to_string),
        may_ask: name.zip(group).map(|(name, group)| crate::reconcile::allows(&inspection.tables, group, name)),
        verdicts: addresses
            .iter()
            .flat_map(|address| {
                let is_named = name.is_some() || history.iter().any(|line| line.address == *address);
                gateway.verdicts((*address, is_named), query.service)
            })
            .collect(),
        history,
        flows: flows.count(),
        group: group.and_then(|number| inspection.group(number)),
    }
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
            (Some(seconds), _) => write!(formatter, "{address} is an answer for {name}, for another {seconds} s")?,
            (None, Some(seconds)) => write!(formatter, "{address} was an answer for {name} until {seconds} s ago")?,
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
