//! ICMP (RFC 792) and ICMPv6 (RFC 4443), as far as a gateway must tell messages apart.

use super::{Network, Packet};
use crate::verdict::Reason;

/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;
/// Bytes before the quoted packet of an error, and before the data of an echo.
pub const HEADER_BYTES: usize = 8;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Echo request.
    EchoRequest,
    /// Echo reply.
    EchoReply,
    /// An error about a packet that is quoted in it.
    Error,
    /// Neighbour or listener discovery on the link (ICMPv6 only).
    Discovery,
    /// Anything else.
    Other,
}

/// Meaning and identifier of an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Identifier of an echo, in memory order; of other messages what lies there.
    pub identifier_be: u16,
    /// What it is for.
    pub message: Message,
}

/// Reads an ICMP message over IPv4.
///
/// # Errors
///
/// [`Reason::Malformed`] when its first eight bytes are cut off.
#[inline(always)]
pub fn v4<P: Packet>(packet: &P, network: &Network) -> Result<Icmp, Reason> {
    let (type_code_be, identifier_be) = head(packet, network)?;
    let message = match type_code_be.to_ne_bytes() {
        [8, 0] => Message::EchoRequest,
        [0, 0] => Message::EchoReply,
        // Destination unreachable (all codes, "fragmentation needed" above all), time exceeded, parameter problem.
        [3 | 11 | 12, _] => Message::Error,
        _ => Message::Other,
    };
    Ok(Icmp { identifier_be, message })
}

/// Reads an ICMPv6 message.
///
/// # Errors
///
/// [`Reason::Malformed`] when its first eight bytes are cut off.
#[inline(always)]
pub fn v6<P: Packet>(packet: &P, network: &Network) -> Result<Icmp, Reason> {
    let (type_code_be, identifier_be) = head(packet, network)?;
    let message = match type_code_be.to_ne_bytes() {
        [128, 0] => Message::EchoRequest,
        [129, 0] => Message::EchoReply,
        [1..=4, _] => Message::Error,
        // Neighbour discovery counts only when it cannot have crossed a router (RFC 4861 section 6.1.1).
        [133..=137, 0] if network.hop_limit == 255 => Message::Discovery,
        // Multicast listener discovery, version 1 and 2 (RFC 2710, RFC 9777), is sent with hop limit 1.
        [130..=132 | 143, _] if network.hop_limit == 1 => Message::Discovery,
        _ => Message::Other,
    };
    Ok(Icmp { identifier_be, message })
}

#[inline(always)]
fn head<P: Packet>(packet: &P, network: &Network) -> Result<(u16, u16), Reason> {
    if network.payload_bytes < HEADER_BYTES as u32 {
        return Err(Reason::Malformed);
    }
    let type_code_be = packet.u16_be(network.payload()).ok_or(Reason::Malformed)?;
    let identifier_be = packet.u16_be(network.payload() + 4).ok_or(Reason::Malformed)?;
    packet.u16_be(network.payload() + 6).ok_or(Reason::Malformed)?;
    Ok((type_code_be, identifier_be))
}
