//! A gateway of host tables with one device subnet, and the packets that tests send through it.

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, PacketBuilder};
use sphere_common::abi::{
    Cidr4Data, Config, Endpoint4Key, EndpointValue, INBOUND, NEVER, Port, Reserved4, Subnet4, SubnetValue, Timeouts,
    config_flags,
};
use sphere_common::decide::{Context, Decision, Workspace, egress, ingress};
use sphere_common::host::{HostTables, cidr_bits4};
use sphere_common::verdict::Reason;
use zerocopy::IntoBytes as _;

pub(crate) const DEVICE: [u8; 4] = [10, 20, 0, 5];
pub(crate) const CLOUD: [u8; 4] = [203, 0, 113, 7];
pub(crate) const STRANGER: [u8; 4] = [192, 0, 2, 66];
pub(crate) const IFINDEX: u32 = 7;
pub(crate) const TICKS: u64 = 100;

/// A gateway with one device subnet, whose clock the test turns.
pub(crate) struct Gateway {
    pub(crate) config: Config,
    pub(crate) tables: HostTables,
    pub(crate) now: u64,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let group = SubnetValue { group: 1, enforce: 1, ..SubnetValue::default() };
        let mut config = Config {
            ticks_per_second: TICKS as u32,
            flags: config_flags::CIDRS4 | config_flags::INBOUND4,
            subnets4_len: 2,
            reserved4_len: 1,
            flows_per_device: 16,
            timeouts: Timeouts {
                tcp_opening: 30 * TICKS as u32,
                tcp_established: 43_200 * TICKS as u32,
                tcp_closing: 60 * TICKS as u32,
                udp: 180 * TICKS as u32,
                icmp: 30 * TICKS as u32,
                fragment: 30 * TICKS as u32,
                ..Timeouts::default()
            },
            ..Config::default()
        };
        config.subnets4[0] = Subnet4 { network: [10, 20, 0, 0], mask: [255, 255, 255, 0], ifindex: IFINDEX, group };
        config.subnets4[1] = Subnet4 { network: [10, 30, 0, 0], mask: [255, 255, 255, 0], ifindex: 9, group };
        config.reserved4[0] = Reserved4 { network: [192, 168, 35, 0], mask: [255, 255, 255, 0] };
        let mut tables = HostTables::new(&config, 4);
        tables.ports.insert(IFINDEX, Port { enforce: 1, ..Port::default() });
        Self { config, tables, now: 1_000_000 }
    }

    pub(crate) fn allow(&mut self, protocol: u8, port: u16, expires: u64) {
        let key = Endpoint4Key { group: 1, address: CLOUD, port_be: port.to_be_bytes(), protocol, pad: 0 };
        self.tables.endpoints4.insert(key, EndpointValue { expires, rule: 11, flags: 0 });
    }

    pub(crate) fn forbid_all(&mut self) {
        self.tables.endpoints4.clear();
    }

    pub(crate) fn allow_inbound(&mut self, port: u16) {
        let group_be = (1 | INBOUND).to_be_bytes();
        let data = Cidr4Data { group_be, protocol: 6, pad: 0, port_be: port.to_be_bytes(), address: STRANGER };
        let value = EndpointValue { expires: NEVER, rule: 12, flags: 0 };
        self.tables.cidrs4.insert(cidr_bits4(32), data.as_bytes(), value);
    }

    pub(crate) fn later(&mut self, seconds: u64) {
        self.now += seconds * TICKS;
    }

    pub(crate) fn out(&mut self, frame: &[u8]) -> Reason {
        self.decide(frame, false).reason
    }

    pub(crate) fn back(&mut self, frame: &[u8]) -> Reason {
        self.decide(frame, true).reason
    }

    pub(crate) fn decide(&mut self, frame: &[u8], to_device: bool) -> Decision {
        let context = Context { config: &self.config, ifindex: IFINDEX, now: self.now };
        let mut workspace = Workspace::default();
        if to_device {
            egress(&mut &*frame, &mut self.tables, &context, &mut workspace);
        } else {
            ingress(&mut &*frame, &mut self.tables, &context, &mut workspace);
        }
        workspace.decision
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Flags {
    Syn,
    SynAck,
    Ack,
    Fin,
    Rst,
}

pub(crate) fn tcp(from: ([u8; 4], u16), to: ([u8; 4], u16), flags: Flags) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from.0, to.0, 64).tcp(from.1, to.1, 1, 1000);
    let builder = match flags {
        Flags::Syn => builder.syn(),
        Flags::SynAck => builder.syn().ack(1),
        Flags::Ack => builder.ack(1),
        Flags::Fin => builder.fin().ack(1),
        Flags::Rst => builder.rst(),
    };
    let mut frame = Vec::new();
    builder.write(&mut frame, &[]).unwrap();
    frame
}

pub(crate) fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from.0, to.0, 64).udp(from.1, to.1);
    builder.write(&mut frame, b"data").unwrap();
    frame
}

pub(crate) fn icmp_error(from: [u8; 4], to: [u8; 4], quoted: &[u8]) -> Vec<u8> {
    let mut payload = vec![3, 4, 0, 0, 0, 0, 5, 0];
    payload.extend(&quoted[14..14 + 28]);
    ip(from, to, IpNumber::ICMP, (0, false), &payload)
}

pub(crate) fn ip(from: [u8; 4], to: [u8; 4], protocol: IpNumber, fragment: (u16, bool), payload: &[u8]) -> Vec<u8> {
    let mut header = Ipv4Header::new(payload.len().try_into().unwrap(), 64, protocol, from, to).unwrap();
    header.identification = 7;
    header.fragment_offset = IpFragOffset::try_new(fragment.0 / 8).unwrap();
    header.more_fragments = fragment.1;
    let mut frame = vec![2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0];
    header.write(&mut frame).unwrap();
    frame.extend(payload);
    frame
}

/// An address as bytes.
pub(crate) fn bytes(words: [u64; 2]) -> [u8; 16] {
    zerocopy::transmute!(words)
}

pub(crate) const OUT: ([u8; 4], u16) = (DEVICE, 40000);
pub(crate) const HTTPS: ([u8; 4], u16) = (CLOUD, 443);
