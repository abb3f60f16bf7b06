//! A frame between two pointers, read so that the verifier can follow every access.

use sphere_common::packet::Packet;

/// Offsets beyond are never read: it bounds every variable offset for the verifier.
const MAX_OFFSET: usize = 0x1fff;

/// The linear part of a frame.
pub(crate) struct Frame {
    /// Address of its first byte.
    pub(crate) start: usize,
    /// Address behind its last readable byte.
    pub(crate) end: usize,
    /// Length of the whole frame.
    pub(crate) bytes: u32,
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

impl Frame {
    /// Address of `bytes` readable bytes at `offset`.
    #[inline(always)]
    fn at(&self, offset: usize, bytes: usize) -> Option<usize> {
        if offset > MAX_OFFSET {
            return None;
        }
        let at = self.start + offset;
        (at + bytes <= self.end).then_some(at)
    }
}

impl Packet for Frame {
    #[inline(always)]
    fn u8(&self, offset: usize) -> Option<u8> {
        self.at(offset, 1).map(|at| load!("u8", at) as u8)
    }
    #[inline(always)]
    fn u16_be(&self, offset: usize) -> Option<u16> {
        self.at(offset, 2).map(|at| load!("u16", at) as u16)
    }
    #[inline(always)]
    fn u32_be(&self, offset: usize) -> Option<u32> {
        self.at(offset, 4).map(|at| load!("u32", at) as u32)
    }
    #[inline(always)]
    fn u64_be(&self, offset: usize) -> Option<u64> {
        self.at(offset, 8).map(|at| load!("u64", at))
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
    fn frame_bytes(&self) -> u32 {
        self.bytes
    }
}
