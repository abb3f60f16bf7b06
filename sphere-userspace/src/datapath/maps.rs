//! The kernel tables of one data plane, each with its types.

use sphere_common::abi::{
    self, Clock, Config, Counter, DeniedDevice, DeniedKey, DeniedValue, DeviceKey, DeviceValue, Endpoint4Key,
    Endpoint6Key, EndpointValue, EventBudget, Flow4Key, Flow6Key, FlowValue, GroupLabel, NameValue, Port, RuleLabel,
    SightingKey, SightingValue, SubnetValue,
};

use super::error::DatapathError;
use super::keys::{Cidr4Key, Cidr6Key, NameKey, SubnetTrieKey};
use super::pins::Pins;
use super::raw_map::RawMap;
use super::table::{Table, Totals};
use crate::policy::Limits;
use crate::reconcile::REFUSED_ROOM;

/// Every map that is pinned, in the order of their pins.
pub const PINNED: [&str; 31] = [
    abi::map::CONFIG,
    abi::map::ACTIVE,
    abi::map::PORTS,
    abi::map::SUBNETS,
    abi::map::ENDPOINTS4,
    abi::map::ENDPOINTS6,
    abi::map::CIDRS4,
    abi::map::CIDRS6,
    abi::map::FLOWS4,
    abi::map::FLOWS6,
    abi::map::SLOTS4,
    abi::map::SLOTS6,
    abi::map::DEVICES,
    abi::map::FREE_DEVICES,
    abi::map::COUNTERS,
    abi::map::RULE_COUNTERS,
    abi::map::EVENTS,
    abi::map::EVENT_BUDGET,
    abi::map::CLOCK,
    abi::map::RULE_LABELS,
    abi::map::GROUP_LABELS,
    abi::map::NAMES,
    abi::map::SIGHTINGS,
    abi::map::LEARN_QUOTA,
    abi::map::LESSON_COUNTERS,
    abi::map::UNJUDGED,
    abi::map::DENIED,
    abi::map::DENIED_OTHERS,
    abi::map::DENIED_OPENED,
    abi::map::DENIED_CLOSED,
    abi::map::DENIED_LOST,
];

/// Sightings that are kept at least.
const SIGHTINGS_MIN: u32 = 1024;

/// Entries that the policy's limits ask for; `None` for a map of fixed size.
#[must_use]
pub(super) fn capacity(limits: &Limits, name: &str) -> Option<u32> {
    match name {
        abi::map::ENDPOINTS4 | abi::map::ENDPOINTS6 => Some(limits.endpoints),
        abi::map::CIDRS4 | abi::map::CIDRS6 => Some(limits.cidrs.saturating_add(REFUSED_ROOM)),
        abi::map::DEVICES | abi::map::FREE_DEVICES => Some(limits.devices),
        abi::map::FLOWS4 | abi::map::FLOWS6 | abi::map::SLOTS4 | abi::map::SLOTS6 => {
            Some(limits.devices.saturating_mul(limits.flows_per_device))
        }
        abi::map::RULE_COUNTERS | abi::map::RULE_LABELS | abi::map::NAMES => Some(limits.rules),
        abi::map::SIGHTINGS => Some((limits.endpoints / 2).max(SIGHTINGS_MIN)),
        _ => None,
    }
}

/// The tables.
#[derive(Debug)]
pub struct Maps {
    /// Configuration, two slots.
    pub config: Table<u32, Config>,
    /// Slot in force.
    pub active: Table<u32, u32>,
    /// Device ports by interface index.
    pub ports: Table<u32, Port>,
    /// Device subnets beyond the inline ones.
    pub subnets: Table<SubnetTrieKey, SubnetValue>,
    /// Exact IPv4 endpoints.
    pub endpoints4: Table<Endpoint4Key, EndpointValue>,
    /// Exact IPv6 endpoints.
    pub endpoints6: Table<Endpoint6Key, EndpointValue>,
    /// IPv4 prefix rules.
    pub cidrs4: Table<Cidr4Key, EndpointValue>,
    /// IPv6 prefix rules.
    pub cidrs6: Table<Cidr6Key, EndpointValue>,
    /// IPv4 flows.
    pub flows4: Table<Flow4Key, FlowValue>,
    /// IPv6 flows.
    pub flows6: Table<Flow6Key, FlowValue>,
    /// Flow slots of the devices, IPv4.
    pub slots4: Table<u32, Flow4Key>,
    /// Flow slots of the devices, IPv6.
    pub slots6: Table<u32, Flow6Key>,
    /// Devices by address.
    pub devices: Table<DeviceKey, DeviceValue>,
    /// Queue of free device numbers.
    pub free_devices: RawMap,
    /// Totals by direction, verdict and reason.
    pub counters: Totals<Counter>,
    /// Totals by rule.
    pub rule_counters: Totals<Counter>,
    /// Samples of denied packets.
    pub events: RawMap,
    /// Token buckets of the samples.
    pub event_budget: Totals<EventBudget>,
    /// The kernel's clocks.
    pub clock: Table<u32, Clock>,
    /// Names of rules.
    pub rule_labels: Table<u32, RuleLabel>,
    /// Names of groups.
    pub group_labels: Table<u32, GroupLabel>,
    /// Names that devices may ask for.
    pub names: Table<NameKey, NameValue>,
    /// Addresses seen in answers.
    pub sightings: Table<SightingKey, SightingValue>,
    /// Addresses that each group may still learn.
    pub learn_quota: Table<u32, u32>,
    /// What happened to queries and answers.
    pub lesson_counters: Totals<u64>,
    /// Answers that the programs could not judge.
    pub unjudged: RawMap,
    /// Accounts of denials.
    pub denied: Table<DeniedKey, DeniedValue>,
    /// Accounts of "other destinations".
    pub denied_others: Table<DeniedKey, DeniedValue>,
    /// Accounts that were ever opened, by device.
    pub denied_opened: Table<DeniedDevice, u64>,
    /// Accounts that were closed, by device.
    pub denied_closed: Table<DeniedDevice, u64>,
    /// Denials that no account had room for.
    pub denied_lost: Totals<Counter>,
}

