//! Carries the contents of one set of maps over to another, of other sizes: after a change of the limits, or of the
//! layout.
//!
//! Values may have grown or shrunk at their end: their common part is carried, the rest is zero. (So the layout may
//! only ever grow at the end, and zero must mean what was before.) Keys must be the same. What does not fit, the
//! oldest of it, stays behind; the reconciler puts in place what is wanted.

use std::collections::{BTreeMap, HashSet};
use std::io;

use sphere_common::abi::{self, DeviceKey, DeviceValue};
use zerocopy::{FromBytes, IntoBytes};

use super::error::DatapathError;
use super::maps::Maps;
use super::raw_map::RawMap;
use super::sys;

/// Tables that are carried entry by entry.
const PLAIN: [&str; 21] = [
    abi::map::CONFIG,
    abi::map::ACTIVE,
    abi::map::PORTS,
    abi::map::SUBNETS,
    abi::map::ENDPOINTS4,
    abi::map::ENDPOINTS6,
    abi::map::CIDRS4,
    abi::map::CIDRS6,
    abi::map::RULE_LABELS,
    abi::map::GROUP_LABELS,
    abi::map::COUNTERS,
    abi::map::RULE_COUNTERS,
    abi::map::NAMES,
    abi::map::SIGHTINGS,
    abi::map::LEARN_QUOTA,
    abi::map::LESSON_COUNTERS,
    abi::map::DENIED,
    abi::map::DENIED_OTHERS,
    abi::map::DENIED_OPENED,
    abi::map::DENIED_CLOSED,
    abi::map::DENIED_LOST,
];

/// Flows and the slots that hold them, per family.
const FLOWS: [(&str, &str); 2] = [(abi::map::FLOWS4, abi::map::SLOTS4), (abi::map::FLOWS6, abi::map::SLOTS6)];

/// Fills new maps from old ones; `old` finds the old map of a name.
pub(super) fn carry(old: impl Fn(&str) -> Option<RawMap>, new: &Maps) -> Result<(), DatapathError> {
    for name in PLAIN {
        if let (Some(from), Some(to)) = (old(name), new.raw(name)) {
            copy(&from, to).map_err(failed(name))?;
        }
    }
    let Some(devices) = old(abi::map::DEVICES) else { return fill_free_devices(new, &HashSet::new()) };
    let moved = move_devices(&devices, new)?;
    for (flows, slots) in FLOWS {
        if let (Some(flows_from), Some(slots_from)) = (old(flows), old(slots)) {
            let old_room = slots_from.shape().capacity / devices.shape().capacity.max(1);
            move_flows(
                &Source { flows: &flows_from, slots: &slots_from, room: old_room },
                &moved,
                new,
                (flows, slots),
            )?;
        }
    }
    fill_free_devices(new, &moved.values().copied().collect())
}

/// Flows that the old programs wrote while [`carry`] ran, to be called once the new programs are in force.
pub(super) fn carry_late(old: impl Fn(&str) -> Option<RawMap>, new: &Maps) -> Result<(), DatapathError> {
    for (name, _) in FLOWS {
        let (Some(from), Some(to)) = (old(name), new.raw(name)) else { continue };
        let (mut key_bytes, stride) = (from.shape().key_bytes as usize, from.value_stride());
        key_bytes = key_bytes.max(1);
        if from.shape().key_bytes != to.shape().key_bytes {
            continue;
        }
        let dump = from.dump().map_err(failed("FLOWS"))?;
        for (key, value) in dump.keys.chunks_exact(key_bytes).zip(dump.values.chunks_exact(stride)) {
            // A flow that is there already is newer; without a slot it ends by its own time-out.
            match to.update(key, &resized(value, to.value_stride()), sys::NO_EXIST) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::EEXIST | libc::E2BIG)) => {}
                other => other.map_err(failed("FLOWS"))?,
            }
        }
    }
    Ok(())
}

/// Makes every device number but these free.
pub(super) fn fill_free_devices(new: &Maps, used: &HashSet<u32>) -> Result<(), DatapathError> {
    for index in (0..new.free_devices.shape().capacity).filter(|index| !used.contains(index)) {
        new.free_devices.update(&[], index.as_bytes(), 0).map_err(failed(abi::map::FREE_DEVICES))?;
    }
    Ok(())
}

