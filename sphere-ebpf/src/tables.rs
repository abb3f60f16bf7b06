//! What the classifier asks of the kernel tables.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::{bpf_loop, bpf_map_lookup_elem};
use aya_ebpf::maps::lpm_trie::Key;
use sphere_common::abi::{
    DeviceKey, DeviceValue, EndpointValue, FlowValue, LessonCount, NameKeyData, NameValue, Port, SightingKey,
    SubnetKey, SubnetValue, Ticks, endpoint_flags,
};
use sphere_common::decide::lesson::Lesson;
use sphere_common::decide::{Context, flows};
use sphere_common::dns::{MAX_NAME_STEPS, MAX_STEPS};
use sphere_common::family::{Family, V4, V6};
use sphere_common::tables::{FamilyTables, Lessons, SlotRun, Tables};

use crate::account::increase;
use crate::maps::{
    CIDRS4, CIDRS6, DEVICES, ENDPOINTS4, ENDPOINTS6, FLOWS4, FLOWS6, FREE_DEVICES, LEARN_QUOTA, LESSON_COUNTERS, NAMES,
    PORTS, SEARCH, SIGHTING, SIGHTINGS, SLOTS4, SLOTS6, SUBNETS, workspace,
};

/// Bytes before the name in a name key: prefix length and group.
const NAME_KEY_HEAD: usize = 8;
/// Bytes of the name in a name key.
const NAME_KEY_BYTES: usize = size_of::<NameKeyData>() - 4;

/// The kernel's tables.
pub(crate) struct KernelTables;

macro_rules! family_tables {
    ($family:ty, $endpoints:ident, $cidrs:ident, $flows:ident, $slots:ident) => {
        impl FamilyTables<$family> for KernelTables {
            #[inline(always)]
            fn endpoint(&self, key: &<$family as Family>::EndpointKey) -> Option<EndpointValue> {
                // SAFETY: a torn read is at worst the old expiry beside the new rule; both were allowed.
                unsafe { $endpoints.get(key) }.copied()
            }
            #[inline(always)]
            fn learn_endpoint(
                &mut self,
                key: &<$family as Family>::EndpointKey,
                group: u32,
                (rule, expires): (u32, Ticks),
            ) -> bool {
                if let Some(known) = $endpoints.get_ptr_mut(key) {
                    // SAFETY: the pointer is to a live value of the table. Of two CPUs that raise the end at once the
                    // later may win with the earlier end; both ends are in the future.
                    unsafe {
                        if (*known).expires < expires {
                            (*known).expires = expires;
                            // Tells the daemon that this end is not its own.
                            (*known).flags |= endpoint_flags::LEARNED;
                        }
                    }
                    return true;
                }
                if !take_share(group) {
                    self.count(LessonCount::Quota);
                    return false;
                }
                let value = EndpointValue { expires, rule, flags: endpoint_flags::LEARNED };
                $endpoints.insert(key, value, 0).is_ok()
            }
            #[inline(always)]
            fn cidr(&self, data: <$family as Family>::CidrData) -> Option<EndpointValue> {
                let bits = 8 * size_of::<<$family as Family>::CidrData>() as u32;
                $cidrs.get(Key::new(bits, data)).copied()
            }
            #[inline(always)]
            fn flow(&mut self, key: &<$family as Family>::FlowKey, received: u32) -> Option<FlowValue> {
                let known = $flows.get_ptr_mut(key)?;
                // SAFETY: the pointer is to a live value of the table; a torn read mixes two states of one flow, either of
                // which allowed it. The counter is only ever added to, at once, or begun anew with the flow.
                unsafe {
                    if received != 0 {
                        increase(&raw mut (*known).received, u64::from(received));
                    }
                    Some(*known)
                }
            }
            #[inline(always)]
            fn renew_flow(&mut self, key: &<$family as Family>::FlowKey, value: &FlowValue) -> bool {
                let Some(known) = $flows.get_ptr_mut(key) else {
                    return false;
                };
                // SAFETY: the pointer is to a live value of the table. Of two CPUs that write at once each field has what
                // one of them wrote.
                unsafe {
                    (*known).last_seen = value.last_seen;
                    (*known).ends = value.ends;
                    (*known).created = value.created;
                    (*known).rule = value.rule;
                    (*known).group = value.group;
                    (*known).state = value.state;
                    (*known).flags = value.flags;
                    (*known).received = value.received;
                    if value.mark != 0 {
                        (*known).mark = value.mark;
                    }
                }
                true
            }
            #[inline(always)]
            fn refresh_flow(&mut self, key: &<$family as Family>::FlowKey, value: &FlowValue) {
                // Only what changes is written: the mark may be written from the other direction at the same time.
                if let Some(known) = $flows.get_ptr_mut(key) {
                    // SAFETY: as in `renew_flow`.
                    unsafe {
                        (*known).last_seen = value.last_seen;
                        (*known).ends = value.ends;
                        (*known).state = value.state;
                    }
                }
            }
            #[inline(always)]
            fn mark_flow(&mut self, key: &<$family as Family>::FlowKey, mark: u64) {
                if let Some(known) = $flows.get_ptr_mut(key) {
                    // SAFETY: as in `renew_flow`.
                    unsafe { (*known).mark = mark };
                }
            }
            #[inline(always)]
            fn begin_stream(&mut self, key: &<$family as Family>::FlowKey, begins: u32, mark: u64) {
                if let Some(known) = $flows.get_ptr_mut(key) {
                    // SAFETY: as in `renew_flow`.
                    unsafe {
                        (*known).begins = begins;
                        (*known).mark = mark;
                    }
                }
            }
            #[inline(always)]
            fn insert_flow(&mut self, key: &<$family as Family>::FlowKey, value: &FlowValue) -> bool {
                $flows.insert(key, value, 0).is_ok()
            }
            #[inline(always)]
            fn remove_flow(&mut self, key: &<$family as Family>::FlowKey) {
                // Another CPU or the daemon may have removed it first.
                if $flows.remove(key).is_err() {}
            }
            #[inline(always)]
            fn slot(&self, index: u32) -> Option<<$family as Family>::FlowKey> {
                $slots.get(index).copied()
            }
            #[inline(always)]
            fn free_slot(&mut self, first: u32, cursor: u32, context: &Context<'_>) -> Option<u32> {
                unsafe extern "C" fn probe(index: u32, _: *mut c_void) -> i64 {
                    let Some(search) = SEARCH.get_ptr_mut(0) else {
                        return 1;
                    };
                    // SAFETY: the pointer is to this CPU's own value, and a program is not interrupted by itself.
                    let search = unsafe { &mut *search };
                    let Some(slot) = search.run.slot(index) else {
                        return 1;
                    };
                    if flows::clear_slot::<$family, KernelTables>(&mut KernelTables, &search.run, slot) {
                        search.found = slot;
                        search.is_found = 1;
                        return 1;
                    }
                    0
                }
                search(first, cursor, context, probe)
            }
            #[inline(always)]
            fn set_slot(&mut self, index: u32, key: &<$family as Family>::FlowKey) {
                // The index was just read: it exists.
                if $slots.set(index, key, 0).is_err() {}
            }
        }
    };
}

