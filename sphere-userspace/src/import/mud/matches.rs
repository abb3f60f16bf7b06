//! Collects what an entry matches on: the leaves of all of its headers, in either dialect.
//!
//! RFC 8519 has a container for each header (`ipv4`, `tcp`); drafts before it called them `ipv4-acl` and `tcp-acl`, and put
//! them below `l3` and `l4`. What a leaf means is told by its own name, so they are looked up wherever they stand.

use crate::import::json::{Json, Member, Node};
use crate::policy::Findings;

use super::entry::{Class, Family, Transport, Way};
use super::words;

/// A header that an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Ip(Family),
    Transport(Transport),
    Icmp,
    Ethernet,
    Mud,
}

/// What an entry matches on, as it is written.
#[derive(Default)]
pub(super) struct Matches<'a> {
    /// Headers, each with where it is named.
    pub(super) headers: Vec<(Header, &'a Member)>,
    /// Names and networks of the side that the device is not.
    pub(super) peers: Vec<&'a Member>,
    /// Those of the device's own side.
    pub(super) own: Vec<&'a Member>,
    /// Classes of the other side.
    pub(super) classes: Vec<(Class, &'a Member)>,
    pub(super) protocol: Option<&'a Node>,
    pub(super) device_port: Option<&'a Member>,
    pub(super) remote_port: Option<&'a Member>,
    pub(super) initiated: Option<&'a Node>,
    pub(super) icmp_type: Option<&'a Node>,
    pub(super) icmp_code: Option<&'a Node>,
    pub(super) ether_type: Option<&'a Node>,
    /// What no rule can be told by.
    pub(super) unknown: Vec<&'a Member>,
}

impl<'a> Matches<'a> {
    /// Collects the leaves; what has another type than it should is reported.
    pub(super) fn read(matches: &'a Node, way: Way, findings: &mut Findings) -> Self {
        let mut found = Self::default();
        for member in matches.members() {
            let name = words::local(&member.key.value);
            if matches!(name, "l2" | "l3" | "l4") {
                for below in member.value.object("an object with a header", findings).unwrap_or_default() {
                    found.header(below, way, findings);
                }
            } else {
                found.header(member, way, findings);
            }
        }
        found
    }

    fn header(&mut self, member: &'a Member, way: Way, findings: &mut Findings) {
        let name = words::local(&member.key.value);
        let header = match name.strip_suffix("-acl").unwrap_or(name) {
            "ipv4" => Header::Ip(Family::V4),
            "ipv6" => Header::Ip(Family::V6),
            "tcp" => Header::Transport(Transport::Tcp),
            "udp" => Header::Transport(Transport::Udp),
            "icmp" | "icmpv6" => Header::Icmp,
            "eth" | "ace-eth" => Header::Ethernet,
            "mud" => Header::Mud,
            // Drafts had some leaves outside of every header.
            _ => return self.leaf(member, way, findings),
        };
        self.headers.push((header, member));
        for leaf in member.value.object("an object", findings).unwrap_or_default() {
            self.leaf(leaf, way, findings);
        }
    }

    fn leaf(&mut self, member: &'a Member, way: Way, findings: &mut Findings) {
        use Way::{FromDevice, ToDevice};
        match (words::local(&member.key.value), way) {
            ("dst-dnsname", FromDevice) | ("src-dnsname", ToDevice) => self.peers.push(member),
            ("src-dnsname", FromDevice) | ("dst-dnsname", ToDevice) => self.own.push(member),
            (name, _) if is_network(name, "destination", "dst") => self.side(member, way == FromDevice),
            (name, _) if is_network(name, "source", "src") => self.side(member, way == ToDevice),
            (name, _) if is_port(name, "destination") => self.port(member, way == FromDevice),
            (name, _) if is_port(name, "source") => self.port(member, way == ToDevice),
            ("protocol", _) => self.protocol = Some(&member.value),
            ("direction-initiated", _) => self.initiated = Some(&member.value),
            ("type", _) => self.icmp_type = Some(&member.value),
            ("code", _) => self.icmp_code = Some(&member.value),
            ("ethertype", _) => self.ether_type = Some(&member.value),
            (name, _) => match class(name, &member.value, findings) {
                Some(Some(class)) => self.classes.push((class, member)),
                Some(None) => {}
                None => self.unknown.push(member),
            },
        }
    }

    fn side(&mut self, member: &'a Member, is_peer: bool) {
        if is_peer { self.peers.push(member) } else { self.own.push(member) }
    }

    fn port(&mut self, member: &'a Member, is_remote: bool) {
        let slot = if is_remote { &mut self.remote_port } else { &mut self.device_port };
        *slot = Some(member);
    }

    /// Where a header of this kind is named.
    pub(super) fn named(&self, header: Header) -> Option<&'a Member> {
        self.headers.iter().find(|(there, _)| *there == header).map(|(_, member)| *member)
    }
}

fn is_network(name: &str, side: &str, short: &str) -> bool {
    let rest = name.strip_prefix(side).or_else(|| name.strip_prefix(short));
    matches!(rest, Some("-ipv4-network" | "-ipv6-network"))
}

fn is_port(name: &str, side: &str) -> bool {
    matches!(name.strip_prefix(side), Some("-port" | "-port-range" | "-port-range-or-operator"))
}

/// The class that a leaf names: [`None`] when it names none, and within, when its value is reported.
fn class(name: &str, value: &Node, findings: &mut Findings) -> Option<Option<Class>> {
    let mut text = |make: fn(String) -> Class| words::single_text(value, findings).map(|text| make(text.to_owned()));
    Some(match name {
        "controller" => text(Class::Controller),
        "manufacturer" => text(|host| Class::Manufacturer(host.to_ascii_lowercase())),
        "model" => text(Class::Model),
        "my-controller" => present(Class::MyController, value, findings),
        "local-networks" => present(Class::LocalNetworks, value, findings),
        "same-manufacturer" => present(Class::SameManufacturer, value, findings),
        _ => return None,
    })
}

/// A leaf that is there or not, written `[null]` (RFC 7951 section 6.9), and in other ways by those who did not know.
fn present(class: Class, value: &Node, findings: &mut Findings) -> Option<Class> {
    if value.value == Json::Bool(false) {
        findings.error(&value.span, "the class is named and denied at once", "write `[null]`, or remove the key");
        return None;
    }
    Some(class)
}
