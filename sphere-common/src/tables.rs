//! The look-ups that deciding needs: BPF maps in the kernel, ordinary collections on the host.

use crate::abi::{DeviceKey, DeviceValue, EndpointValue, FlowValue, Port, SubnetKey, SubnetValue, Ticks};
use crate::abi::{LessonCount, SightingKey};
use crate::decide::{Context, lesson::Lesson};
use crate::family::{Family, V4, V6};

/// The flow slots of one device, and which of them to try.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SlotRun {
    /// Ticks now.
    pub now: Ticks,
    /// The first slot of the device.
    pub first: u32,
    /// How many it has.
    pub slots: u32,
    /// The slot to try first, modulo `slots`.
    pub cursor: u32,
    /// Zero.
    pub pad: u32,
}

impl SlotRun {
    /// The slots from `first` on, beginning with the one at `cursor`.
    #[must_use]
    #[inline(always)]
    pub const fn new(first: u32, cursor: u32, context: &Context<'_>) -> Self {
        let config = context.config;
        Self { now: context.now, first, slots: config.flows_per_device, cursor, pad: 0 }
    }

    /// The slot of the nth try.
    #[must_use]
    #[inline(always)]
    pub const fn slot(&self, probe: u32) -> Option<u32> {
        if self.slots == 0 {
            return None;
        }
        Some(self.first.wrapping_add(self.cursor.wrapping_add(probe) % self.slots))
    }
}

/// Tables of one address family.
pub trait FamilyTables<F: Family> {
    /// The exact endpoint.
    fn endpoint(&self, key: &F::EndpointKey) -> Option<EndpointValue>;
    /// Allows the endpoint for `rule` until a tick, or prolongs it: an end is raised, never lowered. A new entry counts
    /// against the share of its group; false when the share is used up or the table is full.
    fn learn_endpoint(&mut self, key: &F::EndpointKey, group: u32, rule_and_end: (u32, Ticks)) -> bool;
    /// The longest prefix that covers `data`.
    fn cidr(&self, data: F::CidrData) -> Option<EndpointValue>;
    /// The flow, as it was before so many bytes more went to its device.
    fn flow(&mut self, key: &F::FlowKey, received: u32) -> Option<FlowValue>;
    /// Begins a flow that exists anew; false when there is none. A mark of 0 leaves the mark as it is: that of a connection
    /// says what was sent on it, of which a SYN that is sent again takes nothing back.
    fn renew_flow(&mut self, key: &F::FlowKey, value: &FlowValue) -> bool;
    /// Notes of a flow that exists when it was seen, when it ends, and its state.
    fn refresh_flow(&mut self, key: &F::FlowKey, value: &FlowValue);
    /// Sets the mark of a flow that exists.
    fn mark_flow(&mut self, key: &F::FlowKey, mark: u64);
    /// Notes of a flow that exists where its stream begins, and the mark of that stream.
    fn begin_stream(&mut self, key: &F::FlowKey, begins: u32, mark: u64);
    /// Adds or overwrites a flow. False when the table is full.
    fn insert_flow(&mut self, key: &F::FlowKey, value: &FlowValue) -> bool;
    /// Removes a flow.
    fn remove_flow(&mut self, key: &F::FlowKey);
    /// The flow that a slot was given to last.
    fn slot(&self, index: u32) -> Option<F::FlowKey>;
    /// Finds a free slot of the device whose slots begin at `first`, from `cursor` on, as [`crate::decide::flows::clear_slot`] says. In the kernel the loop is a
    /// `bpf_loop`, which the verifier walks once.
    fn free_slot(&mut self, first: u32, cursor: u32, context: &Context<'_>) -> Option<u32>;
    /// Gives a slot to a flow.
    fn set_slot(&mut self, index: u32, key: &F::FlowKey);
}

/// What reading DNS needs: loops that the verifier walks once, and the tables of names and sightings.
pub trait Lessons {
    /// Takes [`Lesson::question_step`] until it says no, at most [`crate::dns::MAX_NAME_STEPS`] times.
    fn walk_question(&mut self, lesson: &mut Lesson);
    /// Takes [`Lesson::answer_step`] until it says no, at most [`crate::dns::MAX_STEPS`] times.
    fn walk_answers(&mut self, lesson: &mut Lesson);
    /// Looks the asked name up for the lesson's group and notes there what it opens. False when no rule knows it.
    fn find_name(&mut self, lesson: &mut Lesson) -> bool;
    /// Notes that an address was seen.
    fn sight(&mut self, key: &SightingKey, lesson: &Lesson);
    /// Counts.
    fn count(&mut self, what: LessonCount);
}

/// All tables.
pub trait Tables: FamilyTables<V4> + FamilyTables<V6> + Lessons {
    /// The device port with this interface index.
    fn port(&self, ifindex: u32) -> Option<Port>;
    /// The device subnet in the trie that holds this address on this port.
    fn subnet(&self, key: &SubnetKey) -> Option<SubnetValue>;
    /// Finds the device, or admits it as `newcomer` (whose index is chosen here), and moves its cursor on by `slots`.
    /// Returns its index and where the cursor was; `None` when there is no room for another device.
    fn claim_slots(&mut self, device: &DeviceKey, newcomer: &mut DeviceValue, slots: u32) -> Option<(u32, u32)>;
}
