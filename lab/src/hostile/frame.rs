//! Frames that no well-behaved network stack would send.
//!
//! Each carries the mark of its sender, by which it is found again wherever it comes out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Result, bail};
use etherparse::{Icmpv6Type, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};

/// Where an IPv4 header begins in an untagged frame.
const IPV4_AT: usize = 14;

/// A UDP datagram of either family, between two hardware addresses.
///
/// # Errors
/// When the addresses are of two families, or the payload is too long.
pub fn datagram(macs: ([u8; 6], [u8; 6]), from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Result<Vec<u8>> {
    let link = PacketBuilder::ethernet2(macs.0, macs.1);
    let packet = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => link.ipv4(source.octets(), destination.octets(), 64),
        (IpAddr::V6(source), IpAddr::V6(destination)) => link.ipv6(source.octets(), destination.octets(), 64),
        _ => bail!("{from} and {to} are of two families"),
    };
    let mut frame = Vec::new();
    packet.udp(from.port(), to.port()).write(&mut frame, payload)?;
    Ok(frame)
}

/// Who sends frames to whom.
#[derive(Clone, Copy, Debug)]
pub struct Craft {
    /// MAC address of the sender.
    pub source_mac: [u8; 6],
    /// MAC address of the next hop.
    pub next_hop_mac: [u8; 6],
    /// Source address.
    pub source: Ipv4Addr,
    /// Source address, IPv6.
    pub source6: Ipv6Addr,
    /// What is found again.
    pub mark: [u8; 8],
}

impl Craft {
    /// The same sender under another IPv4 address.
    #[must_use]
    pub fn from(self, source: Ipv4Addr) -> Self {
        Self { source, ..self }
    }

    /// A UDP datagram.
    pub fn udp(&self, to: Ipv4Addr, port: u16) -> Result<Vec<u8>> {
        let packet = self.ethernet().ipv4(self.source.octets(), to.octets(), 64).udp(40_000, port);
        let mut frame = Vec::new();
        packet.write(&mut frame, &self.mark)?;
        Ok(frame)
    }

    /// A UDP datagram over IPv6.
    pub fn udp6(&self, to: Ipv6Addr, port: u16) -> Result<Vec<u8>> {
        let packet = self.ethernet().ipv6(self.source6.octets(), to.octets(), 64).udp(40_000, port);
        let mut frame = Vec::new();
        packet.write(&mut frame, &self.mark)?;
        Ok(frame)
    }

    /// A TCP segment that opens a connection.
    pub fn syn(&self, to: Ipv4Addr, port: u16) -> Result<Vec<u8>> {
        let packet = self.ethernet().ipv4(self.source.octets(), to.octets(), 64);
        let mut frame = Vec::new();
        packet.tcp(40_000, port, 1, 1024).syn().write(&mut frame, &self.mark)?;
        Ok(frame)
    }

    /// A TCP segment from the middle of a connection that was never opened.
    pub fn ack(&self, to: Ipv4Addr, port: u16) -> Result<Vec<u8>> {
        let packet = self.ethernet().ipv4(self.source.octets(), to.octets(), 64);
        let mut frame = Vec::new();
        packet.tcp(40_001, port, 1, 1024).ack(1).psh().write(&mut frame, &self.mark)?;
        Ok(frame)
    }

    /// An echo request.
    pub fn echo(&self, to: Ipv4Addr) -> Result<Vec<u8>> {
        let packet = self.ethernet().ipv4(self.source.octets(), to.octets(), 64);
        let mut frame = Vec::new();
        packet.icmpv4_echo_request(7, 1).write(&mut frame, &self.mark)?;
        Ok(frame)
    }

    /// A UDP datagram that says it comes from another port.
    pub fn udp_from(&self, source_port: u16, to: Ipv4Addr, port: u16) -> Result<Vec<u8>> {
        let packet = self.ethernet().ipv4(self.source.octets(), to.octets(), 64).udp(source_port, port);
        let mut frame = Vec::new();
        packet.write(&mut frame, &self.mark)?;
        Ok(frame)
    }

    /// A UDP datagram whose header claims no payload: the rest hides behind its end.
    pub fn hidden(&self, to: Ipv4Addr, port: u16) -> Result<Vec<u8>> {
        let mut frame = self.udp(to, port)?;
        if let Some(length) = frame.get_mut(IPV4_AT + 24..IPV4_AT + 26) {
            length.copy_from_slice(&8_u16.to_be_bytes());
        }
        Ok(frame)
    }

    /// A UDP datagram with a loose source route by way of its destination (RFC 791 section 3.1).
    pub fn routed(&self, to: Ipv4Addr, port: u16) -> Result<Vec<u8>> {
        let [a, b, c, d] = to.octets();
        let datagram = self.udp(to, port)?;
        let payload = datagram.get(IPV4_AT + 20..).unwrap_or_default();
        let options = [131, 7, 4, a, b, c, d, 0];
        let change = |header: &mut Ipv4Header| {
            header.options = options.into();
            header.total_len += 8;
        };
        self.ipv4(to, IpNumber::UDP, change, payload)
    }