fn copy(from: &RawMap, to: &RawMap) -> io::Result<()> {
    let (old, new) = (from.shape(), to.shape());
    // A per-CPU value cannot be told from its neighbours once its size has changed.
    let per_cpu = from.value_stride() != old.value_bytes as usize;
    if old.kind != new.kind || old.key_bytes != new.key_bytes || (per_cpu && from.value_stride() != to.value_stride()) {
        return Ok(());
    }
    let (key_bytes, old_stride, new_stride) = (old.key_bytes as usize, from.value_stride(), to.value_stride());
    let mut dump = from.dump()?;
    let fitting = (dump.keys.len() / key_bytes.max(1)).min(new.capacity as usize);
    dump.keys.truncate(fitting * key_bytes);
    dump.values.truncate(fitting * old_stride);
    if old_stride != new_stride {
        dump.values = dump.values.chunks_exact(old_stride).flat_map(|value| resized(value, new_stride)).collect();
    }
    to.update_all(&dump.keys, &dump.values, 0)
}

/// The devices seen last that fit, with numbers below the new capacity. Gives back address → new number, old number
/// kept apart in the key.
fn move_devices(from: &RawMap, new: &Maps) -> Result<BTreeMap<([u8; 16], u32), u32>, DatapathError> {
    let dump = from.dump().map_err(failed(abi::map::DEVICES))?;
    let pairs = dump.keys.chunks_exact(size_of::<DeviceKey>()).zip(dump.values.chunks_exact(from.value_stride()));
    let read = |(key, value): (&[u8], &[u8])| {
        let value = resized(value, size_of::<DeviceValue>());
        Some((DeviceKey::read_from_bytes(key).ok()?, DeviceValue::read_from_bytes(&value).ok()?))
    };
    let mut devices: Vec<(DeviceKey, DeviceValue)> = pairs.filter_map(read).collect();
    devices.sort_by_key(|(_, value)| std::cmp::Reverse(value.last_seen));
    let capacity = new.devices.shape().capacity;
    devices.truncate(capacity as usize);

    let mut taken: HashSet<u32> =
        devices.iter().map(|(_, value)| value.index).filter(|index| *index < capacity).collect();
    let mut spare = 0..capacity;
    let mut moved = BTreeMap::new();
    for (key, value) in &mut devices {
        let old = value.index;
        if old >= capacity {
            let Some(index) = spare.find(|index| !taken.contains(index)) else { continue };
            taken.insert(index);
            value.index = index;
        }
        value.cursor = 0;
        moved.insert((key.address, old), value.index);
    }
    let (keys, values): (Vec<_>, Vec<_>) = devices.into_iter().unzip();
    new.devices.insert_all(&keys, &values)?;
    Ok(moved)
}

struct Source<'a> {
    flows: &'a RawMap,
    slots: &'a RawMap,
    /// Slots of each device.
    room: u32,
}

/// Lays the slots of each device out anew, and takes along the flows that have one.
fn move_flows(
    source: &Source<'_>,
    moved: &BTreeMap<([u8; 16], u32), u32>,
    new: &Maps,
    (flows, slots): (&'static str, &'static str),
) -> Result<(), DatapathError> {
    let (Some(flows_to), Some(slots_to)) = (new.raw(flows), new.raw(slots)) else { return Ok(()) };
    let room = slots_to.shape().capacity / new.devices.shape().capacity.max(1);
    let key_bytes = source.flows.shape().key_bytes as usize;
    if key_bytes != flows_to.shape().key_bytes as usize {
        return Ok(());
    }
    let old_flows = source.flows.dump().map_err(failed(flows))?;
    let stride = source.flows.value_stride();
    let pairs = old_flows.keys.chunks_exact(key_bytes).zip(old_flows.values.chunks_exact(stride));
    let by_key: BTreeMap<&[u8], &[u8]> = pairs.collect();
    let old_slots = source.slots.dump().map_err(failed(slots))?;
    let slot_keys: Vec<&[u8]> = old_slots.values.chunks_exact(key_bytes).collect();

    let (mut keys, mut values, mut indices, mut slot_values) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((_, old), index) in moved {
        let first = *old as usize * source.room as usize;
        let own = slot_keys.get(first..first + source.room as usize).unwrap_or_default();
        let live = own.iter().filter_map(|key| Some((*key, *by_key.get(key)?))).take(room as usize);
        for (slot, (key, value)) in (index * room..).zip(live) {
            keys.extend_from_slice(key);
            values.extend(resized(value, flows_to.value_stride()));
            indices.extend_from_slice(slot.as_bytes());
            slot_values.extend_from_slice(key);
        }
    }
    if !keys.is_empty() {
        flows_to.update_all(&keys, &values, 0).map_err(failed(flows))?;
        slots_to.update_all(&indices, &slot_values, 0).map_err(failed(slots))?;
    }
    Ok(())
}

/// The value at another size: cut, or filled with zeros.
fn resized(value: &[u8], bytes: usize) -> Vec<u8> {
    let mut value = value.to_vec();
    value.resize(bytes, 0);
    value
}

fn failed(map: &'static str) -> impl Fn(io::Error) -> DatapathError {
    move |source| DatapathError::Map { map, operation: "carrying over", source }
}
