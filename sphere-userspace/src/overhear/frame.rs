//! A frame taken apart, as far as what it carries of a DNS message.

use etherparse::{
    IpFragOffset, IpNumber, Ipv6ExtensionSlice, LaxIpPayloadSlice, LaxNetSlice, LaxSlicedPacket, TcpSlice, UdpSlice,
};

/// The DNS port.
const DNS: u16 = 53;

/// What a frame carries.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// A message of its own.
    Datagram {
        /// Port of the device.
        device_port: u16,
        /// The message.
        message: &'a [u8],
    },
    /// A part of a stream of messages.
    Segment {
        /// Port of the device.
        device_port: u16,
        /// Sequence number of its first byte.
        sequence: u32,
        /// The part.
        bytes: &'a [u8],
    },
    /// A part of an IP datagram.
    Fragment(Fragment<'a>),
}

/// A part of an IP datagram.
#[derive(Clone, Debug)]
pub(super) struct Fragment<'a> {
    /// What the datagram carries.
    pub(super) protocol: IpNumber,
    /// Which datagram.
    pub(super) identification: u32,
    /// Where in it.
    pub(super) offset: IpFragOffset,
    /// Whether others stand behind it.
    pub(super) more: bool,
    /// The part.
    pub(super) bytes: &'a [u8],
}

/// Takes a frame apart, also one that was cut; [`None`] when it carries nothing of a DNS message.
pub(super) fn read(frame: &[u8]) -> Option<Piece<'_>> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let net = packet.net.as_ref()?;
    let payload = match net {
        LaxNetSlice::Ipv4(v4) => v4.payload(),
        LaxNetSlice::Ipv6(v6) => v6.payload(),
        LaxNetSlice::Arp(_) => return None,
    };
    if payload.fragmented { fragment(net, payload) } else { transport(payload.ip_number, payload.payload) }
}

fn fragment<'a>(net: &LaxNetSlice<'a>, payload: &LaxIpPayloadSlice<'a>) -> Option<Piece<'a>> {
    // What was cut off cannot be told from what is yet to come.
    if payload.incomplete {
        return None;
    }
    let (protocol, bytes) = (payload.ip_number, payload.payload);
    let (identification, offset, more) = match net {
        LaxNetSlice::Ipv4(v4) => {
            let header = v4.header();
            (u32::from(header.identification()), header.fragments_offset(), header.more_fragments())
        }
        LaxNetSlice::Ipv6(v6) => {
            let header = v6.extensions().clone().into_iter().find_map(|extension| match extension {
                Ipv6ExtensionSlice::Fragment(header) => Some(header.to_header()),
                _ => None,
            })?;
            (header.identification, header.fragment_offset, header.more_fragments)
        }
        LaxNetSlice::Arp(_) => return None,
    };
    Some(Piece::Fragment(Fragment { protocol, identification, offset, more, bytes }))
}

/// Takes the payload of an IP datagram apart; [`None`] when it does not come from the DNS port.
pub(super) fn transport(protocol: IpNumber, payload: &[u8]) -> Option<Piece<'_>> {
    match protocol {
        IpNumber::UDP => {
            let udp = UdpSlice::from_slice_lax(payload).ok().filter(|udp| udp.source_port() == DNS)?;
            Some(Piece::Datagram { device_port: udp.destination_port(), message: udp.payload() })
        }
        IpNumber::TCP => {
            let tcp = TcpSlice::from_slice(payload).ok().filter(|tcp| tcp.source_port() == DNS)?;
            let (device_port, sequence) = (tcp.destination_port(), tcp.sequence_number());
            Some(Piece::Segment { device_port, sequence, bytes: tcp.payload() })
        }
        _ => None,
    }
}
