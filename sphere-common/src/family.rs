//! IPv4 and IPv6 as one pattern: what the deciding code needs to know of an address family.

use crate::abi::{Cidr4Data, Cidr6Data, Endpoint4Key, Endpoint6Key, Flow4Key, Flow6Key, Reserved4, Subnet4, Subnet6};
use crate::abi::{Config, SubnetValue, config_flags, port_flags};
use crate::packet::{Network, Packet, icmp, ipv4, ipv6};
use crate::verdict::Reason;

/// How far an address reaches, as far as a gateway cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One host.
    Unicast,
    /// Broadcast or multicast that no router forwards.
    Link,
    /// Multicast beyond the link.
    Multicast,
}

/// An address family.
pub trait Family: Copy + core::fmt::Debug {
    /// An address as it lies in memory.
    type Address: Copy + Eq + Default + core::fmt::Debug;
    /// Key of the exact table.
    type EndpointKey;
    /// Key of the prefix table.
    type CidrData;
    /// Key of the flow table.
    type FlowKey: Copy;
    /// A device subnet in the configuration.
    type Subnet;
    /// Number of the control message protocol.
    const ICMP: u8;
    /// Bits of an address.
    const ADDRESS_BITS: u32;
    /// Set in the configuration when the prefix table has rules about destinations.
    const CIDR_FLAG: u32;
    /// Set in the configuration when the prefix table has inbound rules.
    const INBOUND_FLAG: u32;
    /// Set in a port's flags when it denies sources outside device subnets.
    const DENY_FOREIGN: u8;
    /// Set in a port's flags when it denies link-local sources; 0 in a family in which hosts do without.
    const DENY_LINK_LOCAL: u8;
    /// Bytes behind the network header that an ICMP error may have.
    const ERROR_BYTES: u32;

    /// Source and destination of the packet at `at`.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] when they are cut off.
    fn addresses<P: Packet>(packet: &P, at: usize) -> Result<(Self::Address, Self::Address), Reason>;
    /// Reads the rest of the network header at `at` into `network`.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be read.
    fn network<P: Packet>(packet: &P, at: usize, network: &mut Network) -> Result<(), Reason>;
    /// Looks for a source route in the network header between `at` and `end`, where [`Family::network`] has not.
    ///
    /// # Errors
    ///
    /// The reason why the packet is not to be let through.
    fn source_route<P: Packet>(packet: &P, at: usize, end: usize) -> Result<(), Reason>;
    /// The network header of a packet quoted in an ICMP error.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be read.
    fn quoted<P: Packet>(packet: &P, at: usize, network: &mut Network) -> Result<(), Reason>;
    /// The control message behind a network header.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] when it is cut off.
    fn icmp<P: Packet>(packet: &P, network: &Network) -> Result<icmp::Icmp, Reason>;
    /// Key of an exact endpoint.
    fn endpoint_key(group: u32, address: Self::Address, protocol: u8, port_be: u16) -> Self::EndpointKey;
    /// Key of a prefix rule; `group` may carry [`crate::abi::INBOUND`].
    fn cidr_data(group: u32, address: Self::Address, protocol: u8, port_be: u16) -> Self::CidrData;
    /// Key of a flow.
    fn flow_key(flow: Flow<Self::Address>) -> Self::FlowKey;
    /// The address as it lies in 16 bytes of memory, IPv4 as `::ffff:a.b.c.d`.
    fn mapped(address: Self::Address) -> [u64; 2];
    /// How far the address reaches.
    fn scope(address: Self::Address) -> Scope;
    /// Whether it is an address that no router forwards packets from or to, multicast aside.
    fn is_link_local(address: Self::Address) -> bool;
    /// Device subnets in the configuration, and how many are used.
    fn subnets(config: &Config) -> (&[Self::Subnet], u32);
    /// The subnet's meaning when the address is in it: the port it belongs to, and its group.
    fn subnet_match(subnet: &Self::Subnet, address: Self::Address) -> Option<(u32, SubnetValue)>;
    /// Whether the address is the broadcast address of the subnet.
    fn is_subnet_broadcast(subnet: &Self::Subnet, address: Self::Address) -> bool;
    /// Whether the address is in a reserved prefix.
    fn is_reserved(config: &Config, address: Self::Address) -> bool;
    /// Whether a datagram from port to port is a device's search for a DHCP server.
    fn is_dhcp_discovery(destination: Self::Address, ports: (u16, u16)) -> bool;
    /// Client and server port of DHCP in this family.
    const DHCP_PORTS_BE: (u16, u16);
}

