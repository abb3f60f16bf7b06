//! Tables of ordinary collections: for tests, benches and replay.

use std::collections::HashMap;
use std::hash::Hash;

use crate::abi::{
    Cidr4Data, Cidr6Data, Config, DeviceKey, DeviceValue, Endpoint4Key, Endpoint6Key, EndpointValue, Flow4Key,
    Flow6Key, FlowValue, LessonCount, NameValue, Port, SIGHTING_NAME_BYTES, SightingKey, SightingValue, SubnetKey,
    SubnetValue, Ticks, endpoint_flags,
};
use crate::decide::lesson::Lesson;
use crate::decide::{Context, flows};
use crate::dns::{MAX_NAME_STEPS, MAX_STEPS};
use crate::family::{Family, V4, V6};
use crate::tables::{FamilyTables, Lessons, SlotRun, Tables};

/// Longest-prefix match over byte strings, one hash table per prefix length in use.
#[derive(Clone, Debug, Default)]
pub struct PrefixTable<V> {
    /// Prefix lengths in bits, longest first, each with the prefixes of that length.
    lengths: Vec<(u32, HashMap<Vec<u8>, V>)>,
}

impl<V: Copy> PrefixTable<V> {
    /// Adds a prefix of `bits` bits.
    pub fn insert(&mut self, bits: u32, data: &[u8], value: V) {
        let prefix = masked(data, bits);
        match self.lengths.iter_mut().find(|(length, _)| *length == bits) {
            Some((_, table)) => {
                table.insert(prefix, value);
            }
            None => {
                self.lengths.push((bits, HashMap::from([(prefix, value)])));
                self.lengths.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
            }
        }
    }

    /// The value of the longest prefix that covers `data`.
    #[must_use]
    pub fn longest(&self, data: &[u8]) -> Option<V> {
        self.lengths.iter().find_map(|(bits, table)| table.get(&masked(data, *bits)).copied())
    }

    /// The value of the longest prefix that covers `data` and is no longer than it.
    #[must_use]
    pub fn longest_within(&self, data: &[u8]) -> Option<V> {
        let fits = self.lengths.iter().filter(|(bits, _)| *bits as usize <= data.len() * 8);
        fits.into_iter().find_map(|(bits, table)| {
            let bytes = bits.div_ceil(8) as usize;
            table.get(&masked(data.get(..bytes)?, *bits)).copied()
        })
    }
}

/// The first `bits` bits of `data`, the rest zero.
fn masked(data: &[u8], bits: u32) -> Vec<u8> {
    let byte = |(index, byte): (usize, &u8)| {
        let kept = (bits as usize).saturating_sub(index * 8).min(8);
        byte & u8::try_from(0xff00_u16 >> kept & 0xff).unwrap_or(0)
    };
    data.iter().enumerate().map(byte).collect()
}

/// Flow table with its slots.
#[derive(Clone, Debug)]
pub struct FlowTable<K> {
    /// The flows.
    pub flows: HashMap<K, FlowValue>,
    /// Slots of all devices.
    pub slots: Vec<K>,
}

/// All tables of a gateway.
#[derive(Clone, Debug)]
pub struct HostTables {
    /// Exact IPv4 endpoints.
    pub endpoints4: HashMap<Endpoint4Key, EndpointValue>,
    /// Exact IPv6 endpoints.
    pub endpoints6: HashMap<Endpoint6Key, EndpointValue>,
    /// IPv4 prefix rules.
    pub cidrs4: PrefixTable<EndpointValue>,
    /// IPv6 prefix rules.
    pub cidrs6: PrefixTable<EndpointValue>,
    /// IPv4 flows.
    pub flows4: FlowTable<Flow4Key>,
    /// IPv6 flows.
    pub flows6: FlowTable<Flow6Key>,
    /// Device ports by interface index.
    pub ports: HashMap<u32, Port>,
    /// Device subnets beyond the inline ones.
    pub subnets: PrefixTable<SubnetValue>,
    /// Devices that have opened flows.
    pub devices: HashMap<DeviceKey, DeviceValue>,
    /// Indices of devices to come.
    pub free_devices: Vec<u32>,
    /// Names that devices may ask for, by [`crate::abi::NameKeyData`].
    pub names: PrefixTable<NameValue>,
    /// Addresses seen in answers.
    pub sightings: HashMap<SightingKey, SightingValue>,
    /// Addresses that a group may still learn.
    pub learn_quota: HashMap<u32, u32>,
    /// Counts by the number of [`LessonCount`].
    pub lesson_counts: HashMap<u32, u64>,
}

