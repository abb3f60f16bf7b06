//! An entry of an access list, whatever dialect it was written in: which packets it is about, and whether they pass.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU16;
use std::ops::Range;

use ipnet::IpNet;

use crate::policy::{DomainName, Located};

/// Which way packets go, or who opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Devices send.
    FromDevice,
    /// Devices get.
    ToDevice,
}

/// Address family of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Every address.
    pub(super) fn everything(self) -> IpNet {
        match self {
            Self::V4 => IpNet::V4(ipnet::Ipv4Net::default()),
            Self::V6 => IpNet::V6(ipnet::Ipv6Net::default()),
        }
    }

    /// Whether the prefix is of this family.
    pub(super) const fn has(self, net: &IpNet) -> bool {
        matches!((self, net), (Self::V4, IpNet::V4(_)) | (Self::V6, IpNet::V6(_)))
    }
}

/// The other side of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// A name.
    Name(DomainName),
    /// An address or a prefix.
    Net(IpNet),
    /// Whoever the own network says it is.
    Class(Class),
}

/// A class of hosts that only the own network can fill (RFC 8520 section 4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Hosts that registered as controllers under a URI.
    Controller(String),
    /// Hosts that the administrator names as controllers of these devices.
    MyController,
    /// The networks on site.
    LocalNetworks,
    /// Devices of a manufacturer.
    Manufacturer(String),
    /// Devices of the same manufacturer.
    SameManufacturer,
    /// Devices of the model with this MUD URL.
    Model(String),
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(formatter),
            Self::Net(net) => net.fmt(formatter),
            Self::Class(class) => class.fmt(formatter),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(uri) => write!(formatter, "controller {uri}"),
            Self::MyController => formatter.write_str("my-controller"),
            Self::LocalNetworks => formatter.write_str("local-networks"),
            Self::Manufacturer(host) => write!(formatter, "manufacturer {host}"),
            Self::SameManufacturer => formatter.write_str("same-manufacturer"),
            Self::Model(uri) => write!(formatter, "model {uri}"),
        }
    }
}

/// A transport with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Ports of one side: these, or all of them.
pub(super) type Ports = Option<BTreeSet<NonZeroU16>>;

/// What packets of an entry carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Whatever it is.
    Every,
    /// A transport, by the ports of either side.
    Ports {
        /// Which.
        transport: Transport,
        /// Ports of the device.
        device: Ports,
        /// Ports of the other side.
        remote: Ports,
    },
    /// ICMP echo.
    Echo(Echo),
}

/// Which messages of an echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// Requests.
    Request,
    /// Replies.
    Reply,
    /// Both: the entry names no type.
    Either,
}

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its name.
    pub(super) name: String,
    /// Where it stands.
    pub(super) at: Range<usize>,
    /// Which way its packets go.
    pub(super) way: Way,
    /// Family of its packets.
    pub(super) family: Family,
    /// Whom devices speak with.
    pub(super) peer: Located<Peer>,
    /// What they say.
    pub(super) traffic: Traffic,
    /// Who opens the connections, where the entry tells.
    pub(super) opened_by: Option<Way>,
    /// Whether its packets pass; they are dropped otherwise.
    pub(super) accepts: bool,
}

impl Traffic {
    /// Whether some packet is of both kinds.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Every, _) | (_, Self::Every) => true,
            (
                Self::Ports { transport, device, remote },
                Self::Ports { transport: other, device: its_device, remote: its_remote },
            ) => transport == other && meet(device, its_device) && meet(remote, its_remote),
            (Self::Echo(one), Self::Echo(other)) => one == other || [one, other].contains(&&Echo::Either),
            (Self::Ports { .. }, Self::Echo(_)) | (Self::Echo(_), Self::Ports { .. }) => false,
        }
    }
}

fn meet(one: &Ports, other: &Ports) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => !one.is_disjoint(other),
        (None, _) | (_, None) => true,
    }
}
