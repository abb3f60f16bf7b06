//! What the measurements share: a gateway of a given size in host tables, and the packets that cross it.
#![allow(clippy::expect_used, reason = "a measurement that cannot be set up must stop")]

use etherparse::PacketBuilder;
use sphere_common::abi::{Config, Endpoint4Key, EndpointValue, NEVER, Port, Subnet4, SubnetValue, Timeouts};
use sphere_common::decide::{Context, Workspace, ingress};
use sphere_common::host::HostTables;
use sphere_common::verdict::Reason;

/// Address of the device.
pub const DEVICE: [u8; 4] = [10, 20, 0, 5];
/// Interface index of the device port.
pub const IFINDEX: u32 = 7;

/// A gateway that enforces a policy of so many endpoints.
#[derive(Debug)]
pub struct Gateway {
    /// Its configuration.
    pub config: Config,
    /// Its tables.
    pub tables: HostTables,
    /// Room for the decision.
    pub workspace: Workspace,
}

impl Gateway {
    /// A gateway with one device subnet and `endpoints` HTTPS endpoints from 11.0.0.0 on.
    #[must_use]
    pub fn new(endpoints: u32) -> Self {
        let ticks = 250;
        let mut config = Config {
            ticks_per_second: ticks,
            subnets4_len: 1,
            flows_per_device: 256,
            events_per_second: 1000,
            timeouts: Timeouts {
                tcp_opening: 30 * ticks,
                tcp_established: 43_200 * ticks,
                tcp_closing: 60 * ticks,
                udp: 180 * ticks,
                icmp: 30 * ticks,
                fragment: 30 * ticks,
                ..Timeouts::default()
            },
            ..Config::default()
        };
        let group = SubnetValue { group: 1, enforce: 1, ..SubnetValue::default() };
        config.subnets4 = [Subnet4 { network: [10, 20, 0, 0], mask: [255, 255, 255, 0], ifindex: IFINDEX, group }; 8];
        let mut tables = HostTables::new(&config, 64);
        tables.ports.insert(IFINDEX, Port { enforce: 1, ..Port::default() });
        for number in 0..endpoints {
            let key = Endpoint4Key {
                group: 1,
                address: endpoint(number),
                port_be: 443_u16.to_be_bytes(),
                protocol: 6,
                pad: 0,
            };
            tables.endpoints4.insert(key, EndpointValue { expires: NEVER, rule: 1 + number % 100, flags: 0 });
        }
        Self { config, tables, workspace: Workspace::default() }
    }

    /// Judges a frame from a device.
    pub fn ingress(&mut self, frame: &[u8]) -> Reason {
        let context = Context { config: &self.config, ifindex: IFINDEX, now: 1_000_000 };
        ingress(&mut &*frame, &mut self.tables, &context, &mut self.workspace);
        self.workspace.decision.reason
    }
}

/// Address of an endpoint.
#[must_use]
pub fn endpoint(number: u32) -> [u8; 4] {
    (0x0b00_0000 + number).to_be_bytes()
}

/// A TCP segment in the middle of a connection from the device.
///
/// # Panics
///
/// Never: a vector takes all that is written to it.
#[must_use]
pub fn segment(to: [u8; 4], port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(DEVICE, to, 64)
        .tcp(40000, port, 1, 1000)
        .ack(1)
        .write(&mut frame, b"some payload")
        .expect("a vector takes all");
    frame
}
