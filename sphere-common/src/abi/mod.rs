//! Keys and values of the kernel tables: the contract between the BPF programs and the daemon.
//!
//! Every type here is `repr(C)`, has no implicit padding, and its size is asserted. Fields that end in `_be` are in
//! network byte order; addresses are the bytes of the wire; times are [`Ticks`]. A change to any type, to a map's
//! key or to the meaning of a field raises [`VERSION`], which is part of the pin path.

mod clock;
mod config;
mod counters;
mod denied;
mod device;
mod endpoint;
mod event;
mod flow;
mod label;
mod name;
mod unjudged;

pub use clock::Clock;
pub use config::{
    Config, MAX_INLINE_SUBNETS, MAX_RESERVED, Port, Reserved4, Subnet4, Subnet6, SubnetKey, SubnetValue, Timeouts,
    config_flags, port_flags,
};
pub use counters::{COUNTER_SLOTS, Counter, counter_index};
pub use denied::{DENIED_PER_DEVICE, DeniedDevice, DeniedKey, DeniedValue};
pub use device::{DeviceKey, DeviceValue};
pub use endpoint::{Cidr4Data, Cidr6Data, Endpoint4Key, Endpoint6Key, EndpointValue, INBOUND, NEVER, endpoint_flags};
pub use event::{EVENT_HEAD_BYTES, Event, EventBudget};
pub use flow::{Flow4Key, Flow6Key, FlowState, FlowValue, flow_flags, flow_kind};
pub use label::{GroupLabel, RuleLabel};
pub use name::{
    LessonCount, MAX_SERVICES, NameKeyData, NameValue, REFUSED, SIGHTING_NAME_BYTES, Service, SightingKey,
    SightingValue, group_flags, name_flags,
};

pub use unjudged::{OWN_MARK, UNJUDGED_FRAME_BYTES, Unjudged, unjudged_why};

/// Version of the layout: part of the pin path. 1 is that of the first release; any change to this module after it
/// raises it.
pub const VERSION: u32 = 1;

/// The kernel's 64-bit tick counter (`bpf_jiffies64`), plus the offset in [`Config`]. Its rate, in ticks per second,
/// is [`Config::ticks_per_second`].
pub type Ticks = u64;

/// Groups that one gateway can hold.
pub const MAX_GROUPS: u32 = 64;

/// Names of the maps, as the object file and the pin directory spell them.
pub mod map {
    /// Array of two [`super::Config`]; [`ACTIVE`] says which one is in force.
    pub const CONFIG: &str = "CONFIG";
    /// Array of one `u32`: the index of the configuration in force.
    pub const ACTIVE: &str = "ACTIVE";
    /// Hash of [`super::Port`] by interface index (`u32`).
    pub const PORTS: &str = "PORTS";
    /// Longest-prefix trie of device subnets, used beyond the inline ones.
    pub const SUBNETS: &str = "SUBNETS";
    /// Hash of [`super::EndpointValue`] by [`super::Endpoint4Key`].
    pub const ENDPOINTS4: &str = "ENDPOINTS4";
    /// Hash of [`super::EndpointValue`] by [`super::Endpoint6Key`].
    pub const ENDPOINTS6: &str = "ENDPOINTS6";
    /// Longest-prefix trie of [`super::EndpointValue`] by [`super::Cidr4Data`].
    pub const CIDRS4: &str = "CIDRS4";
    /// Longest-prefix trie of [`super::EndpointValue`] by [`super::Cidr6Data`].
    pub const CIDRS6: &str = "CIDRS6";
    /// Hash of [`super::FlowValue`] by [`super::Flow4Key`].
    pub const FLOWS4: &str = "FLOWS4";
    /// Hash of [`super::FlowValue`] by [`super::Flow6Key`].
    pub const FLOWS6: &str = "FLOWS6";
    /// Array of [`super::Flow4Key`]: the flow slots of each device, in runs of [`super::Config::flows_per_device`].
    pub const SLOTS4: &str = "SLOTS4";
    /// Array of [`super::Flow6Key`]: as [`SLOTS4`].
    pub const SLOTS6: &str = "SLOTS6";
    /// Hash of [`super::DeviceValue`] by [`super::DeviceKey`].
    pub const DEVICES: &str = "DEVICES";
    /// Queue of free device indices (`u32`).
    pub const FREE_DEVICES: &str = "FREE_DEVICES";
    /// Per-CPU array of [`super::Counter`] by [`super::counter_index`].
    pub const COUNTERS: &str = "COUNTERS";
    /// Per-CPU array of [`super::Counter`] by rule number.
    pub const RULE_COUNTERS: &str = "RULE_COUNTERS";
    /// Ring buffer of [`super::Event`].
    pub const EVENTS: &str = "EVENTS";
    /// Per-CPU array of one [`super::EventBudget`].
    pub const EVENT_BUDGET: &str = "EVENT_BUDGET";
    /// Longest-prefix trie of [`super::NameValue`] by [`super::NameKeyData`].
    pub const NAMES: &str = "NAMES";
    /// Hash of [`super::SightingValue`] by [`super::SightingKey`]: for people; nothing is allowed by it.
    pub const SIGHTINGS: &str = "SIGHTINGS";
    /// Array of `u32` by group: addresses that the group may still learn.
    pub const LEARN_QUOTA: &str = "LEARN_QUOTA";
    /// Ring buffer of [`super::Unjudged`], each followed by its frame.
    pub const UNJUDGED: &str = "UNJUDGED";
    /// Per-CPU array of `u64` by [`super::LessonCount`].
    pub const LESSON_COUNTERS: &str = "LESSON_COUNTERS";
    /// Hash of [`super::DeniedValue`] by [`super::DeniedKey`].
    pub const DENIED: &str = "DENIED";
    /// The same for "other destinations" of a device and reason.
    pub const DENIED_OTHERS: &str = "DENIED_OTHERS";
    /// Hash of `u64` by [`super::DeniedDevice`]: accounts that the programs ever opened for the device.
    pub const DENIED_OPENED: &str = "DENIED_OPENED";
    /// Hash of `u64` by [`super::DeniedDevice`]: accounts of the device that the daemon has closed.
    pub const DENIED_CLOSED: &str = "DENIED_CLOSED";
    /// Per-CPU array of one [`super::Counter`]: denials that no account had room for.
    pub const DENIED_LOST: &str = "DENIED_LOST";
    /// Array of one [`super::Clock`], written by [`super::program::CLOCK`].
    pub const CLOCK: &str = "CLOCK";
    /// Array of [`super::RuleLabel`] by rule number: what a person calls the rule.
    pub const RULE_LABELS: &str = "RULE_LABELS";
    /// Array of [`super::GroupLabel`] by group number.
    pub const GROUP_LABELS: &str = "GROUP_LABELS";
}

/// Names of the programs in the object file.
pub mod program {
    /// XDP at ingress of a device port.
    pub const INGRESS: &str = "sphere_ingress";
    /// The same classifier at tc ingress, where the driver has no native XDP.
    pub const INGRESS_TC: &str = "sphere_in_tc";
    /// tc egress of a device port.
    pub const EGRESS: &str = "sphere_egress";
    /// Reads the kernel's clocks; never attached, run once by the daemon to learn the tick rate.
    pub const CLOCK: &str = "sphere_clock";
}

/// Asserts the size of a shared type at compile time.
macro_rules! assert_size {
    ($type:ty, $bytes:expr) => {
        const _: () = assert!(core::mem::size_of::<$type>() == $bytes);
    };
}
use assert_size;
