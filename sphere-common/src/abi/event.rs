//! A sample of a denied (or would-be denied) packet, through the ring buffer.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::assert_size;

/// Bytes of the frame that a sample carries: enough for a DNS question with the longest name behind two VLAN tags, IPv6
/// and TCP with time stamps.
pub const EVENT_HEAD_BYTES: usize = 376;

/// The token bucket of the samples of one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EventBudget {
    /// Second (in whole seconds of ticks) that `used` belongs to.
    pub second: u64,
    /// Samples sent in that second.
    pub used: u64,
    /// Samples sent, ever.
    pub sent: u64,
    /// Samples not sent because the budget was used up, ever.
    pub refused: u64,
    /// Samples not sent because the ring was full, ever.
    pub lost: u64,
}
assert_size!(EventBudget, 40);

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Event {
    /// Time, nanoseconds of the monotonic clock.
    pub monotonic_ns: u64,
    /// Device address (IPv4 as `::ffff:a.b.c.d`); zero when the frame could not be read so far.
    pub device: [u8; 16],
    /// Peer address; zero when the frame could not be read so far.
    pub peer: [u8; 16],
    /// Interface index of the device port.
    pub ifindex: u32,
    /// Group number, or `u32::MAX` when the frame belongs to none.
    pub group: u32,
    /// Length of the frame in bytes.
    pub frame_bytes: u32,
    /// Bytes of `head` that are of the frame.
    pub head_bytes: u16,
    /// Device's port, network byte order; 0 when there is none.
    pub device_port_be: [u8; 2],
    /// Peer's port, network byte order; 0 when there is none. For ICMP: type and code.
    pub peer_port_be: [u8; 2],
    /// EtherType behind the tags, network byte order.
    pub ethertype_be: [u8; 2],
    /// Outer and inner VLAN identifier plus one; 0 when there is no such tag.
    pub vlan: [u16; 2],
    /// IP protocol number; meaningful when `device` is set.
    pub protocol: u8,
    /// [`crate::verdict::Reason`] as a byte.
    pub reason: u8,
    /// [`crate::verdict::Verdict`] as a byte.
    pub verdict: u8,
    /// [`crate::verdict::Direction`] as a byte.
    pub direction: u8,
    /// Zero.
    pub pad: [u8; 4],
    /// First bytes of the frame; what is in it behind `head_bytes` means nothing.
    pub head: [u8; EVENT_HEAD_BYTES],
}
assert_size!(Event, 448);
