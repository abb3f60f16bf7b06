//! A line of an answer as machines read it: schema `sphere.denied-total/1`. What a line is not made of, and what is not
//! known, is left out.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::time::SystemTime;

use serde::Serialize;
use sphere_common::verdict::Reason;

use super::remedy::remedy;
use crate::policy::protocol_text;
use crate::resolve::Special;
use crate::store::{Field, Fields, KindPart, Line};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Frames that are not IP have no protocol: their port is the EtherType.
const NOT_IP: u8 = 0;

/// `docs/denied.md` says what the keys mean.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hour: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_port: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    peer_names: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ethertype: Option<String>,
    packets: u64,
    bytes: u64,
    first_time: String,
    last_time: String,
}

impl<'a> Row<'a> {
    pub(super) fn new(line: &'a Line, by: Fields) -> Self {
        let kind = &line.kind;
        let time = |field, time: Option<SystemTime>| time.filter(|_| by.has(field)).map(time_text);
        let names = line.names.as_deref().unwrap_or_default();
        let (is_icmp, is_other) = (is_icmp(kind), is_not_ip(kind));
        let reason = kind.reason.as_deref().and_then(known);
        let icmp = kind.port.filter(|_| is_icmp).map(u16::to_be_bytes);
        Self {
            schema: "sphere.denied-total/1",
            day: time(Field::Day, line.time).map(|day| day.chars().take(10).collect()),
            hour: time(Field::Hour, line.time),
            group: kind.group.as_deref(),
            verdict: kind.verdict.as_deref(),
            reason: kind.reason.as_deref(),
            explanation: reason.map(Reason::sentence),
            remedy: reason.and_then(|reason| remedy_of(reason, line)),
            direction: kind.direction.as_deref(),
            device: line.device.filter(is_address),
            peer: line.peer.filter(is_address),
            peer_port: kind.port.filter(|port| !is_icmp && !is_other && *port > 0),
            peer_names: names.split_ascii_whitespace().collect(),
            protocol: kind.protocol.filter(|_| !is_other).map(protocol_text),
            icmp_type: icmp.map(|[of_type, _]| of_type),
            icmp_code: icmp.map(|[_, code]| code),
            ethertype: kind.port.filter(|_| is_other).map(|number| format!("{number:#06x}")),
            packets: line.sum.packets,
            bytes: line.sum.bytes,
            first_time: time_text(line.sum.first()),
            last_time: time_text(line.sum.last()),
        }
    }
}

/// What would have to change. Where a name leads to an address that answers do not open, a rule is not what is missing.
fn remedy_of(reason: Reason, line: &Line) -> Option<Cow<'static, str>> {
    let is_named = line.names.as_deref().is_some_and(|names| !names.is_empty());
    match special_peer(reason, line).filter(|_| is_named) {
        Some(special) => Some(special.remedy().into()),
        None => remedy(reason).map(Cow::Borrowed),
    }
}

/// What is special about the address that a device may not go to.
pub(super) fn special_peer(reason: Reason, line: &Line) -> Option<Special> {
    line.peer.filter(|_| reason == Reason::Destination).and_then(Special::of)
}

/// Whether it is one: `::` stands for a frame that named none.
pub(super) fn is_address(address: &IpAddr) -> bool {
    *address != IpAddr::V6(Ipv6Addr::UNSPECIFIED)
}

fn time_text(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// The reason of a word; a file may have one that this program does not know.
fn known(word: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.word() == word)
}

fn is_icmp(kind: &KindPart) -> bool {
    matches!(kind.protocol, Some(ICMP | ICMPV6))
}

fn is_not_ip(kind: &KindPart) -> bool {
    kind.protocol == Some(NOT_IP) && kind.port.is_some_and(|port| port > 0)
}

/// Protocol and port as they are said: `tcp/443`, `icmp 3/1`.
pub(super) fn service(kind: &KindPart, by: Fields) -> String {
    let Some(number) = kind.protocol else { return "-".to_owned() };
    let word = protocol_text(number);
    match kind.port.filter(|_| by.has(Field::Port)) {
        None => word,
        Some(port) if is_not_ip(kind) => format!("type {port:#06x}"),
        Some(port) if is_icmp(kind) => {
            let [of_type, code] = port.to_be_bytes();
            format!("{word} {of_type}/{code}")
        }
        Some(0) => word,
        Some(port) => format!("{word}/{port}"),
    }
}