impl HostTables {
    /// Empty tables for this many devices, with the slots that `config` gives each.
    #[must_use]
    pub fn new(config: &Config, devices: u32) -> Self {
        let slots = (devices * config.flows_per_device) as usize;
        Self {
            endpoints4: HashMap::new(),
            endpoints6: HashMap::new(),
            cidrs4: PrefixTable::default(),
            cidrs6: PrefixTable::default(),
            flows4: FlowTable { flows: HashMap::new(), slots: vec![Flow4Key::default(); slots] },
            flows6: FlowTable { flows: HashMap::new(), slots: vec![Flow6Key::default(); slots] },
            ports: HashMap::new(),
            subnets: PrefixTable::default(),
            devices: HashMap::new(),
            free_devices: (0..devices).rev().collect(),
            names: PrefixTable::default(),
            sightings: HashMap::new(),
            learn_quota: HashMap::new(),
            lesson_counts: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> FlowTable<K> {
    fn insert(&mut self, key: &K, value: &FlowValue) -> bool {
        // As a kernel hash table: full is full, but what is there can be overwritten.
        if self.flows.len() >= self.slots.len() && !self.flows.contains_key(key) {
            return false;
        }
        self.flows.insert(*key, *value);
        true
    }
}

macro_rules! family_tables {
    ($family:ty, $endpoints:ident, $cidrs:ident, $flows:ident) => {
        impl FamilyTables<$family> for HostTables {
            fn endpoint(&self, key: &<$family as Family>::EndpointKey) -> Option<EndpointValue> {
                self.$endpoints.get(key).copied()
            }
            fn learn_endpoint(
                &mut self,
                key: &<$family as Family>::EndpointKey,
                group: u32,
                (rule, expires): (u32, Ticks),
            ) -> bool {
                if let Some(known) = self.$endpoints.get_mut(key) {
                    if known.expires < expires {
                        known.expires = expires;
                        known.flags |= endpoint_flags::LEARNED;
                    }
                    return true;
                }
                let share = self.learn_quota.entry(group).or_insert(0);
                if *share == 0 {
                    *self.lesson_counts.entry(LessonCount::Quota as u32).or_insert(0) += 1;
                    return false;
                }
                *share -= 1;
                self.$endpoints.insert(*key, EndpointValue { expires, rule, flags: endpoint_flags::LEARNED });
                true
            }
            fn cidr(&self, data: <$family as Family>::CidrData) -> Option<EndpointValue> {
                self.$cidrs.longest(zerocopy::IntoBytes::as_bytes(&data))
            }
            fn flow(&mut self, key: &<$family as Family>::FlowKey, received: u32) -> Option<FlowValue> {
                let known = self.$flows.flows.get_mut(key)?;
                let before = *known;
                known.received += u64::from(received);
                Some(before)
            }
            fn renew_flow(&mut self, key: &<$family as Family>::FlowKey, value: &FlowValue) -> bool {
                let Some(known) = self.$flows.flows.get_mut(key) else { return false };
                let mark = if value.mark == 0 { known.mark } else { value.mark };
                *known = FlowValue { mark, begins: known.begins, ..*value };
                true
            }
            fn refresh_flow(&mut self, key: &<$family as Family>::FlowKey, value: &FlowValue) {
                if let Some(known) = self.$flows.flows.get_mut(key) {
                    (known.last_seen, known.ends, known.state) = (value.last_seen, value.ends, value.state);
                }
            }
            fn mark_flow(&mut self, key: &<$family as Family>::FlowKey, mark: u64) {
                if let Some(known) = self.$flows.flows.get_mut(key) {
                    known.mark = mark;
                }
            }
            fn begin_stream(&mut self, key: &<$family as Family>::FlowKey, begins: u32, mark: u64) {
                if let Some(known) = self.$flows.flows.get_mut(key) {
                    (known.begins, known.mark) = (begins, mark);
                }
            }
            fn insert_flow(&mut self, key: &<$family as Family>::FlowKey, value: &FlowValue) -> bool {
                self.$flows.insert(key, value)
            }
            fn remove_flow(&mut self, key: &<$family as Family>::FlowKey) {
                self.$flows.flows.remove(key);
            }
            fn slot(&self, index: u32) -> Option<<$family as Family>::FlowKey> {
                self.$flows.slots.get(index as usize).copied()
            }
            fn free_slot(&mut self, first: u32, cursor: u32, context: &Context<'_>) -> Option<u32> {
                let run = SlotRun::new(first, cursor, context);
                (0..flows::PROBES)
                    .filter_map(|probe| run.slot(probe))
                    .find(|slot| flows::clear_slot::<$family, Self>(self, &run, *slot))
            }
            fn set_slot(&mut self, index: u32, key: &<$family as Family>::FlowKey) {
                if let Some(slot) = self.$flows.slots.get_mut(index as usize) {
                    *slot = *key;
                }
            }
        }
    };
}

family_tables!(V4, endpoints4, cidrs4, flows4);
family_tables!(V6, endpoints6, cidrs6, flows6);

impl Lessons for HostTables {
    fn walk_question(&mut self, lesson: &mut Lesson) {
        for _ in 0..MAX_NAME_STEPS {
            if !lesson.question_step() {
                break;
            }
        }
    }

    fn walk_answers(&mut self, lesson: &mut Lesson) {
        for _ in 0..MAX_STEPS {
            if !lesson.answer_step(self) {
                break;
            }
        }
    }

    fn find_name(&mut self, lesson: &mut Lesson) -> bool {
        let (bytes, group) = lesson.name_bytes_and_group();
        let (at, reversed) = lesson.reversed();
        let mut key = group.to_be_bytes().to_vec();
        key.extend(reversed.iter().skip(at).take(bytes as usize));
        key.push(0);
        match self.names.longest_within(&key) {
            Some(name) => {
                lesson.name = name;
                true
            }
            None => false,
        }
    }

    fn sight(&mut self, key: &SightingKey, lesson: &Lesson) {
        let blank = SightingValue {
            expires: 0,
            seen: 0,
            device: [0; 16],
            ttl: 0,
            name_bytes: 0,
            name: [0; SIGHTING_NAME_BYTES],
        };
        lesson.sighting(self.sightings.entry(*key).or_insert(blank));
    }

    fn count(&mut self, what: LessonCount) {
        *self.lesson_counts.entry(what as u32).or_insert(0) += 1;
    }
}

impl Tables for HostTables {
    fn port(&self, ifindex: u32) -> Option<Port> {
        self.ports.get(&ifindex).copied()
    }

    fn subnet(&self, key: &SubnetKey) -> Option<SubnetValue> {
        self.subnets.longest(zerocopy::IntoBytes::as_bytes(key))
    }

    fn claim_slots(&mut self, device: &DeviceKey, newcomer: &mut DeviceValue, slots: u32) -> Option<(u32, u32)> {
        if let Some(known) = self.devices.get_mut(device) {
            let cursor = known.cursor;
            known.cursor = cursor.wrapping_add(slots);
            known.last_seen = newcomer.last_seen;
            return Some((known.index, cursor));
        }
        let index = self.free_devices.pop()?;
        newcomer.index = index;
        self.devices.insert(*device, DeviceValue { cursor: slots, ..*newcomer });
        Some((index, 0))
    }
}

/// Keys of prefix rules as bytes, for [`PrefixTable::insert`].
pub fn cidr_bits4(prefix: u32) -> u32 {
    Cidr4Data::FIXED_BITS + prefix
}

/// As [`cidr_bits4`].
pub fn cidr_bits6(prefix: u32) -> u32 {
    Cidr6Data::FIXED_BITS + prefix
}
