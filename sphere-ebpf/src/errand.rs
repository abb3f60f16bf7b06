//! What a DNS message makes the programs do beside the verdict: answer a query that no rule allows, and hand answers
//! that they cannot judge to the daemon.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated::{
    bpf_csum_diff, bpf_ktime_get_ns, bpf_redirect, bpf_ringbuf_output, bpf_skb_load_bytes, bpf_skb_store_bytes,
    bpf_xdp_load_bytes, bpf_xdp_store_bytes,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_ebpf::programs::{TcContext, XdpContext};
use sphere_common::abi::{LessonCount, OWN_MARK, UNJUDGED_FRAME_BYTES, Unjudged};
use sphere_common::decide::{Context, Errand, Workspace};
use sphere_common::tables::Lessons as _;

use crate::packet::Source;
use crate::tables::KernelTables;

/// Room for answers that wait for the daemon.
const RING_BYTES: u32 = 1 << 20;
/// Wakes the daemon at once: a device waits for what it learns.
const BPF_RB_FORCE_WAKEUP: u64 = 2;
/// Bytes of both hardware addresses.
const MACS: usize = 12;
/// Bytes of a UDP header.
const UDP_BYTES: usize = 8;
/// The longest query that is answered over IPv6, where its checksum must be worked out.
const MAX_CHECKSUM_BYTES: usize = 512;

#[map]
static UNJUDGED: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// A record being put together.
#[repr(C)]
struct Record {
    head: Unjudged,
    frame: [u8; UNJUDGED_FRAME_BYTES],
}

#[map]
static RECORD: PerCpuArray<Record> = PerCpuArray::with_max_entries(1, 0);

/// Reads and writes of a frame through helpers, which also reach what is not linear.
pub(crate) trait Rewrite: Source {
    /// Copies bytes of the frame.
    fn load_to(&self, offset: u32, to: *mut u8, bytes: u32) -> bool;
    /// Overwrites bytes of the frame.
    fn store(&self, offset: u32, from: *const u8, bytes: u32) -> bool;
    /// Sends the frame back out of the port that it came in on; what the program then returns.
    fn send_back(&self) -> i64;
    /// The VLAN tag beside the frame: its identifier and priority, and its EtherType in network byte order or 0.
    fn tag(&self) -> (u16, u16);
}

impl Rewrite for XdpContext {
    #[inline(always)]
    fn load_to(&self, offset: u32, to: *mut u8, bytes: u32) -> bool {
        // SAFETY: the caller's buffer holds `bytes` bytes.
        unsafe { bpf_xdp_load_bytes(self.ctx, offset, to.cast(), bytes) == 0 }
    }
    #[inline(always)]
    fn store(&self, offset: u32, from: *const u8, bytes: u32) -> bool {
        // SAFETY: the caller's buffer holds `bytes` bytes.
        unsafe { bpf_xdp_store_bytes(self.ctx, offset, from.cast_mut().cast(), bytes) == 0 }
    }
    #[inline(always)]
    fn send_back(&self) -> i64 {
        i64::from(xdp_action::XDP_TX)
    }
    #[inline(always)]
    fn tag(&self) -> (u16, u16) {
        (0, 0)
    }
}

impl Rewrite for TcContext {
    #[inline(always)]
    fn load_to(&self, offset: u32, to: *mut u8, bytes: u32) -> bool {
        // SAFETY: the caller's buffer holds `bytes` bytes.
        unsafe { bpf_skb_load_bytes(self.as_ptr().cast(), offset, to.cast(), bytes) == 0 }
    }
    #[inline(always)]
    fn store(&self, offset: u32, from: *const u8, bytes: u32) -> bool {
        // SAFETY: the caller's buffer holds `bytes` bytes.
        unsafe { bpf_skb_store_bytes(self.as_ptr().cast(), offset, from.cast(), bytes, 0) == 0 }
    }
    #[inline(always)]
    fn send_back(&self) -> i64 {
        // SAFETY: the context is the one that the kernel passed; the buffer leaves with the mark that lets it through
        // the program at egress.
        unsafe {
            (*self.skb.skb).mark = OWN_MARK;
            bpf_redirect((*self.skb.skb).ifindex, 0)
        }
    }
    #[inline(always)]
    fn tag(&self) -> (u16, u16) {
        // SAFETY: the context is the one that the kernel passed, and a valid `__sk_buff` as long as the program runs.
        unsafe {
            let skb = self.skb.skb;
            if (*skb).vlan_present == 0 { (0, 0) } else { ((*skb).vlan_tci as u16, (*skb).vlan_proto as u16) }
        }
    }
}

/// The part of a query that an answer changes, as it lies in the frame.
#[repr(C, align(8))]
struct Turned {
    macs: [u8; 16],
    addresses: [u8; 32],
    udp: [u8; UDP_BYTES],
}

