//! What the daemon tells the programs: device subnets, modes, time-outs. One value, replaced as a whole.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::assert_size;

/// Device subnets per family that are compared inline; more go to the trie.
pub const MAX_INLINE_SUBNETS: usize = 8;
/// Reserved prefixes that are compared inline.
pub const MAX_RESERVED: usize = 4;

/// Bits of [`Config::flags`].
pub mod config_flags {
    /// Some subnets are only in the trie.
    pub const SUBNETS_IN_TRIE: u32 = 1 << 0;
    /// At least one IPv4 prefix rule about destinations exists.
    pub const CIDRS4: u32 = 1 << 1;
    /// At least one IPv6 prefix rule about destinations exists.
    pub const CIDRS6: u32 = 1 << 2;
    /// At least one endpoint stands for every port of its address and protocol.
    pub const WILDCARD_PORTS: u32 = 1 << 3;
    /// Queries and answers are read: names are in the table.
    pub const NAMES: u32 = 1 << 4;
    /// At least one IPv4 inbound rule exists.
    pub const INBOUND4: u32 = 1 << 5;
    /// At least one IPv6 inbound rule exists.
    pub const INBOUND6: u32 = 1 << 6;
}

/// Bits of [`Port::flags`].
pub mod port_flags {
    /// Deny IPv4 packets whose source is in no device subnet of this port.
    pub const DENY_FOREIGN4: u8 = 1 << 0;
    /// Deny IPv6 packets whose source is in no device subnet of this port.
    pub const DENY_FOREIGN6: u8 = 1 << 1;
    /// Deny IPv6 packets with a link-local source, which would reach the gateway itself unjudged: all but discovery.
    pub const DENY_LINK_LOCAL6: u8 = 1 << 2;
}

/// One IPv4 device subnet on one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Subnet4 {
    /// Network address, as on the wire.
    pub network: [u8; 4],
    /// Network mask, as on the wire.
    pub mask: [u8; 4],
    /// Interface index of the device port.
    pub ifindex: u32,
    /// Group of the devices in it, its mode and flags.
    pub group: SubnetValue,
}
assert_size!(Subnet4, 20);

/// One IPv6 device subnet on one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Subnet6 {
    /// Network address, as on the wire.
    pub network: [u8; 16],
    /// Network mask, as on the wire.
    pub mask: [u8; 16],
    /// Interface index of the device port.
    pub ifindex: u32,
    /// Group of the devices in it, its mode and flags.
    pub group: SubnetValue,
}
assert_size!(Subnet6, 44);

/// What a subnet means: its group and the group's mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SubnetValue {
    /// Group number, below [`super::MAX_GROUPS`].
    pub group: u32,
    /// 0: audit (a denial is only recorded); 1: enforce.
    pub enforce: u8,
    /// [`super::group_flags`].
    pub flags: u8,
    /// Reserved, zero.
    pub pad: [u8; 2],
}
assert_size!(SubnetValue, 8);

/// Key of the subnet trie: interface, then address (IPv4 as `::ffff:a.b.c.d`). The prefix length counts from the
/// first bit of `ifindex_be`, so it is 32 plus the length inside the 128-bit address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SubnetKey {
    /// Interface index, network byte order so that it is a prefix.
    pub ifindex_be: [u8; 4],
    /// Address of the device.
    pub address: [u8; 16],
}
assert_size!(SubnetKey, 20);

/// An IPv4 prefix that is never valid on a device port, as source or as destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reserved4 {
    /// Network address, as on the wire.
    pub network: [u8; 4],
    /// Network mask, as on the wire.
    pub mask: [u8; 4],
}
assert_size!(Reserved4, 8);

/// A device port: an interface that the programs guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Port {
    /// 1 when any group on this port enforces: then frames that belong to no group for lack of a readable source
    /// (malformed, too many tags) are denied rather than audited.
    pub enforce: u8,
    /// [`port_flags`].
    pub flags: u8,
    /// Reserved, zero.
    pub pad: [u8; 2],
}
assert_size!(Port, 4);

/// How long a flow may be idle before its entry ends, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Timeouts {
    /// TCP, after the first packet of one side only.
    pub tcp_opening: u32,
    /// TCP, after both sides were seen.
    pub tcp_established: u32,
    /// TCP, after a FIN or RST.
    pub tcp_closing: u32,
    /// UDP.
    pub udp: u32,
    /// ICMP echo.
    pub icmp: u32,
    /// Later fragments of an allowed datagram (RFC 791 section 3.2 suggests 15 s; RFC 8200 section 4.5: 60 s).
    pub fragment: u32,
    /// A DNS query that waits for its answer.
    pub query: u32,
    /// Zero.
    pub pad: u32,
}
assert_size!(Timeouts, 32);

/// The configuration of the programs. The daemon writes the slot that is not in force, then switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Config {
    /// Added to the kernel's ticks; zero outside simulations.
    pub clock_offset: u64,
    /// Kernel ticks per second, as found by the daemon.
    pub ticks_per_second: u32,
    /// [`config_flags`].
    pub flags: u32,
    /// Used entries of `subnets4`.
    pub subnets4_len: u32,
    /// Used entries of `subnets6`.
    pub subnets6_len: u32,
    /// Used entries of `reserved4`.
    pub reserved4_len: u32,
    /// Flow slots that each device owns.
    pub flows_per_device: u32,
    /// Event samples that each CPU may send a second.
    pub events_per_second: u32,
    /// Keys the hashes that tie DNS answers to their queries; random.
    pub seed: u32,
    /// Idle time-outs.
    pub timeouts: Timeouts,
    /// Device subnets, longest prefix first.
    pub subnets4: [Subnet4; MAX_INLINE_SUBNETS],
    /// Device subnets, longest prefix first.
    pub subnets6: [Subnet6; MAX_INLINE_SUBNETS],
    /// Prefixes that are never valid on a device port.
    pub reserved4: [Reserved4; MAX_RESERVED],
}
assert_size!(Config, 40 + 32 + 160 + 352 + 32);
