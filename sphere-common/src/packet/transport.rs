//! TCP (RFC 9293) and UDP (RFC 768): ports, flags, and whether the header is whole.

use super::{Fragment, Network, Packet};
use crate::verdict::Reason;

/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
const TCP_BYTES: u32 = 20;
/// Offset of the sequence number in a TCP header (RFC 9293 section 3.1).
pub const SEQUENCE_AT: usize = 4;
/// Offset of the acknowledgement number.
pub const ACKNOWLEDGEMENT_AT: usize = 8;
/// Bytes of a UDP header.
pub const UDP_BYTES: u32 = 8;

/// Flags of a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    const FIN: u8 = 0x01;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;
    const URG: u8 = 0x20;

    /// Opens a connection: SYN without ACK.
    #[must_use]
    #[inline(always)]
    pub const fn opens(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN
    }

    /// Accepts a connection: SYN with ACK.
    #[must_use]
    #[inline(always)]
    pub const fn accepts(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN | Self::ACK
    }

    /// Has a SYN, which takes a sequence number of its own before the data (RFC 9293 section 3.4).
    #[must_use]
    #[inline(always)]
    pub const fn synchronizes(self) -> bool {
        self.0 & Self::SYN != 0
    }

    /// Has an urgent pointer: the byte before it is taken out of the stream by receivers that do not ask for it in line
    /// (RFC 6093 section 3).
    #[must_use]
    #[inline(always)]
    pub const fn is_urgent(self) -> bool {
        self.0 & Self::URG != 0
    }

    /// Closes a connection: FIN or RST.
    #[must_use]
    #[inline(always)]
    pub const fn closes(self) -> bool {
        self.0 & (Self::FIN | Self::RST) != 0
    }
}

/// Ports of a TCP or UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ports {
    /// Of the sender.
    pub source_be: u16,
    /// Of the receiver.
    pub destination_be: u16,
}

/// Ports, flags and header length of a TCP segment.
///
/// # Errors
///
/// [`Reason::Malformed`] when the header is cut off or its data offset is below 5 or beyond the packet;
/// [`Reason::FragmentOverlap`] when it is cut off because the first fragment is too small (RFC 1858 section 3).
#[inline(always)]
pub fn tcp<P: Packet>(packet: &P, network: &Network) -> Result<(Ports, TcpFlags, u16), Reason> {
    let at = network.payload();
    let short = cut_off(network);
    if network.payload_bytes < TCP_BYTES {
        return Err(short);
    }
    let ports = ports(packet, at).ok_or(short)?;
    let offset = u32::from(packet.u8(at + 12).ok_or(short)? >> 4) * 4;
    let flags = packet.u8(at + 13).ok_or(short)?;
    packet.u16_be(at + 18).ok_or(short)?;
    if offset < TCP_BYTES {
        return Err(Reason::Malformed);
    }
    if offset > network.payload_bytes {
        return Err(short);
    }
    Ok((ports, TcpFlags(flags), offset as u16))
}

/// Ports of a UDP datagram.
///
/// # Errors
///
/// [`Reason::Malformed`] when the header is cut off, or its length is not that of the packet: what lies behind the
/// datagram would be read by nobody here, and by whom it is meant for there;
/// [`Reason::FragmentOverlap`] when it is cut off because the first fragment is too small.
#[inline(always)]
pub fn udp<P: Packet>(packet: &P, network: &Network) -> Result<Ports, Reason> {
    let at = network.payload();
    let short = cut_off(network);
    if network.payload_bytes < UDP_BYTES {
        return Err(short);
    }
    let ports = ports(packet, at).ok_or(short)?;
    let length = u32::from(u16::from_be(packet.u16_be(at + 4).ok_or(short)?));
    packet.u16_be(at + 6).ok_or(short)?;
    let expected = match network.fragment {
        // Length 0 is what segmentation offload leaves in aggregates above 64 KiB.
        Fragment::Whole if network.payload_bytes > 0xffff => length == 0,
        Fragment::Whole => length == network.payload_bytes,
        Fragment::First | Fragment::Later { .. } => length >= UDP_BYTES,
    };
    if !expected {
        return Err(Reason::Malformed);
    }
    Ok(ports)
}

/// Both ports at `at`: the first four bytes of either header.
#[inline(always)]
pub fn ports<P: Packet>(packet: &P, at: usize) -> Option<Ports> {
    let source_be = packet.u16_be(at)?;
    let destination_be = packet.u16_be(at + 2)?;
    Some(Ports { source_be, destination_be })
}

#[inline(always)]
fn cut_off(network: &Network) -> Reason {
    match network.fragment {
        Fragment::First => Reason::FragmentOverlap,
        Fragment::Whole | Fragment::Later { .. } => Reason::Malformed,
    }
}
