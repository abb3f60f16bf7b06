//! Life of a flow: opened within the quota of its device, refreshed, ended.
//!
//! Each device owns a run of slots. A flow is opened only into a slot that is free: never used, or given to a flow that
//! has ended since. So no device can use up another's flows, and ended flows are cleared away without a daemon.

use super::Context;
use crate::abi::{DeviceKey, DeviceValue, FlowState, FlowValue, Ticks, Timeouts, flow_flags, flow_kind};
use crate::family::{Family, Flow};
use crate::packet::transport::{TCP, UDP};
use crate::packet::{Packet, ethernet};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::Reason;

/// Slots that are tried for one flow; the cursor moves on, so a retransmission tries the next ones.
const PROBES: u32 = 16;

/// First tick at which the flow has ended.
#[inline(always)]
pub fn ends_at(timeouts: &Timeouts, protocol: u8, kind: u8, value: &FlowValue) -> Ticks {
    let idle = if kind != flow_kind::TRANSPORT {
        timeouts.fragment
    } else {
        match (protocol, FlowState::from_byte(value.state)) {
            (TCP, FlowState::Opening) => timeouts.tcp_opening,
            (TCP, FlowState::Established) => timeouts.tcp_established,
            (TCP, FlowState::Closing) => timeouts.tcp_closing,
            (UDP, _) => timeouts.udp,
            _ => timeouts.icmp,
        }
    };
    value.last_seen.saturating_add(Ticks::from(idle))
}

/// The flow, when it has not ended.
#[inline(always)]
pub(super) fn alive<F: Family, T: Tables + FamilyTables<F>>(
    tables: &T,
    context: &Context<'_>,
    flow: Flow<F::Address>,
) -> Option<(F::FlowKey, FlowValue)> {
    let key = F::flow_key(flow);
    let value = FamilyTables::<F>::flow(tables, &key)?;
    let ends = ends_at(&context.config.timeouts, flow.protocol, flow.kind, &value);
    (context.now < ends).then_some((key, value))
}

/// Notes that the flow was seen, in this state. Writes at most once a second unless the state changes.
#[inline(always)]
pub(super) fn refresh<F: Family, T: Tables + FamilyTables<F>>(
    tables: &mut T,
    context: &Context<'_>,
    (key, value): (&F::FlowKey, FlowValue),
    state: FlowState,
) {
    let second = Ticks::from(context.config.ticks_per_second);
    let fresh = context.now.saturating_sub(value.last_seen) < second;
    if fresh && value.state == state as u8 {
        return;
    }
    let value = FlowValue { last_seen: context.now, state: state as u8, ..value };
    FamilyTables::<F>::update_flow(tables, key, &value);
}

/// How a flow begins.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub(super) rule: u32,
    pub(super) group: u32,
    pub(super) state: FlowState,
    pub(super) flags: u8,
}

/// Opens the flow, or begins it anew.
///
/// # Errors
///
/// [`Reason::FlowQuota`] or [`Reason::DeviceQuota`] when there is no room.
#[inline(always)]
pub(super) fn open<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    flow: Flow<F::Address>,
    opening: Opening,
) -> Result<(), Reason> {
    let key = F::flow_key(flow);
    let value = FlowValue {
        last_seen: context.now,
        created: context.now,
        rule: opening.rule,
        group: opening.group,
        state: opening.state as u8,
        flags: opening.flags,
        pad: [0; 6],
    };
    if FamilyTables::<F>::flow(tables, &key).is_some() {
        FamilyTables::<F>::update_flow(tables, &key, &value);
        return Ok(());
    }
    let mac = if opening.flags & flow_flags::INBOUND == 0 { ethernet::source_mac(packet) } else { [0; 6] };
    let newcomer = DeviceValue {
        last_seen: context.now,
        index: 0,
        cursor: 0,
        group: opening.group,
        mac,
        pad: [0; 6],
    };
    let device = DeviceKey { address: F::mapped(flow.device) };
    let (index, cursor) = tables.claim_slots(&device, &newcomer, PROBES).ok_or(Reason::DeviceQuota)?;
    let slots = context.config.flows_per_device;
    if slots == 0 {
        return Err(Reason::FlowQuota);
    }
    for probe in 0..PROBES {
        let slot = index.wrapping_mul(slots).wrapping_add(cursor.wrapping_add(probe) % slots);
        if take::<F, T>(tables, context, slot) {
            FamilyTables::<F>::set_slot(tables, slot, &key);
            let inserted = FamilyTables::<F>::insert_flow(tables, &key, &value);
            return if inserted { Ok(()) } else { Err(Reason::FlowQuota) };
        }
    }
    Err(Reason::FlowQuota)
}

/// Whether the slot is free, after clearing away what has ended in it.
#[inline(always)]
fn take<F: Family, T: Tables + FamilyTables<F>>(tables: &mut T, context: &Context<'_>, slot: u32) -> bool {
    let Some(key) = FamilyTables::<F>::slot(tables, slot) else {
        return false;
    };
    let Some(value) = FamilyTables::<F>::flow(tables, &key) else {
        return true;
    };
    let (protocol, kind) = F::protocol_and_kind(&key);
    if context.now < ends_at(&context.config.timeouts, protocol, kind, &value) {
        return false;
    }
    FamilyTables::<F>::remove_flow(tables, &key);
    true
}