family_tables!(V4, ENDPOINTS4, CIDRS4, FLOWS4, SLOTS4);
family_tables!(V6, ENDPOINTS6, CIDRS6, FLOWS6, SLOTS6);

impl Lessons for KernelTables {
    #[inline(always)]
    fn walk_question(&mut self, _lesson: &mut Lesson) {
        unsafe extern "C" fn step(_: u32, _: *mut c_void) -> i64 {
            let Some(workspace) = workspace() else {
                return 1;
            };
            i64::from(!workspace.lesson.question_step())
        }
        // SAFETY: the callback has the signature that the helper asks for, and takes no context.
        unsafe { bpf_loop(MAX_NAME_STEPS, step as *mut c_void, core::ptr::null_mut(), 0) };
    }

    #[inline(always)]
    fn walk_answers(&mut self, _lesson: &mut Lesson) {
        unsafe extern "C" fn step(_: u32, _: *mut c_void) -> i64 {
            let Some(workspace) = workspace() else {
                return 1;
            };
            i64::from(!workspace.lesson.answer_step(&mut KernelTables))
        }
        // SAFETY: the callback has the signature that the helper asks for, and takes no context.
        unsafe { bpf_loop(MAX_STEPS, step as *mut c_void, core::ptr::null_mut(), 0) };
    }

