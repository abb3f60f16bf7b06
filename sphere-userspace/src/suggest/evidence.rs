//! What suggestions are drawn from: flows of the store, and what only records tell.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use sphere_common::verdict::{Direction, Reason, Verdict};

use crate::store::{Field, Fields, Line};

/// How often something was denied, to whom and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The devices.
    pub devices: BTreeSet<IpAddr>,
    /// Packets.
    pub packets: u64,
    /// When the first came.
    pub first: SystemTime,
    /// When the last came.
    pub last: SystemTime,
    /// Words of the reasons.
    pub reasons: BTreeSet<&'static str>,
    /// Words of the verdicts.
    pub verdicts: BTreeSet<&'static str>,
}

impl Seen {
    /// Adds what was seen beside it.
    pub(super) fn add(&mut self, other: &Self) {
        self.devices.extend(&other.devices);
        self.packets = self.packets.saturating_add(other.packets);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.reasons.extend(&other.reasons);
        self.verdicts.extend(&other.verdicts);
    }
}

/// A line of the store: what a device had with another side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Name of the device's group; empty when it has none.
    pub group: String,
    /// The device; absent when the frame named none.
    pub device: Option<IpAddr>,
    /// The other side; absent in an account of other destinations, and when the frame named none.
    pub peer: Option<IpAddr>,
    /// Names of the other side at the time.
    pub names: Vec<String>,
    /// IP protocol and port of the other side, for ICMP type and code; absent in an account of other destinations.
    pub service: Option<(u8, u16)>,
    /// Which way the packets went.
    pub direction: Direction,
    /// Why.
    pub reason: Reason,
    /// How often and when.
    pub seen: Seen,
}

impl Flow {
    /// What lines of the store have to be made of.
    #[must_use]
    pub fn fields() -> Fields {
        use Field::{Device, Direction, Group, Name, Port, Reason, To, Verdict};
        [Device, Group, To, Name, Port, Direction, Verdict, Reason].into_iter().collect()
    }

    /// From a line; [`None`] when a word in it is of another version of the store.
    #[must_use]
    pub fn of(line: &Line) -> Option<Self> {
        let kind = &line.kind;
        let (direction, verdict) = (kind.direction.as_deref()?, kind.verdict.as_deref()?);
        let verdict = Verdict::ALL.into_iter().find(|known| known.word() == verdict)?;
        let reason = kind.reason.as_deref()?;
        let reason = Reason::ALL.iter().copied().find(|known| known.word() == reason)?;
        let is_named = |address: &IpAddr| !address.is_unspecified();
        let device = line.device.filter(is_named);
        Some(Self {
            group: kind.group.as_deref().unwrap_or_default().to_owned(),
            device,
            peer: line.peer.filter(is_named),
            names: line.names.as_deref().unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect(),
            service: kind.protocol.zip(kind.port),
            direction: Direction::ALL.into_iter().find(|known| known.word() == direction)?,
            reason,
            seen: Seen {
                devices: device.into_iter().collect(),
                packets: line.sum.packets,
                first: line.sum.first(),
                last: line.sum.last(),
                reasons: [reason.word()].into(),
                verdicts: [verdict.word()].into(),
            },
        })
    }
}

/// A denied query for a name: only records tell which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Name of the device's group.
    pub group: String,
    /// The name that was asked for.
    pub name: String,
    /// [`Reason::QueryName`] or [`Reason::QueryType`].
    pub reason: Reason,
    /// How often and when, as far as there are records.
    pub seen: Seen,
}

/// A port of a device at which somebody knocked: only records tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// The device.
    pub device: IpAddr,
    /// Who knocked.
    pub peer: IpAddr,
    /// IP protocol.
    pub protocol: u8,
    /// Port of the device.
    pub port: u16,
    /// Port of the other side.
    pub peer_port: u16,
}

/// What suggestions are drawn from.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Lines of the store.
    pub flows: Vec<Flow>,
    /// Denied queries.
    pub asked: Vec<Asked>,
    /// Ports of devices.
    pub reached: BTreeSet<Reached>,
}
