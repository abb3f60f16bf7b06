//! Life of a flow: opened within the quota of its device, refreshed, ended.
//!
//! Each device owns a run of slots. A flow is opened only into a slot that is free: never used, or given to a flow that
//! has ended since. So no device can use up another's flows, and ended flows are cleared away without a daemon.

use super::Context;
use super::case::Case;
use super::policy::{DNS_BE, Outcome};
use crate::abi::{DeviceKey, DeviceValue, FlowState, Ticks, Timeouts, flow_flags, flow_kind};
use crate::family::Family;
use crate::packet::transport::{TCP, UDP};
use crate::packet::{Packet, ethernet};
use crate::tables::{FamilyTables, SlotRun, Tables};
use crate::verdict::Reason;

/// Slots that are tried for one flow; the cursor moves on, so a retransmission tries the next ones.
pub const PROBES: u32 = 16;

/// How long a flow may be idle, in ticks, by what it is and its state.
///
/// Datagrams to a resolver are queries: each mostly has a port of its own, and would take a slot for as long as a
/// conversation.
#[must_use]
#[inline(always)]
pub fn idle(timeouts: &Timeouts, (protocol, kind, peer_port_be): (u8, u8, u16), state: u8) -> Ticks {
    let idle = if kind == flow_kind::QUERY {
        timeouts.query
    } else if kind != flow_kind::TRANSPORT {
        timeouts.fragment
    } else {
        match (protocol, FlowState::from_byte(state)) {
            (TCP, FlowState::Opening) => timeouts.tcp_opening,
            (TCP, FlowState::Established) => timeouts.tcp_established,
            (TCP, FlowState::Closing | FlowState::Refused) => timeouts.tcp_closing,
            (UDP, _) if peer_port_be == DNS_BE => timeouts.query,
            (UDP, _) => timeouts.udp,
            _ => timeouts.icmp,
        }
    };
    Ticks::from(idle)
}

/// Finds the flow of the case, when it has not ended, and notes its entry there. The first flow that is found has the
/// packet counted.
// A frame of its own: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn find<F: Family, T: Tables + FamilyTables<F>>(
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
) -> bool {
    let key = F::flow_key(case.flow);
    let Some(found) = FamilyTables::<F>::flow(tables, &key, case.uncounted) else {
        return false;
    };
    case.known = found;
    if context.now >= found.ends {
        return false;
    }
    case.uncounted = 0;
    true
}

/// Notes that the known flow was seen, in this state. Writes at most once a second unless the state changes.
#[inline(always)]
pub(super) fn refresh<F: Family, T: Tables + FamilyTables<F>>(
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
    state: FlowState,
) {
    let second = Ticks::from(context.config.ticks_per_second);
    let fresh = context.now.saturating_sub(case.known.last_seen) < second;
    if !fresh || case.known.state != state as u8 {
        case.known.last_seen = context.now;
        case.known.state = state as u8;
        write::<F, T>(tables, context, case);
    }
}

#[inline(never)]
fn write<F: Family, T: Tables + FamilyTables<F>>(tables: &mut T, context: &Context<'_>, case: &mut Case<F>) {
    set_end(context, case);
    FamilyTables::<F>::refresh_flow(tables, &F::flow_key(case.flow), &case.known);
}

/// Sets the mark of the known flow.
#[inline(never)]
pub(super) fn mark<F: Family, T: Tables + FamilyTables<F>>(tables: &mut T, case: &mut Case<F>, mark: u64) {
    case.known.mark = mark;
    FamilyTables::<F>::mark_flow(tables, &F::flow_key(case.flow), mark);
}

/// Notes where the stream of the known flow begins.
#[inline(never)]
pub(super) fn begin<F: Family, T: Tables + FamilyTables<F>>(
    tables: &mut T,
    case: &mut Case<F>,
    (begins, mark): (u32, u64),
) {
    FamilyTables::<F>::begin_stream(tables, &F::flow_key(case.flow), begins, mark);
}

/// Notes when the known flow ends unless it is seen before.
#[inline(always)]
fn set_end<F: Family>(context: &Context<'_>, case: &mut Case<F>) {
    let what = (case.flow.protocol, case.flow.kind, case.flow.peer_port_be);
    let idle = idle(&context.config.timeouts, what, case.known.state);
    case.known.ends = case.known.last_seen.saturating_add(idle);
}

/// Whether a flow could be opened.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Opened {
    /// It is there.
    Yes,
    /// The device has no free slot, or the table is full.
    FlowQuota,
    /// There is no room for another device.
    DeviceQuota,
}

impl Opened {
    /// The outcome of a packet whose flow could not be opened.
    #[inline(always)]
    pub(super) const fn denial(self) -> Outcome {
        match self {
            Self::Yes | Self::FlowQuota => Outcome::deny(Reason::FlowQuota),
            Self::DeviceQuota => Outcome::deny(Reason::DeviceQuota),
        }
    }
}

/// Opens the flow of the case with the entry that is noted there, or begins it anew.
// A frame of its own: BPF programs have 512 bytes of stack in all, and this is the rare path.
#[inline(never)]
pub(super) fn open<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    packet: &P,
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
) -> Opened {
    set_end(context, case);
    let key = F::flow_key(case.flow);
    if FamilyTables::<F>::renew_flow(tables, &key, &case.known) {
        return Opened::Yes;
    }
    let Some((index, cursor)) = claim_slots::<F, P, T>(packet, tables, context, case) else {
        return Opened::DeviceQuota;
    };
    let first = index.wrapping_mul(context.config.flows_per_device);
    let Some(slot) = FamilyTables::<F>::free_slot(tables, first, cursor, context) else {
        return Opened::FlowQuota;
    };
    FamilyTables::<F>::set_slot(tables, slot, &key);
    if FamilyTables::<F>::insert_flow(tables, &key, &case.known) { Opened::Yes } else { Opened::FlowQuota }
}

#[inline(always)]
fn claim_slots<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    packet: &P,
    tables: &mut T,
    context: &Context<'_>,
    case: &Case<F>,
) -> Option<(u32, u32)> {
    let from_device = case.known.flags & flow_flags::INBOUND == 0;
    let mac = if from_device { ethernet::source_mac(packet) } else { [0; 6] };
    let group = case.group.group;
    let mut newcomer = DeviceValue { last_seen: context.now, index: 0, cursor: 0, group, mac, pad: [0; 6] };
    let address = F::mapped(case.flow.device);
    tables.claim_slots(&DeviceKey { address: zerocopy::transmute!(address) }, &mut newcomer, PROBES)
}

/// Whether the slot is free, after clearing away what has ended in it.
#[inline(always)]
pub fn clear_slot<F: Family, T: FamilyTables<F>>(tables: &mut T, run: &SlotRun, slot: u32) -> bool {
    let Some(key) = tables.slot(slot) else {
        return false;
    };
    let Some(value) = tables.flow(&key, 0) else {
        return true;
    };
    if run.now < value.ends {
        return false;
    }
    tables.remove_flow(&key);
    true
}
