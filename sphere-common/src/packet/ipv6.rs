//! IPv6 (RFC 8200), with extension headers.

use super::{Fragment, Network, Packet};
use crate::verdict::Reason;

const HEADER_BYTES: usize = 40;
/// Extension headers that are followed.
pub const MAX_EXTENSIONS: usize = 6;
/// Bytes of extension headers that are followed; more is treated as too deep.
const MAX_EXTENSION_BYTES: usize = 1024;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;

/// Source and destination.
///
/// # Errors
///
/// [`Reason::Malformed`] when they are cut off.
#[inline(always)]
pub fn addresses<P: Packet>(packet: &P, at: usize) -> Result<([u64; 2], [u64; 2]), Reason> {
    let source = pair(packet, at + 8)?;
    let destination = pair(packet, at + 24)?;
    Ok((source, destination))
}

#[inline(always)]
fn pair<P: Packet>(packet: &P, at: usize) -> Result<[u64; 2], Reason> {
    let high = packet.u64_be(at).ok_or(Reason::Malformed)?;
    let low = packet.u64_be(at + 8).ok_or(Reason::Malformed)?;
    Ok([high, low])
}

/// Reads the header at `at` and walks its extension headers.
///
/// # Errors
///
/// [`Reason::Malformed`] when the version is not 6, a header is cut off or the packet is longer than the frame;
/// [`Reason::ExtensionDepth`] with more than [`MAX_EXTENSIONS`] extension headers; [`Reason::SourceRoute`] with a routing
/// header that names hosts still to be visited (RFC 8200 section 4.4).
#[inline(always)]
pub fn network<P: Packet>(packet: &P, at: usize) -> Result<Network, Reason> {
    let length = u32::from(u16::from_be(packet.u16_be(at + 4).ok_or(Reason::Malformed)?));
    let room = packet.frame_bytes().wrapping_sub(at as u32).wrapping_sub(HEADER_BYTES as u32);
    // Jumbo payloads of segmentation offload (RFC 2675) say 0.
    let length = if length == 0 && room > 0xffff { room } else { length };
    if length > room {
        return Err(Reason::Malformed);
    }
    let network = walk(packet, at)?;
    let extensions = network.payload().wrapping_sub(at + HEADER_BYTES) as u32;
    if length < extensions {
        return Err(Reason::Malformed);
    }
    Ok(Network { payload_bytes: length - extensions, ..network })
}

/// Reads the header at `at` of a packet quoted in an ICMPv6 error: the rest of that packet may be missing.
///
/// # Errors
///
/// As [`network`], without the checks of length.
#[inline(always)]
pub fn quoted<P: Packet>(packet: &P, at: usize) -> Result<Network, Reason> {
    walk(packet, at)
}

#[inline(always)]
fn walk<P: Packet>(packet: &P, at: usize) -> Result<Network, Reason> {
    let version = packet.u8(at).ok_or(Reason::Malformed)?;
    if version >> 4 != 6 {
        return Err(Reason::Malformed);
    }
    let mut protocol = packet.u8(at + 6).ok_or(Reason::Malformed)?;
    let hop_limit = packet.u8(at + 7).ok_or(Reason::Malformed)?;
    let mut fragment = Fragment::Whole;
    let mut identification_be = 0;
    let mut extensions = 0_usize;
    let mut walked = 0;
    while walked < MAX_EXTENSIONS && is_extension(protocol) {
        walked += 1;
        // What follows a later fragment's header is payload, whatever its number says.
        if matches!(fragment, Fragment::Later { .. }) {
            break;
        }
        let here = at + HEADER_BYTES + extensions;
        let next = packet.u8(here).ok_or(Reason::Malformed)?;
        let units = usize::from(packet.u8(here + 1).ok_or(Reason::Malformed)?);
        if protocol == ROUTING && packet.u8(here + 3).ok_or(Reason::Malformed)? != 0 {
            return Err(Reason::SourceRoute);
        }
        let bytes = match protocol {
            FRAGMENT => {
                let field = u16::from_be(packet.u16_be(here + 2).ok_or(Reason::Malformed)?);
                identification_be = packet.u32_be(here + 4).ok_or(Reason::Malformed)?;
                // The low three bits are two reserved ones and "more fragments" (RFC 8200 section 4.5). An atomic
                // fragment (offset 0, no more) is a whole packet (RFC 6946).
                fragment = match (field & 0xfff8, field & 1) {
                    (0, 0) => Fragment::Whole,
                    (0, _) => Fragment::First,
                    (offset, _) => Fragment::Later { offset },
                };
                8
            }
            // The authentication header counts in 4-byte units, less two (RFC 4302 section 2.2).
            AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        protocol = next;
        extensions = packet.merge_paths(extensions + bytes);
        if extensions > MAX_EXTENSION_BYTES {
            return Err(Reason::ExtensionDepth);
        }
    }
    if is_extension(protocol) && !matches!(fragment, Fragment::Later { .. }) {
        return Err(Reason::ExtensionDepth);
    }
    Ok(Network {
        protocol,
        hop_limit,
        fragment,
        identification_be,
        payload_at: packet.merge_paths(at + HEADER_BYTES + extensions) as u16,
        payload_bytes: 0,
    })
}

#[inline(always)]
fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY)
}
