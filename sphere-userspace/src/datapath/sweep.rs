//! Takes away what has ended: flows idle beyond their time-out, devices without flows, and sightings where room is short.
//!
//! The programs pay no heed to entries that have ended, so this only keeps the tables small. What came to life since
//! it was seen idle stays.

use std::collections::HashSet;

use sphere_common::abi::{DeviceKey, DeviceValue, Flow4Key, Flow6Key, FlowValue, Ticks, Timeouts};
use sphere_common::decide::flows::idle;
use zerocopy::IntoBytes;

use super::config;
use super::error::DatapathError;
use super::maps::Maps;
use super::monotonic::wait_for_programs;
use super::table::{Plain, Table};

/// Ticks per second times this: how long a device without flows keeps its number.
const DEVICE_IDLE_SECONDS: u64 = 600;

/// What a sweep found and took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Flows that are open.
    pub flows: usize,
    /// Flows taken away.
    pub ended_flows: usize,
    /// Devices that are known.
    pub devices: usize,
    /// Devices taken away.
    pub gone_devices: usize,
    /// Sightings taken away.
    pub ended_sightings: usize,
}

/// What a flow key says of its life.
trait FlowKey: Plain {
    fn protocol(&self) -> u8;
    fn kind(&self) -> u8;
    fn peer_port_be(&self) -> u16;
    fn device(&self) -> [u8; 16];
}

impl FlowKey for Flow4Key {
    fn protocol(&self) -> u8 {
        self.protocol
    }

    fn kind(&self) -> u8 {
        self.kind
    }

    fn peer_port_be(&self) -> u16 {
        u16::from_ne_bytes(self.peer_port_be)
    }

    fn device(&self) -> [u8; 16] {
        std::net::Ipv4Addr::from(self.device).to_ipv6_mapped().octets()
    }
}

impl FlowKey for Flow6Key {
    fn protocol(&self) -> u8 {
        self.protocol
    }

    fn kind(&self) -> u8 {
        self.kind
    }

    fn peer_port_be(&self) -> u16 {
        u16::from_ne_bytes(self.peer_port_be)
    }

    fn device(&self) -> [u8; 16] {
        self.device
    }
}

/// Sweeps every table.
pub(super) fn sweep(maps: &Maps, now: Ticks) -> Result<Swept, DatapathError> {
    let config = config::in_force(maps)?;
    let mut swept = Swept::default();
    let mut busy = HashSet::new();
    sweep_flows(&maps.flows4, (now, &config.timeouts), &mut busy, &mut swept)?;
    sweep_flows(&maps.flows6, (now, &config.timeouts), &mut busy, &mut swept)?;
    let idle_ticks = DEVICE_IDLE_SECONDS * u64::from(config.ticks_per_second);
    sweep_devices(maps, now.saturating_sub(idle_ticks), &busy, &mut swept)?;
    swept.ended_sightings = sweep_sightings(maps, now)?;
    Ok(swept)
}

/// Takes away sightings that have ended, when half of the room is taken: until then they explain what was allowed lately.
fn sweep_sightings(maps: &Maps, now: Ticks) -> Result<usize, DatapathError> {
    let table = &maps.sightings;
    let (mut all, mut ended) = (0, Vec::new());
    table.visit(|key, sighting| {
        all += 1;
        if sighting.expires <= now {
            ended.push(*key);
        }
    })?;
    if 2 * all <= table.shape().capacity as usize {
        return Ok(0);
    }
    let mut taken = 0;
    for key in ended {
        if table.lookup(&key)?.is_some_and(|sighting| sighting.expires <= now) {
            taken += usize::from(table.remove(&key)?);
        }
    }
    Ok(taken)
}

fn sweep_flows<K: FlowKey>(
    table: &Table<K, FlowValue>,
    (now, timeouts): (Ticks, &Timeouts),
    busy: &mut HashSet<[u8; 16]>,
    swept: &mut Swept,
) -> Result<(), DatapathError> {
    let mut ended = Vec::new();
    let has_ended = |key: &K, flow: &FlowValue| {
        now.saturating_sub(flow.last_seen)
            > idle(timeouts, (key.protocol(), key.kind(), key.peer_port_be()), flow.state)
    };
    table.visit(|key, flow| {
        if has_ended(key, flow) {
            ended.push(*key);
        } else {
            swept.flows += 1;
            busy.insert(key.device());
        }
    })?;
    for key in ended {
        match table.lookup(&key)? {
            Some(flow) if has_ended(&key, &flow) => swept.ended_flows += usize::from(table.remove(&key)?),
            Some(_) => {
                swept.flows += 1;
                busy.insert(key.device());
            }
            None => {}
        }
    }
    Ok(())
}

fn sweep_devices(
    maps: &Maps,
    idle_since: Ticks,
    busy: &HashSet<[u8; 16]>,
    swept: &mut Swept,
) -> Result<(), DatapathError> {
    let idle = |key: &DeviceKey, device: &DeviceValue| device.last_seen <= idle_since && !busy.contains(&key.address);
    let mut gone = Vec::new();
    maps.devices.visit(|key, device| {
        swept.devices += 1;
        if idle(key, device) {
            gone.push(*key);
        }
    })?;
    let mut free = Vec::new();
    for key in gone {
        match maps.devices.lookup(&key)? {
            Some(device) if idle(&key, &device) && maps.devices.remove(&key)? => free.push(device.index),
            _ => {}
        }
    }
    if free.is_empty() {
        return Ok(());
    }
    // A program that had found the device before it was removed may still write into its slots.
    wait_for_programs();
    swept.gone_devices = free.len();
    swept.devices -= free.len();
    for index in free {
        empty_slots(&maps.slots4, maps, index)?;
        empty_slots(&maps.slots6, maps, index)?;
        maps.free_devices.update(&[], index.as_bytes(), 0).map_err(|source| DatapathError::Map {
            map: sphere_common::abi::map::FREE_DEVICES,
            operation: "insertion",
            source,
        })?;
    }
    Ok(())
}

fn empty_slots<K: Plain>(slots: &Table<u32, K>, maps: &Maps, device: u32) -> Result<(), DatapathError> {
    let room = slots.shape().capacity / maps.devices.shape().capacity.max(1);
    let indices: Vec<u32> = (device * room..(device + 1) * room).collect();
    slots.insert_all(&indices, &vec![K::new_zeroed(); indices.len()])
}
