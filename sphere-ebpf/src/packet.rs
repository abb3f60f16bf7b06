//! A frame between two pointers, read so that the verifier can follow every access.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_xdp_load_bytes};
use aya_ebpf::programs::{TcContext, XdpContext};
use sphere_common::dns::MESSAGE_BYTES;
use sphere_common::packet::Packet;

/// Offsets beyond are never read: it bounds every variable offset for the verifier.
const MAX_OFFSET: usize = 0x1fff;

/// What a program is given: where its frame lies.
pub(crate) trait Source {
    /// Address of the first byte, and behind the last readable one.
    fn bounds(&self) -> (usize, usize);
    /// Copies bytes of the frame, from beyond the linear part too.
    fn load(&self, offset: u32, bytes: u32, to: &mut [u8; MESSAGE_BYTES]) -> bool;
}

impl Source for XdpContext {
    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        (self.data(), self.data_end())
    }
    #[inline(always)]
    fn load(&self, offset: u32, bytes: u32, to: &mut [u8; MESSAGE_BYTES]) -> bool {
        // SAFETY: the buffer holds `bytes` bytes; the helper writes no more (kernel commit 3f364222d032).
        unsafe { bpf_xdp_load_bytes(self.ctx, offset, to.as_mut_ptr().cast(), bytes) == 0 }
    }
}

impl Source for TcContext {
    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        (self.data(), self.data_end())
    }
    #[inline(always)]
    fn load(&self, offset: u32, bytes: u32, to: &mut [u8; MESSAGE_BYTES]) -> bool {
        // SAFETY: the buffer holds `bytes` bytes; the helper writes no more.
        unsafe { bpf_skb_load_bytes(self.as_ptr().cast(), offset, to.as_mut_ptr().cast(), bytes) == 0 }
    }
}

/// The linear part of a frame.
pub(crate) struct Frame<'a, S> {
    /// Address of its first byte.
    pub(crate) start: usize,
    /// Address behind its last readable byte.
    pub(crate) end: usize,
    /// Length of the whole frame.
    bytes: u32,
    source: &'a S,
}

impl<'a, S: Source> Frame<'a, S> {
    /// Where the frame lies.
    #[inline(always)]
    pub(crate) fn source(&self) -> &'a S {
        self.source
    }

    /// The frame of a program's context, `bytes` long in all.
    #[inline(always)]
    pub(crate) fn new(source: &'a S, bytes: u32) -> Self {
        let (start, end) = source.bounds();
        Self { start, end, bytes, source }
    }
}

/// Reads one value at a pointer that need not be aligned. The BPF machine loads from any address of a packet, but the
/// compiler does not know it and would take the value apart into bytes.
macro_rules! load {
    ($size:literal, $at:expr) => {{
        let value: u64;
        // SAFETY: the caller has checked that the value lies in the packet; the load reads nothing else.
        unsafe {
            core::arch::asm!(
                concat!("{value} = *(", $size, " *)({at} + 0)"),
                value = out(reg) value,
                at = in(reg) $at,
                options(pure, readonly, nostack, preserves_flags)
            );
        }
        value
    }};
}

impl<S> Frame<'_, S> {
    /// Address of `BYTES` readable bytes at `offset`.
    #[inline(always)]
    fn at<const BYTES: usize>(&self, offset: usize) -> Option<usize> {
        if offset > MAX_OFFSET {
            return None;
        }
        let at = self.start + offset;
        let mut past = at;
        // Added out of the compiler's sight, which would turn "at + 1 <= end" into "at < end": the verifier learns
        // nothing from a comparison of a pointer to which no constant was added.
        // SAFETY: an addition to a register.
        unsafe {
            core::arch::asm!("{past} += {bytes}", past = inout(reg) past, bytes = const BYTES,
                options(pure, nomem, nostack, preserves_flags));
        }
        (past <= self.end).then_some(at)
    }
}

impl<S: Source> Packet for Frame<'_, S> {
    #[inline(always)]
    fn u8(&self, offset: usize) -> Option<u8> {
        self.at::<1>(offset).map(|at| load!("u8", at) as u8)
    }
    #[inline(always)]
    fn u16_be(&self, offset: usize) -> Option<u16> {
        self.at::<2>(offset).map(|at| load!("u16", at) as u16)
    }
    #[inline(always)]
    fn u32_be(&self, offset: usize) -> Option<u32> {
        self.at::<4>(offset).map(|at| load!("u32", at) as u32)
    }
    #[inline(always)]
    fn u64_be(&self, offset: usize) -> Option<u64> {
        self.at::<8>(offset).map(|at| load!("u64", at))
    }
    #[inline(always)]
    fn merge_paths(&self, offset: usize) -> usize {
        let mut halves = [0_u32; 2];
        // The verifier knows nothing of a value that it sees read across two stores.
        // SAFETY: both halves are written before the whole is read; the array is as large as the value.
        unsafe {
            core::ptr::write_volatile(&raw mut halves[0], offset as u32);
            core::ptr::write_volatile(&raw mut halves[1], 0);
            core::ptr::read_volatile(halves.as_ptr().cast::<u64>()) as usize
        }
    }
    #[inline(always)]
    fn copy(&self, offset: usize, bytes: usize, message: &mut [u8; MESSAGE_BYTES]) -> bool {
        // The verifier must see a length that is neither zero nor beyond the buffer.
        let bytes = (bytes.wrapping_sub(1) & (MESSAGE_BYTES - 1)) as u32 + 1;
        self.source.load(offset as u32, bytes, message)
    }
    #[inline(always)]
    fn renew(&mut self) {
        (self.start, self.end) = self.source.bounds();
    }
    #[inline(always)]
    fn frame_bytes(&self) -> u32 {
        self.bytes
    }
}