    /// A UDP datagram over IPv6 with a routing header of type 0 that names one more host to visit (RFC 8200 section 4.4).
    pub fn routed6(&self, to: Ipv6Addr) -> Result<Vec<u8>> {
        let datagram = self.udp6(to, 443)?;
        let payload = datagram.get(IPV4_AT + 40..).unwrap_or_default();
        let routing = [IpNumber::UDP.0, 2, 0, 1, 0, 0, 0, 0];
        self.ipv6(self.source6, to, IpNumber::IPV6_ROUTE_HEADER, &[&routing[..], &to.octets(), payload].concat())
    }

    /// A neighbour advertisement with hop limit 255, as only hosts on the link may send it (RFC 4861 section 7.1.2).
    pub fn advertisement(&self, to: Ipv6Addr) -> Result<Vec<u8>> {
        let message = [&[136, 0, 0, 0, 0x60, 0, 0, 0], &self.source6.octets()[..], &[2, 1], &self.source_mac].concat();
        let payload = [&message[..], &self.mark].concat();
        let checksum = Icmpv6Type::Unknown { type_u8: 136, code_u8: 0, bytes5to8: [0x60, 0, 0, 0] }.calc_checksum(
            self.source6.octets(),
            to.octets(),
            payload.get(8..).unwrap_or_default(),
        )?;
        let mut payload = payload;
        if let Some(field) = payload.get_mut(2..4) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
        self.ipv6(self.source6, to, IpNumber::IPV6_ICMP, &payload)
    }

    /// "Port unreachable", quoting a datagram between `inner` source and destination that nobody sent.
    pub fn unreachable(&self, to: Ipv4Addr, inner: (Ipv4Addr, Ipv4Addr)) -> Result<Vec<u8>> {
        let mut quoted = Vec::new();
        let packet = PacketBuilder::ipv4(inner.0.octets(), inner.1.octets(), 64).udp(41_000, 41_001);
        packet.write(&mut quoted, &self.mark)?;
        let packet = self.ethernet().ipv4(self.source.octets(), to.octets(), 64);
        let mut frame = Vec::new();
        packet.icmpv4_raw(3, 3, [0; 4]).write(&mut frame, &quoted)?;
        Ok(frame)
    }

    /// A packet of any IP protocol.
    pub fn protocol(&self, to: Ipv4Addr, protocol: u8) -> Result<Vec<u8>> {
        self.ipv4(to, IpNumber(protocol), |_header| {}, &self.mark)
    }

    /// A piece of a datagram: `offset` in units of 8 bytes.
    pub fn fragment(
        &self,
        to: Ipv4Addr,
        protocol: IpNumber,
        (offset, more): (u16, bool),
        payload: &[u8],
    ) -> Result<Vec<u8>> {
        let offset = offset.try_into()?;
        let change = |header: &mut Ipv4Header| {
            header.identification = 0x5bad;
            header.more_fragments = more;
            header.fragment_offset = offset;
            header.dont_fragment = false;
        };
        self.ipv4(to, protocol, change, payload)
    }

    /// A UDP datagram whose IPv4 header claims to be `words` times 4 bytes long.
    pub fn header_length(&self, to: Ipv4Addr, words: u8) -> Result<Vec<u8>> {
        let mut frame = self.udp(to, 443)?;
        if let Some(first) = frame.get_mut(IPV4_AT) {
            *first = 0x40 | words;
        }
        Ok(frame)
    }

    /// A UDP datagram whose IPv4 header claims more bytes than the frame has.
    pub fn too_long(&self, to: Ipv4Addr) -> Result<Vec<u8>> {
        let mut frame = self.udp(to, 443)?;
        if let Some(length) = frame.get_mut(IPV4_AT + 2..IPV4_AT + 4) {
            length.copy_from_slice(&1400_u16.to_be_bytes());
        }
        Ok(frame)
    }

    /// A frame with `count` VLAN tags around a UDP datagram.
    pub fn tagged(&self, to: Ipv4Addr, count: u16) -> Result<Vec<u8>> {
        let plain = self.udp(to, 443)?;
        let (addresses, rest) = plain.split_at(12);
        let mut frame = addresses.to_vec();
        for tag in 0..count {
            frame.extend([0x81, 0x00]);
            frame.extend((100 + tag).to_be_bytes());
        }
        frame.extend(rest);
        Ok(frame)
    }

    /// A frame of any EtherType.
    #[must_use]
    pub fn ethertype(&self, ethertype: u16) -> Vec<u8> {
        let mut frame = [self.next_hop_mac, self.source_mac].concat();
        frame.extend(ethertype.to_be_bytes());
        frame.extend(self.mark);
        frame.resize(60, 0);
        frame
    }

