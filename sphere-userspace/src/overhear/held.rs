//! A frame that the programs held back, made ready to be sent on.
//!
//! What the programs saw is not always what was to go on the wire: the kernel leaves checksums to the network card, joins
//! TCP segments into frames longer than the link takes, and keeps a VLAN tag beside the frame. The frame is sent by
//! other means than it came, so all of that is done here.

use std::time::Duration;

use etherparse::checksum::Sum16BitWords;
use etherparse::{IpNumber, Ipv4Header, Ipv6Header, LaxNetSlice, LaxSlicedPacket, TcpHeader, UdpHeader};
use sphere_common::abi::Unjudged;

use crate::reconcile::Moment;

/// Bytes of both hardware addresses, behind which a VLAN tag stands.
const MACS: usize = 12;
/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// Bytes of a TCP segment that every host takes: over IPv4 (RFC 9293 section 3.7.1), and over IPv6.
const SEGMENT4: usize = 536;
const SEGMENT6: usize = 1220;

/// A frame that was held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFrame {
    /// Interface index of the device port.
    pub ifindex: u32,
    /// Number of the device's group.
    pub group: u32,
    /// When it was held back.
    pub at: Moment,
    bytes: Vec<u8>,
    is_cut: bool,
    /// VLAN tag beside the frame: EtherType and identifier, as they go on the wire.
    tag: Option<[u8; 4]>,
}

/// The network header of a frame.
#[derive(Clone, Debug)]
enum Network {
    V4(Ipv4Header),
    V6(Ipv6Header),
}

/// A frame whose transport header can be written anew.
#[derive(Debug)]
struct Layout<'a> {
    network: Network,
    network_at: usize,
    protocol: IpNumber,
    transport: &'a [u8],
}

impl HeldFrame {
    /// The frame of a record; [`None`] when it was not held back.
    #[must_use]
    pub fn new(head: &Unjudged, frame: &[u8]) -> Option<Self> {
        let [a, b] = head.vlan_protocol_be.to_ne_bytes();
        let [c, d] = head.vlan_tci.to_be_bytes();
        (head.held != 0).then(|| Self {
            ifindex: head.ifindex,
            group: head.group,
            at: Moment::new(Duration::from_nanos(head.monotonic_ns)),
            bytes: frame.to_vec(),
            is_cut: head.copied_bytes < head.frame_bytes,
            tag: (head.vlan_protocol_be != 0).then_some([a, b, c, d]),
        })
    }

    /// The frame as it goes on the wire; [`None`] when a part of it was cut off.
    #[must_use]
    pub fn whole(&self) -> Option<Vec<u8>> {
        if self.is_cut {
            return None;
        }
        let mut bytes = self.bytes.clone();
        if let Some((at, checksum)) = Layout::of(&self.bytes).and_then(|layout| layout.missing_checksum()) {
            for (to, from) in bytes.iter_mut().skip(at).zip(checksum.to_be_bytes()) {
                *to = from;
            }
        }
        Some(self.tagged(bytes))
    }

    /// The TCP segment of the frame in pieces that every link and host takes; empty when it carries something else. Of a
    /// frame that was cut, what is there: the sender sends the rest again.
    #[must_use]
    pub fn segments(&self) -> Vec<Vec<u8>> {
        let segments = Layout::of(&self.bytes).and_then(|layout| layout.segments(&self.bytes, self.is_cut));
        segments.unwrap_or_default().into_iter().map(|bytes| self.tagged(bytes)).collect()
    }

    fn tagged(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(tag) = self.tag
            && bytes.len() >= MACS
        {
            bytes.splice(MACS..MACS, tag);
        }
        bytes
    }
}

impl<'a> Layout<'a> {
    /// [`None`] for a fragment, whose checksum covers what is not there, and behind extension headers.
    fn of(frame: &'a [u8]) -> Option<Self> {
        let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
        let network_at = ETHERNET + packet.link_exts.iter().map(etherparse::LaxLinkExtSlice::header_len).sum::<usize>();
        let (network, payload) = match packet.net? {
            LaxNetSlice::Ipv4(v4) => (Network::V4(v4.header().to_header()), v4.payload().clone()),
            LaxNetSlice::Ipv6(v6) if v6.extensions().is_empty() => {
                (Network::V6(v6.header().to_header()), v6.payload().clone())
            }
            LaxNetSlice::Ipv6(_) | LaxNetSlice::Arp(_) => return None,
        };
        let layout = Self { network, network_at, protocol: payload.ip_number, transport: payload.payload };
        (!payload.fragmented).then_some(layout)
    }

