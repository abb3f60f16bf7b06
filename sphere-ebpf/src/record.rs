//! Exact counters for every packet, and a bounded stream of samples of denials.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use sphere_common::abi::{Counter, EVENT_HEAD_BYTES, Event, counter_index};
use sphere_common::decide::{Context, Decision};
use sphere_common::verdict::{Direction, Reason, Verdict};

use crate::errand::Rewrite;
use crate::maps;

/// Wakes the reader only when a quarter of the ring is waiting; it also looks by itself a few times a second.
const WAKE_BYTES: u64 = 256 << 10;
const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;

/// Counts the decision, and samples it when it is a denial that is worth one.
#[inline(always)]
pub(crate) fn record<S: Rewrite>(
    (source, frame_bytes): (&S, u32),
    context: &Context<'_>,
    direction: Direction,
    decision: &Decision,
) {
    count(maps::COUNTERS.get_ptr_mut(counter_index(direction, decision.verdict, decision.reason)), frame_bytes);
    if decision.rule != 0 {
        count(maps::RULE_COUNTERS.get_ptr_mut(decision.rule), frame_bytes);
    }
    match decision.verdict {
        Verdict::Pass => {}
        Verdict::Audit | Verdict::Deny if decision.reason.is_quiet() => {}
        Verdict::Audit | Verdict::Deny => sample((source, frame_bytes), context, direction, decision),
    }
}

/// Counts a frame that the gateway itself sends to a device.
#[inline(always)]
pub(crate) fn released(bytes: u32) {
    count(maps::COUNTERS.get_ptr_mut(counter_index(Direction::Egress, Verdict::Pass, Reason::Released)), bytes);
}

#[inline(always)]
fn count(counter: Option<*mut Counter>, bytes: u32) {
    if let Some(counter) = counter {
        // SAFETY: the pointer is to this CPU's own value, and a program is not interrupted by itself.
        unsafe {
            (*counter).packets += 1;
            (*counter).bytes += u64::from(bytes);
        }
    }
}

#[inline(never)]
fn sample<S: Rewrite>(
    (source, frame_bytes): (&S, u32),
    context: &Context<'_>,
    direction: Direction,
    decision: &Decision,
) {
    let Some(budget) = maps::EVENT_BUDGET.get_ptr_mut(0) else {
        return;
    };
    let second = context.now / u64::from(context.config.ticks_per_second.max(1));
    // SAFETY: the pointer is to this CPU's own value, and a program is not interrupted by itself.
    let budget = unsafe { &mut *budget };
    if budget.second != second {
        budget.second = second;
        budget.used = 0;
    }
    if budget.used >= u64::from(context.config.events_per_second) {
        budget.refused += 1;
        return;
    }
    let Some(mut entry) = maps::EVENTS.reserve::<Event>(0) else {
        budget.lost += 1;
        return;
    };
    budget.used += 1;
    budget.sent += 1;
    // SAFETY: the entry is room for one event; every field is written below, of `head` what `head_bytes` says.
    let event = unsafe { &mut *entry.as_mut_ptr() };
    let subject = &decision.subject;
    // SAFETY: the helper takes no argument and touches no memory.
    event.monotonic_ns = unsafe { bpf_ktime_get_ns() };
    event.device = subject.device_bytes();
    event.peer = subject.peer_bytes();
    event.ifindex = context.ifindex;
    event.group = decision.group;
    event.frame_bytes = frame_bytes;
    event.device_port_be = subject.device_port_be.to_ne_bytes();
    event.peer_port_be = subject.peer_port_be.to_ne_bytes();
    event.ethertype_be = subject.ethertype_be.to_ne_bytes();
    event.vlan = subject.vlan;
    event.protocol = subject.protocol;
    event.reason = decision.reason as u8;
    event.verdict = decision.verdict as u8;
    event.direction = direction as u8;
    event.pad = [0; 4];
    // Read back from memory: the verifier forgets how the length came about, which differs between the ways that lead here.
    // SAFETY: the field was written above.
    let bytes = unsafe { core::ptr::read_volatile(&raw const event.frame_bytes) };
    event.head_bytes = copy_head((source, bytes), &mut event.head);
    let waiting = maps::EVENTS.query(BPF_RB_AVAIL_DATA);
    entry.submit(if waiting > WAKE_BYTES { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP });
}

/// Copies the first bytes of the frame and says how many; 0 when the kernel refuses.
#[inline(always)]
fn copy_head<S: Rewrite>((source, frame_bytes): (&S, u32), head: &mut [u8; EVENT_HEAD_BYTES]) -> u16 {
    let mut bytes = u64::from(frame_bytes);
    // The smaller of both and at least 1 (every frame has a header), out of the compiler's sight: it would compare a
    // copy, of which the verifier learns nothing about the length itself. Verifiers before 6.3 learn nothing from "not 0"
    // either, and refuse a length that may be.
    // SAFETY: comparisons and assignments of a register.
    unsafe {
        core::arch::asm!("if {bytes} <= {most} goto +1", "{bytes} = {most}",
            "if {bytes} > 0 goto +1", "{bytes} = 1", bytes = inout(reg) bytes,
            most = const EVENT_HEAD_BYTES, options(pure, nomem, nostack, preserves_flags));
    }
    if !source.load_to(0, head.as_mut_ptr(), bytes as u32) {
        return 0;
    }
    bytes as u16
}