/// Turns the query in hand into an answer that says REFUSED (RFC 1035 section 4.1.1) and sends it back. `None` when it
/// cannot be turned; then it is dropped.
#[inline(never)]
pub(crate) fn refuse<S: Rewrite>(source: &S, workspace: &mut Workspace) -> Option<i64> {
    let Errand { network_at, transport_at, .. } = workspace.errand;
    let (network_at, transport_at) = (u32::from(network_at), u32::from(transport_at));
    let is_v6 = workspace.is_ipv6();
    let mut turned = Turned { macs: [0; 16], addresses: [0; 32], udp: [0; UDP_BYTES] };
    let addresses_at = network_at + if is_v6 { 8 } else { 12 };
    let read = source.load_to(0, turned.macs.as_mut_ptr(), MACS as u32)
        && source.load_to(transport_at, turned.udp.as_mut_ptr(), UDP_BYTES as u32)
        && if is_v6 {
            source.load_to(addresses_at, turned.addresses.as_mut_ptr(), 32)
        } else {
            source.load_to(addresses_at, turned.addresses.as_mut_ptr(), 8)
        };
    if !read {
        return None;
    }
    let checksum = if is_v6 { checksum(workspace, &turned)? } else { 0 };
    swap(&mut turned, is_v6);
    let [_, _, _, _, _, _, high, low] = &mut turned.udp;
    [*high, *low] = checksum.to_ne_bytes();
    let flags = workspace.lesson.refused_flags();
    let written = source.store(0, turned.macs.as_ptr(), MACS as u32)
        && source.store(transport_at, turned.udp.as_ptr(), UDP_BYTES as u32)
        && source.store(transport_at + UDP_BYTES as u32 + 2, flags.as_ptr(), 2)
        && if is_v6 {
            source.store(addresses_at, turned.addresses.as_ptr(), 32)
        } else {
            source.store(addresses_at, turned.addresses.as_ptr(), 8)
        };
    written.then(|| source.send_back())
}

/// Swaps sender and receiver; the checksum of an IPv4 header stays right.
#[inline(always)]
fn swap(turned: &mut Turned, is_v6: bool) {
    let mut index = 0;
    while index < 6 {
        turned.macs.swap(index, index + 6);
        index += 1;
    }
    let half = if is_v6 { 16 } else { 4 };
    let mut index = 0;
    while index < half {
        turned.addresses.swap(index, index + half);
        index += 1;
    }
    turned.udp.swap(0, 2);
    turned.udp.swap(1, 3);
}

/// The checksum of the answer over IPv6 (RFC 8200 section 8.1), worked out whole: what arrives from a virtual device may
/// carry none yet. Sender and receiver count alike, so they need not be swapped first.
#[inline(always)]
fn checksum(workspace: &mut Workspace, turned: &Turned) -> Option<u16> {
    let (message, bytes) = workspace.lesson.refused_message();
    if bytes == 0 || bytes > MAX_CHECKSUM_BYTES {
        return None;
    }
    let padded = ((bytes as u32 + 3) & !3) & 0x3fc;
    let length = (bytes + UDP_BYTES) as u32;
    let [ports @ .., _, _, _, _] = turned.udp;
    let mut pseudo = [0_u32; 4];
    pseudo[0] = length.to_be();
    pseudo[1] = 17_u32.to_be();
    pseudo[2] = u32::from_ne_bytes(ports);
    pseudo[3] = u32::from((length as u16).to_be());
    // SAFETY: every buffer holds the bytes that are named, in fours.
    let sum = unsafe {
        let none = core::ptr::null_mut();
        let sum = bpf_csum_diff(none, 0, turned.addresses.as_ptr().cast_mut().cast(), 32, 0);
        let sum = bpf_csum_diff(none, 0, pseudo.as_mut_ptr(), 16, sum as u32);
        bpf_csum_diff(none, 0, message.as_mut_ptr().cast(), padded, sum as u32)
    };
    if sum < 0 {
        return None;
    }
    let sum = (sum & 0xffff_ffff) as u64;
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let folded = !((sum + (sum >> 16)) as u16);
    Some(if folded == 0 { u16::MAX } else { folded })
}

/// What tc returns so that a frame is gone and the sender takes it for sent: a redirection to a port that there is not
/// (`skb_do_redirect` in net/core/filter.c). A sender that learns of a drop would not send the fragments that follow
/// (`ip_do_fragment`), or slow down (`tcp_enter_cwr`).
#[inline(always)]
pub(crate) fn take_away() -> i32 {
    // SAFETY: the helper only notes where the frame is to go.
    unsafe { bpf_redirect(0, 0) as i32 }
}

/// Hands the answer in hand to the daemon, frame and all.
#[inline(never)]
pub(crate) fn hand_over<S: Rewrite>(source: &S, frame_bytes: u32, context: &Context<'_>, workspace: &Workspace) {
    let Some(record) = RECORD.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the pointer is to this CPU's own value, and a program is not interrupted by itself.
    let record = unsafe { &mut *record };
    let Errand { why, asked, held, .. } = workspace.errand;
    let (device, resolver) = workspace.between();
    // The verifier must see a length that is neither zero nor beyond the buffer.
    let copied = if frame_bytes < UNJUDGED_FRAME_BYTES as u32 { frame_bytes } else { UNJUDGED_FRAME_BYTES as u32 };
    let copied = (copied.wrapping_sub(1) & (UNJUDGED_FRAME_BYTES as u32 - 1)) + 1;
    let (vlan_tci, vlan_protocol_be) = source.tag();
    record.head = Unjudged {
        // SAFETY: the helper takes no argument and touches no memory.
        monotonic_ns: unsafe { bpf_ktime_get_ns() },
        device,
        resolver,
        ifindex: context.ifindex,
        group: workspace.decision.group,
        frame_bytes,
        copied_bytes: copied,
        why,
        held,
        asked,
        pad: 0,
        vlan_tci,
        vlan_protocol_be,
    };
    let sent = source.load_to(0, record.frame.as_mut_ptr(), copied) && {
        let bytes = u64::from(copied) + size_of::<Unjudged>() as u64;
        // SAFETY: the record holds its head and as many bytes of the frame.
        unsafe {
            bpf_ringbuf_output(
                (&raw const UNJUDGED).cast_mut().cast(),
                core::ptr::from_mut(record).cast(),
                bytes,
                BPF_RB_FORCE_WAKEUP,
            ) == 0
        }
    };
    if !sent {
        KernelTables.count(LessonCount::UnjudgedLost);
    }
}