    /// A UDP datagram over IPv6 behind `count` destination-options headers (RFC 8200 section 4.6).
    pub fn extended(&self, to: Ipv6Addr, count: usize) -> Result<Vec<u8>> {
        const AFTER_HEADER: usize = IPV4_AT + 40;
        const DESTINATION_OPTIONS: u8 = 60;
        let plain = self.udp6(to, 443)?;
        let (header, datagram) = plain.split_at(AFTER_HEADER);
        let mut frame = header.to_vec();
        let length = u16::try_from(datagram.len() + 8 * count)?;
        if let Some(field) = frame.get_mut(IPV4_AT + 4..IPV4_AT + 6) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        if let Some(next) = frame.get_mut(IPV4_AT + 6) {
            *next = DESTINATION_OPTIONS;
        }
        for left in (0..count).rev() {
            let next = if left == 0 { IpNumber::UDP.0 } else { DESTINATION_OPTIONS };
            // One PadN option fills the eight bytes.
            frame.extend([next, 0, 1, 4, 0, 0, 0, 0]);
        }
        frame.extend(datagram);
        Ok(frame)
    }

    fn ethernet(&self) -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
        PacketBuilder::ethernet2(self.source_mac, self.next_hop_mac)
    }

    fn ipv6(&self, source: Ipv6Addr, to: Ipv6Addr, next_header: IpNumber, payload: &[u8]) -> Result<Vec<u8>> {
        let header = Ipv6Header {
            payload_length: u16::try_from(payload.len())?,
            next_header,
            hop_limit: 255,
            source: source.octets(),
            destination: to.octets(),
            ..Ipv6Header::default()
        };
        let mut frame = [self.next_hop_mac, self.source_mac].concat();
        frame.extend([0x86, 0xdd]);
        header.write(&mut frame)?;
        frame.extend(payload);
        Ok(frame)
    }

    fn ipv4(
        &self,
        to: Ipv4Addr,
        protocol: IpNumber,
        change: impl FnOnce(&mut Ipv4Header),
        payload: &[u8],
    ) -> Result<Vec<u8>> {
        let length = u16::try_from(payload.len())?;
        let mut header = Ipv4Header::new(length, 64, protocol, self.source.octets(), to.octets())?;
        change(&mut header);
        header.header_checksum = header.calc_header_checksum();
        let mut frame = [self.next_hop_mac, self.source_mac].concat();
        frame.extend([0x08, 0x00]);
        header.write(&mut frame)?;
        frame.extend(payload);
        Ok(frame)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
    use etherparse::{NetSlice, SlicedPacket};

    use super::*;
    use crate::link::contains;

    const CRAFT: Craft = Craft {
        source_mac: [2, 0, 0, 0, 0, 1],
        next_hop_mac: [2, 0, 0, 0, 0, 2],
        source: Ipv4Addr::new(10, 20, 0, 9),
        source6: Ipv6Addr::LOCALHOST,
        mark: *b"marked!!",
    };
    const TO: Ipv4Addr = Ipv4Addr::new(20, 66, 0, 1);

    #[test]
    fn ordinary_frames_are_valid_and_marked() {
        let frames = [CRAFT.udp(TO, 53), CRAFT.syn(TO, 443), CRAFT.ack(TO, 443), CRAFT.echo(TO)];
        for frame in frames.map(Result::unwrap) {
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            assert!(packet.transport.is_some());
            assert!(contains(&frame, &CRAFT.mark));
        }
    }

    #[test]
    fn tags_stand_between_addresses_and_packet() {
        let frame = CRAFT.tagged(TO, 2).unwrap();
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        assert_eq!(packet.link_exts.len(), 2);
        assert!(packet.transport.is_some());
    }

    #[test]
    fn the_extension_chain_is_valid_for_the_oracle() {
        let frame = CRAFT.extended(Ipv6Addr::LOCALHOST, 1).unwrap();
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        assert!(matches!(packet.net, Some(NetSlice::Ipv6(ip)) if !ip.extensions().is_empty()));
        assert!(packet.transport.is_some());
        assert_eq!(CRAFT.extended(Ipv6Addr::LOCALHOST, 7).unwrap().len(), frame.len() + 6 * 8);
    }

    #[test]
    fn a_fragment_has_a_right_checksum_and_its_offset() {
        let frame = CRAFT.fragment(TO, IpNumber::UDP, (4, true), &CRAFT.mark).unwrap();
        let (header, payload) = Ipv4Header::from_slice(&frame[IPV4_AT..]).unwrap();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        assert_eq!((header.fragment_offset.value(), header.more_fragments), (4, true));
        assert_eq!(payload, CRAFT.mark);
    }

    #[test]
    fn what_is_meant_to_be_malformed_is() {
        for frame in [CRAFT.header_length(TO, 4), CRAFT.header_length(TO, 0), CRAFT.too_long(TO)] {
            assert!(SlicedPacket::from_ethernet(&frame.unwrap()).is_err());
        }
    }
}