/// Parts of a flow key.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Flow<A> {
    /// Address of the device.
    pub device: A,
    /// Address of the peer.
    pub peer: A,
    /// Port of the device.
    pub device_port_be: u16,
    /// Port of the peer.
    pub peer_port_be: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// [`crate::abi::flow_kind`].
    pub kind: u8,
}

/// IPv4.
#[derive(Clone, Copy, Debug)]
pub struct V4;
/// IPv6.
#[derive(Clone, Copy, Debug)]
pub struct V6;

const V4_BROADCAST: u32 = u32::MAX;

impl Family for V4 {
    type Address = u32;
    type EndpointKey = Endpoint4Key;
    type CidrData = Cidr4Data;
    type FlowKey = Flow4Key;
    type Subnet = Subnet4;
    const ICMP: u8 = icmp::ICMP;
    const ADDRESS_BITS: u32 = 32;
    const CIDR_FLAG: u32 = config_flags::CIDRS4;
    const INBOUND_FLAG: u32 = config_flags::INBOUND4;
    const DENY_FOREIGN: u8 = port_flags::DENY_FOREIGN4;
    const DENY_LINK_LOCAL: u8 = 0;
    // A router's error is at most 576 bytes long (RFC 1812 section 4.3.2.3), as is a host's.
    const ERROR_BYTES: u32 = 576 - 20;
    const DHCP_PORTS_BE: (u16, u16) = (68_u16.to_be(), 67_u16.to_be());

