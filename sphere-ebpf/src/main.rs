//! The XDP and tc programs of Sphere: the deciding code of `sphere-common` over packet pointers and BPF maps.
//!
//! Nothing here decides. [`packet`] reads frames within the bounds that the verifier can follow, [`maps`] holds the
//! tables, [`tables`] implements the look-ups, [`record`] and [`account`] count and sample, [`errand`] does what a decision
//! asks for beyond a verdict, and this file is the programs themselves.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![allow(missing_docs, unreachable_pub, reason = "the program macros generate public functions without documentation")]
#![allow(clippy::needless_pass_by_value, reason = "the program macros hand contexts over by value")]
#![allow(clippy::needless_borrows_for_generic_args, reason = "a map takes a reference; by value it would cost stack")]

mod account;
mod errand;
mod maps;
mod packet;
mod record;
mod tables;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{TC_ACT_OK, TC_ACT_SHOT, xdp_action};
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns, bpf_skb_pull_data};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use sphere_common::abi::{Clock, OWN_MARK};
use sphere_common::decide::errand as what;
use sphere_common::decide::{self, Context};
use sphere_common::packet::Packet as _;
use sphere_common::verdict::{Direction, Reason, Verdict};

use crate::errand::Rewrite;
use crate::packet::{Frame, Source as _};
use crate::tables::KernelTables;

/// Bytes that tc asks the kernel to make linear: every header that is read, up to the deepest extension header.
const LINEAR_BYTES: u32 = 256;

/// XDP at ingress of a device port.
#[xdp(frags)]
pub fn sphere_ingress(context: XdpContext) -> u32 {
    let mut frame = Frame::new(&context, frame_bytes(&context));
    let ifindex = context.ingress_ifindex() as u32;
    match judge(&mut frame, ifindex, Direction::Ingress) {
        Verdict::Pass | Verdict::Audit => xdp_action::XDP_PASS,
        Verdict::Deny => match refuse(&context) {
            Some(action) => action as u32,
            None => xdp_action::XDP_DROP,
        },
    }
}

/// Answers the query in hand in the place of its resolver, where the judgement says so.
#[inline(always)]
fn refuse<S: Rewrite>(source: &S) -> Option<i64> {
    let workspace = maps::workspace()?;
    if workspace.errand.what == what::REFUSE { errand::refuse(source, workspace) } else { None }
}

/// Whether the frame in hand waits for the daemon.
#[inline(always)]
fn is_held() -> bool {
    maps::workspace().is_some_and(|workspace| workspace.errand.what == what::HAND_OVER && workspace.errand.held != 0)
}

/// The same at tc ingress, where the driver has no native XDP.
#[classifier]
pub fn sphere_in_tc(context: TcContext) -> i32 {
    traffic_control(&context, Direction::Ingress)
}

/// tc egress of a device port.
#[classifier]
pub fn sphere_egress(context: TcContext) -> i32 {
    traffic_control(&context, Direction::Egress)
}

/// Reads the kernel's clocks; run once by the daemon, never attached.
#[xdp]
pub fn sphere_clock(_context: XdpContext) -> u32 {
    // SAFETY: both helpers take no argument and touch no memory.
    let clock = unsafe { Clock { jiffies: bpf_jiffies64(), monotonic_ns: bpf_ktime_get_ns() } };
    match maps::CLOCK.set(0, &clock, 0) {
        Ok(()) => xdp_action::XDP_PASS,
        Err(_) => xdp_action::XDP_ABORTED,
    }
}

#[inline(always)]
fn traffic_control(context: &TcContext, direction: Direction) -> i32 {
    let bytes = context.len();
    // SAFETY: the context is the one that the kernel passed, and a valid `__sk_buff` as long as the program runs.
    if direction == Direction::Egress && unsafe { (*context.skb.skb).mark } == OWN_MARK {
        record::released(bytes);
        return TC_ACT_OK;
    }
    let (start, end) = context.bounds();
    // Only packets whose headers are not linear need it: it invalidates the pointers and costs a call.
    if end - start < LINEAR_BYTES as usize && end - start < bytes as usize {
        let wanted = if bytes < LINEAR_BYTES { bytes } else { LINEAR_BYTES };
        // SAFETY: the context is the one that the kernel passed; a failure leaves the packet as it was.
        unsafe { bpf_skb_pull_data(context.as_ptr().cast(), wanted) };
    }
    // Read afresh, so that the ways that lead here merge for the verifier.
    let mut frame = Frame::new(context, context.len());
    // SAFETY: the context is the one that the kernel passed, and a valid `__sk_buff` as long as the program runs.
    let ifindex = unsafe { (*context.skb.skb).ifindex };
    match judge(&mut frame, ifindex, direction) {
        Verdict::Pass | Verdict::Audit => TC_ACT_OK,
        // Only what a device asks is answered in the place of somebody else.
        Verdict::Deny if direction == Direction::Egress => {
            if is_held() {
                errand::take_away()
            } else {
                TC_ACT_SHOT
            }
        }
        Verdict::Deny => match refuse(context) {
            Some(action) => action as i32,
            None => TC_ACT_SHOT,
        },
    }
}

/// Decides, counts and samples.
#[inline(always)]
fn judge<S: Rewrite>(frame: &mut Frame<'_, S>, ifindex: u32, direction: Direction) -> Verdict {
    let Some(config) = maps::config() else {
        return Verdict::Deny;
    };
    // SAFETY: the helper takes no argument and touches no memory.
    let now = unsafe { bpf_jiffies64() }.wrapping_add(config.clock_offset);
    let context = Context { config, ifindex, now };
    let Some(workspace) = maps::workspace() else {
        return Verdict::Deny;
    };
    match direction {
        Direction::Ingress => decide::ingress(frame, &mut KernelTables, &context, workspace),
        Direction::Egress => decide::egress(frame, &mut KernelTables, &context, workspace),
    }
    frame.renew();
    if direction == Direction::Egress && workspace.errand.what == what::HAND_OVER {
        errand::hand_over(frame.source(), frame.frame_bytes(), &context, workspace);
    }
    record::record((frame.source(), frame.frame_bytes()), &context, direction, &workspace.decision);
    if workspace.decision.verdict != Verdict::Pass && workspace.decision.reason != Reason::AnswerHeld {
        account::account(frame.frame_bytes(), &context, direction, &workspace.decision);
    }
    workspace.decision.verdict
}

/// Length of the whole frame, with what lies in fragments beyond the linear part.
#[inline(always)]
fn frame_bytes(context: &XdpContext) -> u32 {
    // SAFETY: the context is the one that the kernel passed; the helper only reads it (kernel commit 0165cc817075).
    unsafe { aya_ebpf::helpers::generated::bpf_xdp_get_buff_len(context.ctx) as u32 }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing in these programs panics; the verifier would refuse this loop if anything reached it.
    loop {}
}

/// Licence that the kernel asks for before it lends GPL-only helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
pub static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
