//! IPv4 (RFC 791), with options.

use super::{Fragment, Network, Packet};
use crate::verdict::Reason;

/// Bytes of a header without options.
pub const MINIMUM_BYTES: usize = 20;
/// Options that are looked at; behind more, a source route may hide.
pub const MAX_OPTIONS: usize = 8;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

/// Source and destination.
///
/// # Errors
///
/// [`Reason::Malformed`] when they are cut off.
#[inline(always)]
pub fn addresses<P: Packet>(packet: &P, at: usize) -> Result<(u32, u32), Reason> {
    let source = packet.u32_be(at + 12).ok_or(Reason::Malformed)?;
    let destination = packet.u32_be(at + 16).ok_or(Reason::Malformed)?;
    Ok((source, destination))
}

/// Reads the header at `at`.
///
/// # Errors
///
/// [`Reason::Malformed`] when the version is not 4, the header is shorter than 20 bytes or longer than the packet, or
/// the packet is longer than the frame.
#[inline(always)]
pub fn network<P: Packet>(packet: &P, at: usize) -> Result<Network, Reason> {
    let total = u32::from(u16::from_be(packet.u16_be(at + 2).ok_or(Reason::Malformed)?));
    let room = packet.frame_bytes().wrapping_sub(at as u32);
    // A total length of 0 is what segmentation offload leaves in packets above 64 KiB (BIG TCP, kernel commit
    // b1a78b9b98862); then the frame's own length counts.
    let total = if total == 0 && room > 0xffff { room } else { total };
    if total > room {
        return Err(Reason::Malformed);
    }
    let (header, network) = header(packet, at)?;
    let payload_bytes = total.wrapping_sub(header as u32);
    if total < header as u32 {
        return Err(Reason::Malformed);
    }
    Ok(Network { payload_bytes, ..network })
}

/// Looks through the options of the header between `at` and `end` (RFC 791 section 3.1) for a source route.
///
/// # Errors
///
/// [`Reason::SourceRoute`] when there is one, or there are more than [`MAX_OPTIONS`] options; [`Reason::Malformed`] when
/// one does not end in the header.
#[inline(always)]
pub fn options<P: Packet>(packet: &P, at: usize, end: usize) -> Result<(), Reason> {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    let mut option = packet.merge_paths(at + MINIMUM_BYTES);
    let mut walked = 0;
    while walked < MAX_OPTIONS {
        walked += 1;
        if option >= end {
            return Ok(());
        }
        // Of an option of one byte, the second one read here belongs to what follows.
        let [kind, bytes] = packet.u16_be(option).ok_or(Reason::Malformed)?.to_ne_bytes();
        let bytes = match kind {
            END => return Ok(()),
            NO_OPERATION => 1,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return Err(Reason::SourceRoute),
            _ if bytes < 2 => return Err(Reason::Malformed),
            _ => usize::from(bytes),
        };
        option = packet.merge_paths(option + bytes);
        if option > end {
            return Err(Reason::Malformed);
        }
    }
    if option == end { Ok(()) } else { Err(Reason::SourceRoute) }
}

/// Reads the header at `at` of a packet quoted in an ICMP error: the rest of that packet may be missing.
///
/// # Errors
///
/// [`Reason::Malformed`] when it is no whole IPv4 header.
#[inline(always)]
pub fn quoted<P: Packet>(packet: &P, at: usize) -> Result<Network, Reason> {
    header(packet, at).map(|(_, network)| network)
}

#[inline(always)]
fn header<P: Packet>(packet: &P, at: usize) -> Result<(usize, Network), Reason> {
    let version = packet.u8(at).ok_or(Reason::Malformed)?;
    let bytes = usize::from(version & 0x0f) * 4;
    if version >> 4 != 4 || bytes < MINIMUM_BYTES {
        return Err(Reason::Malformed);
    }
    // The last byte of the options must be there too.
    packet.u8(at + bytes - 1).ok_or(Reason::Malformed)?;
    let identification_be = u32::from(packet.u16_be(at + 4).ok_or(Reason::Malformed)?);
    let fragment = u16::from_be(packet.u16_be(at + 6).ok_or(Reason::Malformed)?);
    let network = Network {
        protocol: packet.u8(at + 9).ok_or(Reason::Malformed)?,
        hop_limit: packet.u8(at + 8).ok_or(Reason::Malformed)?,
        fragment: match (fragment & OFFSET_MASK, fragment & MORE_FRAGMENTS) {
            (0, 0) => Fragment::Whole,
            (0, _) => Fragment::First,
            (units, _) => Fragment::Later { offset: units << 3 },
        },
        identification_be,
        payload_at: packet.merge_paths(at + bytes) as u16,
        payload_bytes: 0,
    };
    Ok((bytes, network))
}
