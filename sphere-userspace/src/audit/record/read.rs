//! From samples to fields.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use sphere_common::abi::Event;
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::{Record, Value};
use crate::audit::field::Field;
use crate::audit::question::Question;
use crate::audit::summary::device_mac;
use crate::audit::{Directory, Summary, WallClock};

/// Version of the fields.
const SCHEMA: &str = "sphere.record/1";
/// Version of the Elastic Common Schema: it has had every name that is used here since before this one.
const ECS: &str = "8.17.0";

impl Record {
    /// Reads a sample, or what samples have in common; `None` when its numbers are of another version of the programs.
    #[must_use]
    pub fn new(summary: &Summary, directory: &Directory, clock: WallClock) -> Option<Self> {
        let event = &summary.event;
        let reason = Reason::from_byte(event.reason)?;
        let verdict = Verdict::from_byte(event.verdict)?;
        let direction = Direction::ALL.into_iter().find(|direction| *direction as u8 == event.direction)?;
        let time = clock.at(Duration::from_nanos(summary.last_ns));
        let mut record = Self { verdict, reason, time, fields: Vec::with_capacity(32) };
        record.put_event(summary, clock);
        record.put_network(summary, direction);
        record.put_ends(event, directory, direction);
        record.put_question(summary);
        record.put_own(event, directory);
        record.put_text(Field::Message, record.sentence(summary));
        record.fields.sort_by_key(|(field, _)| *field);
        Some(record)
    }

    fn put(&mut self, field: Field, value: Value) {
        self.fields.push((field, value));
    }

    fn put_text(&mut self, field: Field, text: impl Into<Cow<'static, str>>) {
        self.put(field, Value::Text(text.into()));
    }

    fn put_number(&mut self, field: Field, number: impl Into<u64>) {
        self.put(field, Value::Number(number.into()));
    }

    fn put_texts(&mut self, field: Field, texts: impl IntoIterator<Item = impl Into<String>>) {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        if !texts.is_empty() {
            self.put(field, Value::Texts(texts));
        }
    }

    fn put_event(&mut self, summary: &Summary, clock: WallClock) {
        let time = |ns| humantime::format_rfc3339_micros(clock.at(Duration::from_nanos(ns))).to_string();
        let (kind, outcome) = if self.is_let_through() { ("allowed", "success") } else { ("denied", "failure") };
        self.put_text(Field::Schema, SCHEMA);
        self.put_text(Field::EcsVersion, ECS);
        self.put_text(Field::Timestamp, time(summary.last_ns));
        self.put_text(Field::Kind, "event");
        self.put_texts(Field::Category, ["network"]);
        self.put_texts(Field::Type, ["connection", kind]);
        self.put_text(Field::Dataset, "sphere.denied");
        self.put_text(Field::Action, self.verdict.word());
        self.put_text(Field::Outcome, outcome);
        self.put_text(Field::Reason, self.reason.word());
        if summary.count > 1 {
            self.put_text(Field::Start, time(summary.first_ns));
            self.put_text(Field::End, time(summary.last_ns));
        }
    }

    fn put_network(&mut self, summary: &Summary, direction: Direction) {
        let event = &summary.event;
        let word = match direction {
            Direction::Ingress => "outbound",
            Direction::Egress => "inbound",
        };
        self.put_text(Field::Direction, word);
        self.put_number(Field::Packets, summary.count);
        self.put_number(Field::Bytes, summary.bytes);
        let Some(device) = address(event.device) else { return };
        self.put_text(Field::NetworkType, if device.is_ipv4() { "ipv4" } else { "ipv6" });
        self.put_text(Field::IanaNumber, event.protocol.to_string());
        if let Some(transport) = transport(event.protocol) {
            self.put_text(Field::Transport, transport);
        }
        if matches!(event.protocol, ICMP | ICMPV6) {
            let [kind, code] = event.peer_port_be;
            self.put_number(Field::IcmpType, kind);
            self.put_number(Field::IcmpCode, code);
        }
    }

