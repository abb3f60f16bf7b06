//! Flows that were allowed: what lets replies in, and what outlives DNS.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Ticks, assert_size};

/// What a flow entry stands for: [`Flow4Key::kind`].
pub mod flow_kind {
    /// A TCP or UDP flow, or an ICMP echo exchange (then both ports hold the identifier).
    pub const TRANSPORT: u8 = 0;
    /// The later fragments of a datagram from the device; the ports hold its identification.
    pub const FRAGMENT_OUT: u8 = 1;
    /// The later fragments of a datagram to the device; the ports hold its identification.
    pub const FRAGMENT_IN: u8 = 2;
    /// A DNS query that waits for its answer; the peer's port holds the transaction identifier.
    pub const QUERY: u8 = 3;
}

/// Bits of [`FlowValue::flags`].
pub mod flow_flags {
    /// The peer opened it.
    pub const INBOUND: u8 = 1 << 0;
    /// It passed only because its group is in audit mode: its replies are no denial of their own, and it counts for
    /// nothing once the group enforces.
    pub const AUDITED: u8 = 1 << 1;
}

/// Key of an IPv4 flow, the same for both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Flow4Key {
    /// Address of the device.
    pub device: [u8; 4],
    /// Address of the peer.
    pub peer: [u8; 4],
    /// Port of the device, network byte order.
    pub device_port_be: [u8; 2],
    /// Port of the peer, network byte order.
    pub peer_port_be: [u8; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// [`flow_kind`].
    pub kind: u8,
    /// Zero.
    pub pad: [u8; 2],
}
assert_size!(Flow4Key, 16);

/// Key of an IPv6 flow: as [`Flow4Key`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Flow6Key {
    /// Address of the device.
    pub device: [u8; 16],
    /// Address of the peer.
    pub peer: [u8; 16],
    /// Port of the device, network byte order.
    pub device_port_be: [u8; 2],
    /// Port of the peer, network byte order.
    pub peer_port_be: [u8; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// [`flow_kind`].
    pub kind: u8,
    /// Zero.
    pub pad: [u8; 2],
}
assert_size!(Flow6Key, 40);

/// How far a flow has come. Other than for TCP, only `Opening` and `Established` occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FlowState {
    /// Only the side that opened it was seen.
    Opening = 0,
    /// Both sides were seen.
    Established = 1,
    /// A FIN or RST was seen.
    Closing = 2,
    /// A FIN or RST was seen before both sides were: the connection never came about.
    Refused = 3,
}

impl FlowState {
    /// The state that a stored byte stands for; what is unknown counts as closing, the shortest life.
    #[must_use]
    #[inline(always)]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Opening,
            1 => Self::Established,
            3 => Self::Refused,
            _ => Self::Closing,
        }
    }

    /// The state after a FIN or RST.
    #[must_use]
    #[inline(always)]
    pub const fn closed(self) -> Self {
        match self {
            Self::Opening | Self::Refused => Self::Refused,
            Self::Established | Self::Closing => Self::Closing,
        }
    }

    /// Whether both sides were seen.
    #[must_use]
    pub const fn was_answered(self) -> bool {
        matches!(self, Self::Established | Self::Closing)
    }

    /// Word for people and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Established => "established",
            Self::Closing => "closing",
            Self::Refused => "refused",
        }
    }
}

/// State of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FlowValue {
    /// Tick of the last packet that refreshed it (at most one write a second).
    pub last_seen: Ticks,
    /// First tick at which it has ended, unless it is seen before.
    pub ends: Ticks,
    /// Tick of its first packet.
    pub created: Ticks,
    /// Rule that allowed it.
    pub rule: u32,
    /// Group of the device.
    pub group: u32,
    /// [`FlowState`] as a byte.
    pub state: u8,
    /// [`flow_flags`].
    pub flags: u8,
    /// Zero.
    pub pad: [u8; 2],
    /// Of a connection to a resolver: sequence number that its stream of queries begins with, once the mark says that it
    /// is known; else 0.
    pub begins: u32,
    /// Of a DNS query: hash of the asked name; of a connection to a resolver: [`crate::decide::stream::QueryStream`]; else 0.
    pub mark: u64,
    /// Bytes of the frames that went to the device, link headers included, since it was opened.
    pub received: u64,
}
assert_size!(FlowValue, 56);
