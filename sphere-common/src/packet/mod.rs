//! Bounded reads of a frame, and one file per protocol header. No policy.
//!
//! Multi-byte reads return the bytes as they lie in memory (a `u16` read is in network order): addresses and ports
//! are only compared and copied, so they are never swapped. Names of such values end in `_be`.

pub mod ethernet;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod transport;

use crate::dns::MESSAGE_BYTES;

/// A frame that can be read within its bounds.
pub trait Packet {
    /// The byte at `offset`, or `None` beyond what can be read.
    fn u8(&self, offset: usize) -> Option<u8>;
    /// Two bytes at `offset` in memory order, or `None` beyond what can be read.
    fn u16_be(&self, offset: usize) -> Option<u16>;
    /// Four bytes at `offset` in memory order, or `None` beyond what can be read.
    fn u32_be(&self, offset: usize) -> Option<u32>;
    /// Eight bytes at `offset` in memory order, or `None` beyond what can be read.
    fn u64_be(&self, offset: usize) -> Option<u64>;
    /// Returns `offset`. In the kernel it also makes the verifier forget how the offset came about, so that the ways
    /// through a header merge behind it instead of multiplying.
    #[inline(always)]
    fn merge_paths(&self, offset: usize) -> usize {
        offset
    }
    /// Reads on from fresh pointers. In the kernel this makes the verifier forget how far the frame was seen to reach,
    /// which differs between the ways through a header and keeps them apart behind it.
    #[inline(always)]
    fn renew(&mut self) {}
    /// Copies `bytes` bytes of the frame (at least one, at most [`MESSAGE_BYTES`]) from `offset` to the beginning of
    /// `message`. False when they are not all there.
    fn copy(&self, offset: usize, bytes: usize, message: &mut [u8; MESSAGE_BYTES]) -> bool;
    /// Length of the whole frame in bytes, also where not all of it can be read.
    fn frame_bytes(&self) -> u32;
}

/// A frame in a slice.
impl Packet for &[u8] {
    fn u8(&self, offset: usize) -> Option<u8> {
        self.get(offset).copied()
    }
    fn u16_be(&self, offset: usize) -> Option<u16> {
        array(self, offset).map(u16::from_ne_bytes)
    }
    fn u32_be(&self, offset: usize) -> Option<u32> {
        array(self, offset).map(u32::from_ne_bytes)
    }
    fn u64_be(&self, offset: usize) -> Option<u64> {
        array(self, offset).map(u64::from_ne_bytes)
    }
    fn copy(&self, offset: usize, bytes: usize, message: &mut [u8; MESSAGE_BYTES]) -> bool {
        match (self.get(offset..offset + bytes), message.get_mut(..bytes)) {
            (Some(from), Some(to)) => {
                to.copy_from_slice(from);
                true
            }
            _ => false,
        }
    }
    fn frame_bytes(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

/// What a fragment is within its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Not a fragment.
    Whole,
    /// The first of several: it holds the transport header.
    First,
    /// A later one, `offset` bytes into the datagram (at least 8): it holds no transport header.
    Later {
        /// Bytes of the datagram before it.
        offset: u16,
    },
}

/// What the network header says beyond the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Network {
    /// Number of the protocol behind it.
    pub protocol: u8,
    /// Hop limit or time to live.
    pub hop_limit: u8,
    /// Whether the packet is a fragment.
    pub fragment: Fragment,
    /// Identification of the datagram that a fragment belongs to (IPv4: 16 bits).
    pub identification_be: u32,
    /// Offset in the frame of what follows: 16 bits, so that the verifier knows a bound wherever it comes from.
    pub payload_at: u16,
    /// Bytes that follow, as the header says.
    pub payload_bytes: u32,
}

impl Network {
    /// Offset in the frame of what follows.
    #[must_use]
    #[inline(always)]
    pub fn payload(&self) -> usize {
        usize::from(self.payload_at)
    }

    /// Forgets what was read; field by field, since the BPF machine copies whole structures byte by byte.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.protocol = 0;
        self.fragment = Fragment::Whole;
        self.payload_at = 0;
    }

    /// A header of which nothing is known yet.
    pub const UNKNOWN: Self = Self {
        protocol: 0,
        hop_limit: 0,
        fragment: Fragment::Whole,
        identification_be: 0,
        payload_at: 0,
        payload_bytes: 0,
    };
}