    /// Sender and receiver, and the port of the device.
    fn put_ends(&mut self, event: &Event, directory: &Directory, direction: Direction) {
        let (device, peer, port) = match direction {
            Direction::Ingress => (SOURCE, DESTINATION, INGRESS),
            Direction::Egress => (DESTINATION, SOURCE, EGRESS),
        };
        let has_ports = !matches!(event.protocol, ICMP | ICMPV6);
        for (end, bytes, port_be) in
            [(device, event.device, event.device_port_be), (peer, event.peer, event.peer_port_be)]
        {
            if let Some(address) = address(bytes) {
                self.put_text(end.address, address.to_string());
                if has_ports && port_be != [0; 2] {
                    self.put_number(end.port, u16::from_be_bytes(port_be));
                }
            }
        }
        if let Some(mac) = device_mac(event) {
            self.put_text(device.mac, mac_text(mac));
        }
        let names = address(event.peer).map(|peer| directory.names(peer)).unwrap_or_default();
        if let Some(latest) = names.first() {
            self.put_text(peer.domain, latest.to_string());
        }
        self.put_texts(Field::PeerNames, names.iter().map(AsRef::as_ref));
        if let Some(interface) = directory.interface(event.ifindex) {
            self.put_text(port.interface, interface.to_string());
        }
        let [outer, inner] = event.vlan.map(|plus_one| plus_one.checked_sub(1));
        for (field, identifier) in [(port.vlan, outer), (Field::InnerVlan, inner)] {
            if let Some(identifier) = identifier {
                self.put_text(field, identifier.to_string());
            }
        }
    }

    fn put_question(&mut self, summary: &Summary) {
        let asked = &summary.asked;
        if asked.is_empty() {
            return;
        }
        self.put_text(Field::Protocol, "dns");
        if let Some(name) = asked.name() {
            self.put_text(Field::QuestionName, name.to_owned());
        }
        if let Some(kind) = asked.kind() {
            self.put_text(Field::QuestionType, Question::kind_word(kind));
        }
        self.put_texts(Field::Names, asked.names().iter().map(String::as_str));
        if let Some(parent) = asked.parent() {
            self.put_text(Field::Parent, parent);
        }
    }

    /// What no other schema has a name for.
    fn put_own(&mut self, event: &Event, directory: &Directory) {
        if let Some(group) = directory.group(event.group) {
            self.put_text(Field::Group, group.to_string());
        }
        if let Some(device) = address(event.device) {
            self.put_text(Field::Device, device.to_string());
        }
        let ethertype = u16::from_be_bytes(event.ethertype_be);
        if ethertype != 0 {
            self.put_text(Field::EtherType, format!("{ethertype:#06x}"));
        }
    }

    /// For people: what happened, to whom, and why.
    fn sentence(&self, summary: &Summary) -> String {
        let mut text = if self.is_let_through() { "would deny".to_owned() } else { "denied".to_owned() };
        if summary.count > 1 {
            text += &format!(" {} packets", summary.count);
        }
        for (word, address, port) in
            [(" from ", Field::SourceIp, Field::SourcePort), (" to ", Field::DestinationIp, Field::DestinationPort)]
        {
            let Some(address) = self.text(address) else { continue };
            text += word;
            text += address;
            if let Some(port) = self.number(port) {
                text += &format!(" port {port}");
            }
        }
        for (word, field) in [
            (" over ", Field::Transport),
            (" asking for ", Field::QuestionName),
            (" asking for names in ", Field::Parent),
        ] {
            if let Some(found) = self.text(field) {
                text += word;
                text += found;
            }
        }
        format!("{text}: {}", self.reason.sentence())
    }
}

/// Fields of one end of a flow.
#[derive(Clone, Copy)]
struct End {
    address: Field,
    port: Field,
    mac: Field,
    domain: Field,
}

const SOURCE: End =
    End { address: Field::SourceIp, port: Field::SourcePort, mac: Field::SourceMac, domain: Field::SourceDomain };
const DESTINATION: End = End {
    address: Field::DestinationIp,
    port: Field::DestinationPort,
    mac: Field::DestinationMac,
    domain: Field::DestinationDomain,
};

/// Fields of the port of a device.
struct Port {
    interface: Field,
    vlan: Field,
}

const INGRESS: Port = Port { interface: Field::IngressInterface, vlan: Field::IngressVlan };
const EGRESS: Port = Port { interface: Field::EgressInterface, vlan: Field::EgressVlan };

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Keyword of a protocol in the registry of protocol numbers.
fn transport(protocol: u8) -> Option<&'static str> {
    match protocol {
        ICMP => Some("icmp"),
        TCP => Some("tcp"),
        UDP => Some("udp"),
        ICMPV6 => Some("ipv6-icmp"),
        _ => None,
    }
}

/// An address of the tables; zero stands for none.
fn address(bytes: [u8; 16]) -> Option<IpAddr> {
    let address = Ipv6Addr::from(bytes);
    let plain = address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4);
    (bytes != [0; 16]).then_some(plain)
}

/// A hardware address as the Elastic Common Schema wants it: the notation of RFC 7042.
fn mac_text(mac: &[u8]) -> String {
    mac.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join("-")
}
