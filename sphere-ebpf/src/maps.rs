//! The kernel tables. Sizes here are placeholders: the daemon sets them from the policy.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, PerCpuArray, Queue, RingBuf};
use sphere_common::abi::{
    COUNTER_SLOTS, Cidr4Data, Cidr6Data, Clock, Config, Counter, DeviceKey, DeviceValue, Endpoint4Key, Endpoint6Key,
    EndpointValue, EventBudget, Flow4Key, Flow6Key, FlowValue, GroupLabel, LessonCount, MAX_GROUPS, NameKeyData,
    NameValue, Port, RuleLabel, SightingKey, SightingValue, SubnetKey, SubnetValue,
};
use sphere_common::decide::Workspace;
use sphere_common::tables::SlotRun;

/// Room for entries until the daemon says otherwise.
const PLACEHOLDER: u32 = 1024;
const SUBNETS_MAX: u32 = 1024;
const PORTS_MAX: u32 = 256;
/// A power of two, and a multiple of the page size.
const EVENTS_BYTES: u32 = 1 << 20;

#[map]
pub(crate) static CONFIG: Array<Config> = Array::with_max_entries(2, 0);
#[map]
pub(crate) static ACTIVE: Array<u32> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static PORTS: HashMap<u32, Port> = HashMap::with_max_entries(PORTS_MAX, 0);
#[map]
pub(crate) static SUBNETS: LpmTrie<SubnetKey, SubnetValue> = LpmTrie::with_max_entries(SUBNETS_MAX, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static ENDPOINTS4: HashMap<Endpoint4Key, EndpointValue> = HashMap::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static ENDPOINTS6: HashMap<Endpoint6Key, EndpointValue> = HashMap::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static CIDRS4: LpmTrie<Cidr4Data, EndpointValue> = LpmTrie::with_max_entries(PLACEHOLDER, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static CIDRS6: LpmTrie<Cidr6Data, EndpointValue> = LpmTrie::with_max_entries(PLACEHOLDER, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static FLOWS4: HashMap<Flow4Key, FlowValue> = HashMap::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static FLOWS6: HashMap<Flow6Key, FlowValue> = HashMap::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static SLOTS4: Array<Flow4Key> = Array::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static SLOTS6: Array<Flow6Key> = Array::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static DEVICES: HashMap<DeviceKey, DeviceValue> = HashMap::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static FREE_DEVICES: Queue<u32> = Queue::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(COUNTER_SLOTS, 0);
#[map]
pub(crate) static RULE_COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(EVENTS_BYTES, 0);
#[map]
pub(crate) static EVENT_BUDGET: PerCpuArray<EventBudget> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static CLOCK: Array<Clock> = Array::with_max_entries(1, 0);
/// Read by people only, kept here so that it lives as long as the rules.
#[map]
static RULE_LABELS: Array<RuleLabel> = Array::with_max_entries(PLACEHOLDER, 0);
/// Read by people only, kept here so that it lives as long as the groups.
#[map]
static GROUP_LABELS: Array<GroupLabel> = Array::with_max_entries(MAX_GROUPS, 0);

#[map]
pub(crate) static NAMES: LpmTrie<NameKeyData, NameValue> = LpmTrie::with_max_entries(PLACEHOLDER, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static SIGHTINGS: HashMap<SightingKey, SightingValue> = HashMap::with_max_entries(PLACEHOLDER, 0);
#[map]
pub(crate) static LEARN_QUOTA: Array<u32> = Array::with_max_entries(MAX_GROUPS, 0);
#[map]
pub(crate) static LESSON_COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(LessonCount::ALL.len() as u32, 0);
/// Where a sighting is put together.
#[map]
pub(crate) static SIGHTING: PerCpuArray<SightingValue> = PerCpuArray::with_max_entries(1, 0);

/// The configuration in force.
#[inline(always)]
pub(crate) fn config() -> Option<&'static Config> {
    let active = *ACTIVE.get(0)?;
    CONFIG.get(active & 1)
}

/// What is known of the packet in hand.
#[map]
pub(crate) static WORKSPACE: PerCpuArray<Workspace> = PerCpuArray::with_max_entries(1, 0);

/// The workspace of this CPU.
#[inline(always)]
pub(crate) fn workspace() -> Option<&'static mut Workspace> {
    let workspace = WORKSPACE.get_ptr_mut(0)?;
    // SAFETY: the pointer is to this CPU's own value, and a program is not interrupted by itself. All zero bytes are a
    // valid workspace, as every enum in it has a variant 0.
    Some(unsafe { &mut *workspace })
}

/// A search for a free slot. It lives in a map because verifiers before kernel 6.7 assume that a callback runs at
/// most once, and delete what then looks dead on the stack.
#[repr(C)]
pub(crate) struct Search {
    pub(crate) run: SlotRun,
    pub(crate) found: u32,
    pub(crate) is_found: u32,
}

#[map]
pub(crate) static SEARCH: PerCpuArray<Search> = PerCpuArray::with_max_entries(1, 0);
