//! What a packet is, once its network header is read: the transport, and the subject of a record.

use crate::family::Family;
use crate::packet::icmp::Icmp;
use crate::packet::transport::{self, Ports, TcpFlags};
use crate::packet::{Network, Packet, icmp};
use crate::verdict::Reason;

/// The transport of a packet that is not a later fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment.
    Tcp(Ports, TcpFlags),
    /// A UDP datagram.
    Udp(Ports),
    /// A control message of the packet's own family.
    Icmp(Icmp),
    /// Any other protocol.
    Other,
}

impl Transport {
    /// Reads the transport header.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be read.
    #[inline(always)]
    pub fn parse<F: Family, P: Packet + ?Sized>(packet: &P, network: &Network) -> Result<Self, Reason> {
        match network.protocol {
            transport::TCP => transport::tcp(packet, network).map(|(ports, flags)| Self::Tcp(ports, flags)),
            transport::UDP => transport::udp(packet, network).map(Self::Udp),
            protocol if protocol == F::ICMP => F::icmp(packet, network).map(Self::Icmp),
            _ => Ok(Self::Other),
        }
    }

    /// Source and destination port; for ICMP type and code stand in the place of `source` and `destination` is 0.
    #[must_use]
    #[inline(always)]
    pub fn ports_be(self) -> (u16, u16) {
        match self {
            Self::Tcp(ports, _) | Self::Udp(ports) => (ports.source_be, ports.destination_be),
            Self::Icmp(icmp) => (icmp.type_code_be, 0),
            Self::Other => (0, 0),
        }
    }
}

/// Who talked to whom, for counters and records: as much of it as could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Subject {
    /// Address of the device (IPv4 as `::ffff:a.b.c.d`), zero when unknown.
    pub device: [u8; 16],
    /// Address of the peer, zero when unknown.
    pub peer: [u8; 16],
    /// Port of the device, or 0.
    pub device_port_be: u16,
    /// Port of the peer, or 0; for ICMP: type and code.
    pub peer_port_be: u16,
    /// EtherType behind the tags.
    pub ethertype_be: u16,
    /// VLAN identifiers plus one.
    pub vlan: [u16; 2],
    /// IP protocol number.
    pub protocol: u8,
}

/// Bytes of the header that stands before a quoted packet.
pub const QUOTE_OFFSET: usize = icmp::HEADER_BYTES;
