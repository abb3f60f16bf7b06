//! One entry per device address that has opened an allowed flow.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Ticks, assert_size};

/// Key of a device: its address, IPv4 as `::ffff:a.b.c.d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DeviceKey {
    /// Address of the device.
    pub address: [u8; 16],
}
assert_size!(DeviceKey, 16);

/// What the programs keep of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DeviceValue {
    /// Tick at which it last opened a flow.
    pub last_seen: Ticks,
    /// Its number: it owns the flow slots from `index * flows_per_device`.
    pub index: u32,
    /// The next of its flow slots to try; taken modulo the number of slots.
    pub cursor: u32,
    /// Group of the device.
    pub group: u32,
    /// Hardware address of its last frame.
    pub mac: [u8; 6],
    /// Zero.
    pub pad: [u8; 6],
}
assert_size!(DeviceValue, 32);