    #[inline(always)]
    fn addresses<P: Packet>(packet: &P, at: usize) -> Result<(u32, u32), Reason> {
        ipv4::addresses(packet, at)
    }
    #[inline(always)]
    fn network<P: Packet>(packet: &P, at: usize, network: &mut Network) -> Result<(), Reason> {
        *network = ipv4::network(packet, at)?;
        Ok(())
    }
    #[inline(always)]
    fn source_route<P: Packet>(packet: &P, at: usize, end: usize) -> Result<(), Reason> {
        ipv4::options(packet, at, end)
    }
    #[inline(never)]
    fn quoted<P: Packet>(packet: &P, at: usize, network: &mut Network) -> Result<(), Reason> {
        *network = ipv4::quoted(packet, at)?;
        Ok(())
    }
    #[inline(always)]
    fn icmp<P: Packet>(packet: &P, network: &Network) -> Result<icmp::Icmp, Reason> {
        icmp::v4(packet, network)
    }
    #[inline(always)]
    fn endpoint_key(group: u32, address: u32, protocol: u8, port_be: u16) -> Endpoint4Key {
        Endpoint4Key { group, address: address.to_ne_bytes(), port_be: port_be.to_ne_bytes(), protocol, pad: 0 }
    }
    #[inline(always)]
    fn cidr_data(group: u32, address: u32, protocol: u8, port_be: u16) -> Cidr4Data {
        Cidr4Data {
            group_be: group.to_be_bytes(),
            protocol,
            pad: 0,
            port_be: port_be.to_ne_bytes(),
            address: address.to_ne_bytes(),
        }
    }
    #[inline(always)]
    fn flow_key(flow: Flow<u32>) -> Flow4Key {
        Flow4Key {
            device: flow.device.to_ne_bytes(),
            peer: flow.peer.to_ne_bytes(),
            device_port_be: flow.device_port_be.to_ne_bytes(),
            peer_port_be: flow.peer_port_be.to_ne_bytes(),
            protocol: flow.protocol,
            kind: flow.kind,
            pad: [0; 2],
        }
    }
    #[inline(always)]
    fn mapped(address: u32) -> [u64; 2] {
        let [a, b, c, d] = address.to_ne_bytes();
        [0, u64::from_ne_bytes([0, 0, 0xff, 0xff, a, b, c, d])]
    }
    #[inline(always)]
    fn scope(address: u32) -> Scope {
        let host = u32::from_be(address);
        if address == V4_BROADCAST || host >> 8 == 0x00e0_0000 {
            Scope::Link
        } else if host >> 28 == 0xe {
            Scope::Multicast
        } else {
            Scope::Unicast
        }
    }
    #[inline(always)]
    fn is_link_local(address: u32) -> bool {
        // 169.254.0.0/16 (RFC 3927).
        u32::from_be(address) >> 16 == 0xa9fe
    }
    #[inline(always)]
    fn subnets(config: &Config) -> (&[Subnet4], u32) {
        (&config.subnets4, config.subnets4_len)
    }
    #[inline(always)]
    fn subnet_match(subnet: &Subnet4, address: u32) -> Option<(u32, SubnetValue)> {
        let inside = address & u32::from_ne_bytes(subnet.mask) == u32::from_ne_bytes(subnet.network);
        inside.then_some((subnet.ifindex, subnet.group))
    }
    #[inline(always)]
    fn is_subnet_broadcast(subnet: &Subnet4, address: u32) -> bool {
        let mask = u32::from_ne_bytes(subnet.mask);
        address == u32::from_ne_bytes(subnet.network) | !mask && mask != u32::MAX
    }
    #[inline(always)]
    fn is_reserved(config: &Config, address: u32) -> bool {
        let mut index = 0;
        while let Some(Reserved4 { network, mask }) = config.reserved4.get(index)
            && index < config.reserved4_len as usize
        {
            if address & u32::from_ne_bytes(*mask) == u32::from_ne_bytes(*network) {
                return true;
            }
            index += 1;
        }
        false
    }
    #[inline(always)]
    fn is_dhcp_discovery(destination: u32, (client, server): (u16, u16)) -> bool {
        destination == V4_BROADCAST && (client, server) == Self::DHCP_PORTS_BE
    }
}

impl Family for V6 {
    type Address = [u64; 2];
    type EndpointKey = Endpoint6Key;
    type CidrData = Cidr6Data;
    type FlowKey = Flow6Key;
    type Subnet = Subnet6;
    const ICMP: u8 = icmp::ICMPV6;
    const ADDRESS_BITS: u32 = 128;
    const CIDR_FLAG: u32 = config_flags::CIDRS6;
    const INBOUND_FLAG: u32 = config_flags::INBOUND6;
    const DENY_FOREIGN: u8 = port_flags::DENY_FOREIGN6;
    const DENY_LINK_LOCAL: u8 = port_flags::DENY_LINK_LOCAL6;
    // As much as fits the smallest MTU (RFC 4443 section 2.4, rule c).
    const ERROR_BYTES: u32 = 1280 - 40;
    const DHCP_PORTS_BE: (u16, u16) = (546_u16.to_be(), 547_u16.to_be());

