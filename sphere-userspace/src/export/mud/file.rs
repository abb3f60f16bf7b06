//! The shape of a MUD file (RFC 8520) and of the access lists in it (RFC 8519), as JSON (RFC 7951).

use ipnet::IpNet;
use serde::Serialize;

use super::About;
use crate::policy::{PortMatch, Protocol, Service};

/// Hours for which nobody has to look for a newer file: what the format takes where a file does not say.
const CACHE_VALIDITY_HOURS: u8 = 48;

/// Family of a list.
#[derive(Clone, Copy)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    const fn word(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }

    const fn list_type(self) -> &'static str {
        match self {
            Self::V4 => "ipv4-acl-type",
            Self::V6 => "ipv6-acl-type",
        }
    }
}

/// Which way packets go, or who opens a connection.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    FromDevice,
    ToDevice,
}

impl Way {
    const fn word(self) -> &'static str {
        match self {
            Self::FromDevice => "from",
            Self::ToDevice => "to",
        }
    }
}

/// The other side of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    Name(String),
    Net(IpNet),
}

/// The whole file.
#[derive(Serialize)]
pub(super) struct MudFile {
    #[serde(rename = "ietf-mud:mud")]
    mud: Mud,
    #[serde(rename = "ietf-access-control-list:acls")]
    acls: Acls,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Mud {
    mud_version: u8,
    mud_url: String,
    last_update: String,
    cache_validity: u8,
    is_supported: bool,
    systeminfo: String,
    from_device_policy: DevicePolicy,
    to_device_policy: DevicePolicy,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DevicePolicy {
    access_lists: AccessLists,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct AccessLists {
    access_list: Vec<Reference>,
}

#[derive(Serialize)]
struct Reference {
    name: String,
}

#[derive(Serialize)]
struct Acls {
    acl: Vec<Acl>,
}

/// An access list.
#[derive(Serialize)]
pub(super) struct Acl {
    name: String,
    #[serde(rename = "type")]
    list_type: &'static str,
    aces: Aces,
}

#[derive(Serialize)]
struct Aces {
    ace: Vec<Ace>,
}

/// One of its entries.
#[derive(Serialize)]
pub(super) struct Ace {
    name: String,
    matches: Matches,
    actions: Actions,
}

#[derive(Serialize)]
struct Actions {
    forwarding: &'static str,
}

#[derive(Default, Serialize)]
struct Matches {
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Ports>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp: Option<Ports>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<Icmp>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Network {
    #[serde(rename = "ietf-acldns:dst-dnsname", skip_serializing_if = "Option::is_none")]
    to_name: Option<String>,
    #[serde(rename = "ietf-acldns:src-dnsname", skip_serializing_if = "Option::is_none")]
    from_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_ipv4_network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ipv4_network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_ipv6_network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ipv6_network: Option<String>,
    protocol: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Ports {
    #[serde(rename = "ietf-mud:direction-initiated", skip_serializing_if = "Option::is_none")]
    initiated: Option<Way>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_port: Option<Port>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_port: Option<Port>,
}

#[derive(Serialize)]
struct Port {
    operator: &'static str,
    port: u16,
}

#[derive(Serialize)]
struct Icmp {
    #[serde(rename = "type")]
    icmp_type: u8,
    code: u8,
}

impl MudFile {
    /// The lists that devices send and get by; those without entries are left out.
    pub(super) fn new(about: &About, from: [Acl; 2], to: [Acl; 2]) -> Self {
        let [from, to] = [from, to].map(|lists| lists.into_iter().filter(|list| !list.aces.ace.is_empty()));
        let (from, to): (Vec<Acl>, Vec<Acl>) = (from.collect(), to.collect());
        let references = |lists: &[Acl]| DevicePolicy {
            access_lists: AccessLists {
                access_list: lists.iter().map(|list| Reference { name: list.name.clone() }).collect(),
            },
        };
        let mud = Mud {
            mud_version: 1,
            mud_url: about.url.clone(),
            last_update: humantime::format_rfc3339_seconds(about.last_update).to_string(),
            cache_validity: CACHE_VALIDITY_HOURS,
            is_supported: true,
            systeminfo: about.system_info.clone(),
            from_device_policy: references(&from),
            to_device_policy: references(&to),
        };
        Self { mud, acls: Acls { acl: from.into_iter().chain(to).collect() } }
    }
}

impl Acl {
    /// A list of entries.
    pub(super) fn new(name: &str, (family, way): (Family, Way), ace: Vec<Ace>) -> Self {
        let name = format!("{name}-{}-{}", family.word(), way.word());
        Self { name, list_type: family.list_type(), aces: Aces { ace } }
    }
}

impl Ace {
    /// The packets of a service that go one way; and who opens its flows.
    pub(super) fn new(
        name: &str,
        (family, way): (Family, Way),
        peer: &Peer,
        (service, initiated): (Service, Way),
    ) -> Self {
        let mut matches = Matches::default();
        match service.protocol() {
            Protocol::Tcp => matches.tcp = Some(Ports::new(service, way, initiated)),
            Protocol::Udp if service.is_wildcard() => {}
            Protocol::Udp => matches.udp = Some(Ports::new(service, way, initiated)),
            Protocol::Icmp => matches.icmp = Some(Icmp::echo(family, way == initiated)),
        }
        let network = Network::new((family, way), peer, service.protocol());
        match family {
            Family::V4 => matches.ipv4 = Some(network),
            Family::V6 => matches.ipv6 = Some(network),
        }
        Self { name: format!("{name}-{}", way.word()), matches, actions: Actions { forwarding: "accept" } }
    }
}

impl Network {
    fn new((family, way): (Family, Way), peer: &Peer, protocol: Protocol) -> Self {
        let protocol = match family {
            Family::V4 => protocol.number4(),
            Family::V6 => protocol.number6(),
        };
        let mut network = Self { protocol, ..Self::default() };
        let (text, slot) = match (peer, family, way) {
            (Peer::Name(name), _, Way::FromDevice) => (name.clone(), &mut network.to_name),
            (Peer::Name(name), _, Way::ToDevice) => (name.clone(), &mut network.from_name),
            (Peer::Net(net), Family::V4, Way::FromDevice) => (net.to_string(), &mut network.destination_ipv4_network),
            (Peer::Net(net), Family::V4, Way::ToDevice) => (net.to_string(), &mut network.source_ipv4_network),
            (Peer::Net(net), Family::V6, Way::FromDevice) => (net.to_string(), &mut network.destination_ipv6_network),
            (Peer::Net(net), Family::V6, Way::ToDevice) => (net.to_string(), &mut network.source_ipv6_network),
        };
        *slot = Some(text);
        network
    }
}

impl Ports {
    /// The port of the side that does not open the flow.
    fn new(service: Service, way: Way, initiated: Way) -> Self {
        let port = match service.port() {
            PortMatch::Any => None,
            PortMatch::One(port) => Some(Port { operator: "eq", port: port.get() }),
        };
        let is_request = way == initiated;
        let (source_port, destination_port) = if is_request { (None, port) } else { (port, None) };
        // RFC 8520 section 4.8 has the initiator for TCP alone.
        let initiated = (service.protocol() == Protocol::Tcp).then_some(initiated);
        Self { initiated, source_port, destination_port }
    }
}

impl Icmp {
    /// An echo request or its reply (RFC 792, RFC 4443 section 4).
    const fn echo(family: Family, is_request: bool) -> Self {
        let icmp_type = match (family, is_request) {
            (Family::V4, true) => 8,
            (Family::V4, false) => 0,
            (Family::V6, true) => 128,
            (Family::V6, false) => 129,
        };
        Self { icmp_type, code: 0 }
    }
}
