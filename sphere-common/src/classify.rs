//! What a packet is, once its network header is read: the transport, and the subject of a record.

use crate::family::Family;
use crate::packet::icmp::Message;
use crate::packet::transport::{self, Ports, TcpFlags};
use crate::packet::{Network, Packet, icmp};
use crate::verdict::Reason;

/// What a packet's transport is to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A TCP segment.
    Tcp,
    /// A UDP datagram.
    Udp,
    /// An echo request; its identifier stands for both ports.
    EchoRequest,
    /// An echo reply; its identifier stands for both ports.
    EchoReply,
    /// An ICMP error about a packet that is quoted in it.
    Error,
    /// Neighbour or listener discovery.
    Discovery,
    /// Any other control message of the packet's own family.
    Control,
    /// Any other protocol.
    Other,
}

/// The transport header of a packet that is not a later fragment.
///
/// Flat, with every field always set: of an enum with fields the compiler would leave parts undefined, which the
/// verifier refuses to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Transport {
    /// What it is.
    pub kind: Kind,
    /// Flags of a TCP segment.
    pub flags: TcpFlags,
    /// Ports, or what stands for them; 0 where there are none.
    pub ports: Ports,
    /// Bytes of the header of a TCP segment or UDP datagram.
    pub header_bytes: u16,
}

impl Transport {
    /// A packet of which nothing is known yet.
    pub const UNKNOWN: Self = Self {
        kind: Kind::Other,
        flags: TcpFlags::NONE,
        ports: Ports { source_be: 0, destination_be: 0 },
        header_bytes: 0,
    };

    /// Reads the transport header.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be read.
    #[inline(always)]
    pub fn parse<F: Family, P: Packet>(packet: &P, network: &Network) -> Result<Self, Reason> {
        match network.protocol {
            transport::TCP => {
                let (ports, flags, header_bytes) = transport::tcp(packet, network)?;
                Ok(Self { kind: Kind::Tcp, flags, ports, header_bytes })
            }
            transport::UDP => Ok(Self {
                kind: Kind::Udp,
                ports: transport::udp(packet, network)?,
                header_bytes: transport::UDP_BYTES as u16,
                ..Self::UNKNOWN
            }),
            protocol if protocol == F::ICMP => {
                let icmp = F::icmp(packet, network)?;
                let kind = match icmp.message {
                    Message::EchoRequest => Kind::EchoRequest,
                    Message::EchoReply => Kind::EchoReply,
                    Message::Error => Kind::Error,
                    Message::Discovery => Kind::Discovery,
                    Message::Other => Kind::Control,
                };
                let identifier_be = icmp.identifier_be;
                let ports = Ports { source_be: identifier_be, destination_be: identifier_be };
                Ok(Self { kind, ports, ..Self::UNKNOWN })
            }
            _ => Ok(Self::UNKNOWN),
        }
    }
}

/// Who talked to whom, for counters and records: as much of it as could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Subject {
    /// Address of the device as it lies in memory (IPv4 as `::ffff:a.b.c.d`), zero when unknown. In words: byte arrays
    /// are copied byte by byte on the BPF machine.
    pub device: [u64; 2],
    /// Address of the peer, zero when unknown.
    pub peer: [u64; 2],
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

impl Subject {
    /// Address of the device in bytes.
    #[must_use]
    #[inline(always)]
    pub const fn device_bytes(&self) -> [u8; 16] {
        zerocopy::transmute!(self.device)
    }

    /// Address of the peer in bytes.
    #[must_use]
    #[inline(always)]
    pub const fn peer_bytes(&self) -> [u8; 16] {
        zerocopy::transmute!(self.peer)
    }
}

/// Bytes of the header that stands before a quoted packet.
pub const QUOTE_OFFSET: usize = icmp::HEADER_BYTES;