    /// Where the checksum stands, and what it must be, if the network card was to fill it in: then what stands there is
    /// the sum over the pseudo header (`CHECKSUM_PARTIAL` in include/linux/skbuff.h).
    fn missing_checksum(&self) -> Option<(usize, u16)> {
        let checksum_in_header = match self.protocol {
            IpNumber::UDP => 6,
            IpNumber::TCP => 16,
            _ => return None,
        };
        let field = self.transport.get(checksum_in_header..checksum_in_header + 2)?;
        let length = u16::try_from(self.transport.len()).ok()?;
        let sum = match &self.network {
            Network::V4(header) => Sum16BitWords::new().add_4bytes(header.source).add_4bytes(header.destination),
            Network::V6(header) => Sum16BitWords::new().add_16bytes(header.source).add_16bytes(header.destination),
        };
        let sum = sum.add_2bytes([0, self.protocol.0]).add_2bytes(length.to_be_bytes());
        // The field is the sum itself, not its complement; what is added up as it lies in memory comes out so.
        if field != (!sum.ones_complement()).to_ne_bytes() {
            return None;
        }
        let header_bytes = match &self.network {
            Network::V4(header) => header.header_len(),
            Network::V6(_) => Ipv6Header::LEN,
        };
        Some((self.network_at + header_bytes + checksum_in_header, self.checksum(self.protocol, self.transport)?))
    }

    /// The checksum of a transport header and what follows it.
    fn checksum(&self, protocol: IpNumber, transport: &[u8]) -> Option<u16> {
        if protocol == IpNumber::TCP {
            let (header, payload) = TcpHeader::from_slice(transport).ok()?;
            return match &self.network {
                Network::V4(ip) => header.calc_checksum_ipv4(ip, payload).ok(),
                Network::V6(ip) => header.calc_checksum_ipv6(ip, payload).ok(),
            };
        }
        let (header, payload) = UdpHeader::from_slice(transport).ok()?;
        match &self.network {
            Network::V4(ip) => header.calc_checksum_ipv4(ip, payload).ok(),
            Network::V6(ip) => header.calc_checksum_ipv6(ip, payload).ok(),
        }
    }

    fn segments(&self, frame: &[u8], is_cut: bool) -> Option<Vec<Vec<u8>>> {
        if self.protocol != IpNumber::TCP {
            return None;
        }
        let link = frame.get(..self.network_at)?;
        let (tcp, payload) = TcpHeader::from_slice(self.transport).ok()?;
        let room = if matches!(self.network, Network::V4(_)) { SEGMENT4 } else { SEGMENT6 };
        let count = payload.len().div_ceil(room);
        let segment = |(index, piece): (usize, &[u8])| {
            let mut tcp = tcp.clone();
            tcp.sequence_number = tcp.sequence_number.wrapping_add(u32::try_from(index * room).ok()?);
            let is_last = index + 1 == count && !is_cut;
            (tcp.fin, tcp.psh, tcp.cwr) = (tcp.fin && is_last, tcp.psh && is_last, tcp.cwr && index == 0);
            let transport_bytes = tcp.header_len() + piece.len();
            let mut bytes = link.to_vec();
            match &self.network {
                Network::V4(ip) => {
                    let mut ip = ip.clone();
                    ip.set_payload_len(transport_bytes).ok()?;
                    ip.identification = ip.identification.wrapping_add(u16::try_from(index).ok()?);
                    ip.header_checksum = ip.calc_header_checksum();
                    tcp.checksum = tcp.calc_checksum_ipv4(&ip, piece).ok()?;
                    bytes.extend(ip.to_bytes());
                }
                Network::V6(ip) => {
                    let mut ip = ip.clone();
                    ip.set_payload_length(transport_bytes).ok()?;
                    tcp.checksum = tcp.calc_checksum_ipv6(&ip, piece).ok()?;
                    bytes.extend(ip.to_bytes());
                }
            }
            bytes.extend(tcp.to_bytes());
            bytes.extend(piece);
            Some(bytes)
        };
        payload.chunks(room).enumerate().map(segment).collect()
    }
}