    #[inline(always)]
    fn find_name(&mut self, lesson: &mut Lesson) -> bool {
        let (bytes, group) = lesson.name_bytes_and_group();
        let (at, reversed) = lesson.reversed();
        // The key is built where the name lies: length and group before it, the zero behind it is there.
        let at = (at - NAME_KEY_HEAD) & 0xff;
        let Some(room) = reversed.get_mut(at..at + NAME_KEY_HEAD + NAME_KEY_BYTES) else {
            return false;
        };
        let bits = 32 + 8 * (bytes + 1);
        let key = room.as_mut_ptr();
        // SAFETY: the room holds a whole key; the map copies it and what it finds is copied before anything changes it.
        unsafe {
            key.cast::<[u8; 4]>().write(bits.to_ne_bytes());
            key.add(4).cast::<[u8; 4]>().write(group.to_be_bytes());
            let found = bpf_map_lookup_elem((&raw const NAMES).cast_mut().cast(), key.cast());
            if found.is_null() {
                return false;
            }
            lesson.name = *found.cast::<NameValue>();
        }
        true
    }

    #[inline(always)]
    fn sight(&mut self, key: &SightingKey, lesson: &Lesson) {
        let Some(room) = SIGHTING.get_ptr_mut(0) else {
            return;
        };
        // SAFETY: the pointer is to this CPU's own value, and a program is not interrupted by itself.
        let room = unsafe { &mut *room };
        lesson.sighting(room);
        // Sightings only explain: one that finds no room is not missed by any packet.
        if SIGHTINGS.insert(key, &*room, 0).is_err() {
            self.count(LessonCount::Unsighted);
        }
    }

    #[inline(always)]
    fn count(&mut self, what: LessonCount) {
        if let Some(count) = LESSON_COUNTERS.get_ptr_mut(what as u32) {
            // SAFETY: the pointer is to this CPU's own value, and a program is not interrupted by itself.
            unsafe { *count += 1 };
        }
    }
}

/// Takes one address from the share of a group; the daemon gives it back when it removes an entry.
#[inline(always)]
fn take_share(group: u32) -> bool {
    match LEARN_QUOTA.get_ptr_mut(group) {
        // SAFETY: the pointer is to a live value of the array. Two CPUs may take the same share: the bound is off by as
        // many as there are CPUs, and set right by the daemon.
        Some(share) => unsafe {
            let left = *share;
            if left == 0 {
                return false;
            }
            *share = left - 1;
            true
        },
        None => false,
    }
}

impl Tables for KernelTables {
    #[inline(always)]
    fn port(&self, ifindex: u32) -> Option<Port> {
        // SAFETY: the value is four bytes, written whole.
        unsafe { PORTS.get(ifindex) }.copied()
    }

    #[inline(always)]
    fn subnet(&self, key: &SubnetKey) -> Option<SubnetValue> {
        SUBNETS.get(Key::new(8 * size_of::<SubnetKey>() as u32, *key)).copied()
    }

    #[inline(always)]
    fn claim_slots(&mut self, device: &DeviceKey, newcomer: &mut DeviceValue, slots: u32) -> Option<(u32, u32)> {
        if let Some(claimed) = claim(device, newcomer, slots) {
            return Some(claimed);
        }
        newcomer.index = FREE_DEVICES.pop().ok()??;
        if DEVICES.insert(device, &*newcomer, u64::from(BPF_NOEXIST)).is_err() {
            // Another CPU admitted it first, or the table is full: give the index back.
            if FREE_DEVICES.push(newcomer.index, 0).is_err() {}
        }
        claim(device, newcomer, slots)
    }
}

/// Calls `probe` until it finds a slot.
#[inline(always)]
fn search(
    first: u32,
    cursor: u32,
    context: &Context<'_>,
    probe: unsafe extern "C" fn(u32, *mut c_void) -> i64,
) -> Option<u32> {
    let state = SEARCH.get_ptr_mut(0)?;
    // SAFETY: the pointer is to this CPU's own value, and a program is not interrupted by itself.
    unsafe {
        (*state).run = SlotRun::new(first, cursor, context);
        (*state).is_found = 0;
        bpf_loop(flows::PROBES, probe as *mut c_void, core::ptr::null_mut(), 0);
    }
    let state = SEARCH.get(0)?;
    (state.is_found != 0).then_some(state.found)
}

/// Moves the cursor of a known device on.
#[inline(always)]
fn claim(device: &DeviceKey, newcomer: &DeviceValue, slots: u32) -> Option<(u32, u32)> {
    let known = DEVICES.get_ptr_mut(device)?;
    // SAFETY: the pointer is to a live value of the table. Two CPUs that move the cursor at once may try the same
    // slots; the flow table itself stays consistent, and at worst one slot is used twice.
    unsafe {
        let cursor = (*known).cursor;
        (*known).cursor = cursor.wrapping_add(slots);
        (*known).last_seen = newcomer.last_seen;
        Some(((*known).index, cursor))
    }
}