impl Maps {
    /// Collects the maps from wherever `open` finds them.
    ///
    /// # Errors
    ///
    /// What `open` says, or [`DatapathError::Layout`].
    pub fn collect(mut open: impl FnMut(&'static str) -> Result<RawMap, DatapathError>) -> Result<Self, DatapathError> {
        macro_rules! table {
            ($kind:ident, $name:ident) => {
                $kind::new(abi::map::$name, open(abi::map::$name)?)?
            };
        }
        Ok(Self {
            config: table!(Table, CONFIG),
            active: table!(Table, ACTIVE),
            ports: table!(Table, PORTS),
            subnets: table!(Table, SUBNETS),
            endpoints4: table!(Table, ENDPOINTS4),
            endpoints6: table!(Table, ENDPOINTS6),
            cidrs4: table!(Table, CIDRS4),
            cidrs6: table!(Table, CIDRS6),
            flows4: table!(Table, FLOWS4),
            flows6: table!(Table, FLOWS6),
            slots4: table!(Table, SLOTS4),
            slots6: table!(Table, SLOTS6),
            devices: table!(Table, DEVICES),
            free_devices: open(abi::map::FREE_DEVICES)?,
            counters: table!(Totals, COUNTERS),
            rule_counters: table!(Totals, RULE_COUNTERS),
            events: open(abi::map::EVENTS)?,
            event_budget: table!(Totals, EVENT_BUDGET),
            clock: table!(Table, CLOCK),
            rule_labels: table!(Table, RULE_LABELS),
            group_labels: table!(Table, GROUP_LABELS),
            names: table!(Table, NAMES),
            sightings: table!(Table, SIGHTINGS),
            learn_quota: table!(Table, LEARN_QUOTA),
            lesson_counters: table!(Totals, LESSON_COUNTERS),
            unjudged: open(abi::map::UNJUDGED)?,
            denied: table!(Table, DENIED),
            denied_others: table!(Table, DENIED_OTHERS),
            denied_opened: table!(Table, DENIED_OPENED),
            denied_closed: table!(Table, DENIED_CLOSED),
            denied_lost: table!(Totals, DENIED_LOST),
        })
    }

    /// Opens the pinned maps.
    ///
    /// # Errors
    ///
    /// When one is missing or has another layout.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Self::collect(|name| {
            let path = pins.map(name);
            RawMap::open(&path).map_err(|e| super::pins::pin_error("open", &path, e))
        })
    }

    /// The map of a name.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&RawMap> {
        Some(match name {
            abi::map::CONFIG => self.config.raw(),
            abi::map::ACTIVE => self.active.raw(),
            abi::map::PORTS => self.ports.raw(),
            abi::map::SUBNETS => self.subnets.raw(),
            abi::map::ENDPOINTS4 => self.endpoints4.raw(),
            abi::map::ENDPOINTS6 => self.endpoints6.raw(),
            abi::map::CIDRS4 => self.cidrs4.raw(),
            abi::map::CIDRS6 => self.cidrs6.raw(),
            abi::map::FLOWS4 => self.flows4.raw(),
            abi::map::FLOWS6 => self.flows6.raw(),
            abi::map::SLOTS4 => self.slots4.raw(),
            abi::map::SLOTS6 => self.slots6.raw(),
            abi::map::DEVICES => self.devices.raw(),
            abi::map::FREE_DEVICES => &self.free_devices,
            abi::map::COUNTERS => self.counters.raw(),
            abi::map::RULE_COUNTERS => self.rule_counters.raw(),
            abi::map::EVENTS => &self.events,
            abi::map::EVENT_BUDGET => self.event_budget.raw(),
            abi::map::CLOCK => self.clock.raw(),
            abi::map::RULE_LABELS => self.rule_labels.raw(),
            abi::map::GROUP_LABELS => self.group_labels.raw(),
            abi::map::NAMES => self.names.raw(),
            abi::map::SIGHTINGS => self.sightings.raw(),
            abi::map::LEARN_QUOTA => self.learn_quota.raw(),
            abi::map::LESSON_COUNTERS => self.lesson_counters.raw(),
            abi::map::UNJUDGED => &self.unjudged,
            abi::map::DENIED => self.denied.raw(),
            abi::map::DENIED_OTHERS => self.denied_others.raw(),
            abi::map::DENIED_OPENED => self.denied_opened.raw(),
            abi::map::DENIED_CLOSED => self.denied_closed.raw(),
            abi::map::DENIED_LOST => self.denied_lost.raw(),
            _ => return None,
        })
    }
}
