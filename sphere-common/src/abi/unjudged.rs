//! DNS answers that the programs could not judge, handed to the daemon whole.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::assert_size;

/// Bytes of a frame that are handed over at most: what segmentation offload may put together from an answer over TCP
/// is cut.
pub const UNJUDGED_FRAME_BYTES: usize = 16_384;

/// Mark (`SO_MARK`) of socket buffers that the programs or the daemon send to a device themselves ("SPHR"): the program
/// at egress lets them pass.
pub const OWN_MARK: u32 = 0x5350_4852;

/// Why an answer was not judged: [`Unjudged::why`].
pub mod unjudged_why {
    /// Over TCP: the daemon puts the stream together.
    pub const TCP: u8 = 0;
    /// Longer than a message that the programs read.
    pub const LONG: u8 = 1;
    /// More records than the programs walk, or a record that they cannot read.
    pub const RECORDS: u8 = 2;
    /// In fragments.
    pub const FRAGMENTS: u8 = 3;
}

/// Head of one record of the ring; the frame follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Unjudged {
    /// Time, nanoseconds of the monotonic clock.
    pub monotonic_ns: u64,
    /// Address of the device (IPv4 as `::ffff:a.b.c.d`).
    pub device: [u8; 16],
    /// Address of the resolver.
    pub resolver: [u8; 16],
    /// Interface index of the device port.
    pub ifindex: u32,
    /// Group number.
    pub group: u32,
    /// Length of the frame in bytes.
    pub frame_bytes: u32,
    /// Bytes of the frame that follow.
    pub copied_bytes: u32,
    /// [`unjudged_why`].
    pub why: u8,
    /// 1 when the frame was held back and waits for the daemon to send it.
    pub held: u8,
    /// 1 when the answer was found to belong to a query of the device (over UDP; not known over TCP).
    pub asked: u8,
    /// Zero.
    pub pad: u8,
    /// VLAN tag that the frame carries beside its bytes (`skb->vlan_tci`).
    pub vlan_tci: u16,
    /// EtherType of that tag, network byte order; 0: there is none.
    pub vlan_protocol_be: u16,
}
assert_size!(Unjudged, 64);
