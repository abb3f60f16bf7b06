//! What may be reached: exact endpoints, and prefixes of them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Ticks, assert_size};

/// [`EndpointValue::expires`] of an entry that never expires.
pub const NEVER: Ticks = Ticks::MAX;

/// Set in the group of a prefix key that describes who may open flows *to* a device. The port is then the device's.
pub const INBOUND: u32 = 1 << 31;

/// Bits of [`EndpointValue::flags`].
pub mod endpoint_flags {
    /// A DNS resolver that this group may ask.
    pub const RESOLVER: u32 = 1 << 0;
    /// Written or prolonged by the programs from a DNS answer, not by the daemon.
    pub const LEARNED: u32 = 1 << 1;
}

/// Key of an exact IPv4 endpoint. Port 0 stands for every port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Endpoint4Key {
    /// Group number.
    pub group: u32,
    /// Address of the peer.
    pub address: [u8; 4],
    /// Port of the peer, network byte order; 0 stands for every port.
    pub port_be: [u8; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}
assert_size!(Endpoint4Key, 12);

/// Key of an exact IPv6 endpoint. Port 0 stands for every port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Endpoint6Key {
    /// Group number.
    pub group: u32,
    /// Address of the peer.
    pub address: [u8; 16],
    /// Port of the peer, network byte order; 0 stands for every port.
    pub port_be: [u8; 2],
    /// IP protocol number.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}
assert_size!(Endpoint6Key, 24);

/// Key of an IPv4 prefix rule, without the trie's prefix length. All fields before the address are always part of
/// the prefix, so the length is 64 plus that of the address prefix. Protocol 0 stands for every protocol (then the
/// port is 0 too), port 0 for every port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Cidr4Data {
    /// Group number, network byte order, with [`INBOUND`] for rules about flows to a device.
    pub group_be: [u8; 4],
    /// IP protocol number or 0.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
    /// Port, network byte order, or 0.
    pub port_be: [u8; 2],
    /// Address of the peer.
    pub address: [u8; 4],
}
assert_size!(Cidr4Data, 12);

/// Key of an IPv6 prefix rule: as [`Cidr4Data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Cidr6Data {
    /// Group number, network byte order, with [`INBOUND`] for rules about flows to a device.
    pub group_be: [u8; 4],
    /// IP protocol number or 0.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
    /// Port, network byte order, or 0.
    pub port_be: [u8; 2],
    /// Address of the peer.
    pub address: [u8; 16],
}
assert_size!(Cidr6Data, 24);

/// Length in bits of what stands before the address in a prefix key.
impl Cidr4Data {
    /// Bits before the address.
    pub const FIXED_BITS: u32 = 64;
}

impl Cidr6Data {
    /// Bits before the address.
    pub const FIXED_BITS: u32 = 64;
}

/// Why an endpoint may be reached, and until when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EndpointValue {
    /// First tick at which it may no longer be reached, or [`NEVER`].
    pub expires: Ticks,
    /// Rule number, for counters; 0 is no rule.
    pub rule: u32,
    /// [`endpoint_flags`].
    pub flags: u32,
}
assert_size!(EndpointValue, 16);
