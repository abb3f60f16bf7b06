//! The exact account of what was denied, for each device and destination.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Ticks, assert_size};

/// Destinations of one device that are accounted for one by one; what goes beyond is accounted for by its reason.
pub const DENIED_PER_DEVICE: u64 = 256;

/// What was denied: key of the accounts. In an account of "other destinations", peer, port and protocol are zero.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct DeniedKey {
    /// The device (IPv4 as `::ffff:a.b.c.d`); zero when the frame named none.
    pub device: [u8; 16],
    /// The other side.
    pub peer: [u8; 16],
    /// Group number.
    pub group: u32,
    /// Port of the other side, network byte order; for ICMP type and code, for other frames the EtherType.
    pub peer_port_be: [u8; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// Number of the [`crate::verdict::Reason`].
    pub reason: u8,
    /// Number of the [`crate::verdict::Verdict`]: denied, or would have been.
    pub verdict: u8,
    /// Number of the [`crate::verdict::Direction`].
    pub direction: u8,
    /// Zero.
    pub pad: [u8; 2],
}
assert_size!(DeniedKey, 44);

/// An account. Its first tick tells it from an earlier one with the same key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DeniedValue {
    /// Packets.
    pub packets: u64,
    /// Bytes (frame length, without the frame check sequence).
    pub bytes: u64,
    /// Tick of the first packet.
    pub first: Ticks,
    /// Tick of the last packet.
    pub last: Ticks,
}
assert_size!(DeniedValue, 32);

/// Key of a device that has accounts, by its address and group.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct DeniedDevice {
    /// The device (IPv4 as `::ffff:a.b.c.d`).
    pub device: [u8; 16],
    /// Group number.
    pub group: u32,
}
assert_size!(DeniedDevice, 20);