    #[inline(always)]
    fn addresses<P: Packet>(packet: &P, at: usize) -> Result<([u64; 2], [u64; 2]), Reason> {
        ipv6::addresses(packet, at)
    }
    // A function of its own, so that the verifier walks the extension headers once and sees one way out.
    #[inline(never)]
    fn network<P: Packet>(packet: &P, at: usize, network: &mut Network) -> Result<(), Reason> {
        *network = ipv6::network(packet, at)?;
        Ok(())
    }
    #[inline(always)]
    fn source_route<P: Packet>(_packet: &P, _at: usize, _end: usize) -> Result<(), Reason> {
        Ok(())
    }
    #[inline(never)]
    fn quoted<P: Packet>(packet: &P, at: usize, network: &mut Network) -> Result<(), Reason> {
        *network = ipv6::quoted(packet, at)?;
        Ok(())
    }
    #[inline(always)]
    fn icmp<P: Packet>(packet: &P, network: &Network) -> Result<icmp::Icmp, Reason> {
        icmp::v6(packet, network)
    }
    #[inline(always)]
    fn endpoint_key(group: u32, address: [u64; 2], protocol: u8, port_be: u16) -> Endpoint6Key {
        Endpoint6Key { group, address: zerocopy::transmute!(address), port_be: port_be.to_ne_bytes(), protocol, pad: 0 }
    }
    #[inline(always)]
    fn cidr_data(group: u32, address: [u64; 2], protocol: u8, port_be: u16) -> Cidr6Data {
        Cidr6Data {
            group_be: group.to_be_bytes(),
            protocol,
            pad: 0,
            port_be: port_be.to_ne_bytes(),
            address: zerocopy::transmute!(address),
        }
    }
    #[inline(always)]
    fn flow_key(flow: Flow<[u64; 2]>) -> Flow6Key {
        Flow6Key {
            device: zerocopy::transmute!(flow.device),
            peer: zerocopy::transmute!(flow.peer),
            device_port_be: flow.device_port_be.to_ne_bytes(),
            peer_port_be: flow.peer_port_be.to_ne_bytes(),
            protocol: flow.protocol,
            kind: flow.kind,
            pad: [0; 2],
        }
    }
    #[inline(always)]
    fn mapped(address: [u64; 2]) -> [u64; 2] {
        address
    }
    #[inline(always)]
    fn scope([high, _]: [u64; 2]) -> Scope {
        let [first, second, ..] = high.to_ne_bytes();
        match (first, second & 0x0f) {
            // Interface-local and link-local multicast (RFC 4291 section 2.7).
            (0xff, 0x01 | 0x02) => Scope::Link,
            (0xff, _) => Scope::Multicast,
            _ => Scope::Unicast,
        }
    }
    #[inline(always)]
    fn is_link_local([high, low]: [u64; 2]) -> bool {
        // fe80::/10 and the unspecified address (RFC 4291 sections 2.5.6 and 2.5.2).
        u64::from_be(high) >> 54 == 0xfe80 >> 6 || high | low == 0
    }
    #[inline(always)]
    fn subnets(config: &Config) -> (&[Subnet6], u32) {
        (&config.subnets6, config.subnets6_len)
    }
    #[inline(always)]
    fn subnet_match(subnet: &Subnet6, [high, low]: [u64; 2]) -> Option<(u32, SubnetValue)> {
        let [mask_high, mask_low]: [u64; 2] = zerocopy::transmute!(subnet.mask);
        let [network_high, network_low]: [u64; 2] = zerocopy::transmute!(subnet.network);
        let inside = high & mask_high == network_high && low & mask_low == network_low;
        inside.then_some((subnet.ifindex, subnet.group))
    }
    #[inline(always)]
    fn is_subnet_broadcast(_subnet: &Subnet6, _address: [u64; 2]) -> bool {
        false
    }
    #[inline(always)]
    fn is_reserved(_config: &Config, _address: [u64; 2]) -> bool {
        false
    }
    #[inline(always)]
    fn is_dhcp_discovery(destination: [u64; 2], (client, server): (u16, u16)) -> bool {
        // ff02::1:2, all relay agents and servers (RFC 8415 section 7.1).
        let servers = [0xff02_0000_0000_0000_u64.to_be(), 0x0001_0002_u64.to_be()];
        destination == servers && (client, server) == Self::DHCP_PORTS_BE
    }
}
