//! A row of arbitrary frames through the classifier, over the tables of a small gateway.
//!
//! The input is a row of records: one byte of flags ([`Flags`]), two bytes of length (big-endian), the frame. The last
//! record may be cut short. Nothing may panic, and what is left from one frame must not colour the next: the programs
//! keep one workspace per CPU.

use sphere_common::abi::{
    Cidr4Data, Config, Endpoint4Key, Endpoint6Key, EndpointValue, INBOUND, NEVER, Port, Reserved4, Subnet4, Subnet6,
    SubnetValue, Timeouts, config_flags, endpoint_flags, port_flags,
};
use sphere_common::decide::{self, Context, Decision, Workspace};
use sphere_common::host::{self, HostTables};
use sphere_common::packet::Packet as _;
use sphere_common::verdict::Verdict;

pub(crate) const ENFORCED: u32 = 2;
const AUDITED: u32 = 3;
const DEVICES: u32 = 4;

/// Flags of a record.
struct Flags(u8);

impl Flags {
    fn to_device(&self) -> bool {
        self.0 & 1 != 0
    }

    fn ifindex(&self) -> u32 {
        if self.0 & 2 == 0 { ENFORCED } else { AUDITED }
    }

    /// Ticks that pass before the frame: nothing, or up to more than any flow lives.
    fn pause(&self) -> u64 {
        u64::from(self.0 >> 2).pow(3)
    }
}

/// Judges every frame of the input.
///
/// # Panics
///
/// When a decision depends on anything but the frame, the tables and the time.
pub fn judge(data: &[u8]) {
    drop(decisions(data));
}

/// The decision on every frame of the input.
///
/// # Panics
///
/// As [`judge`].
#[must_use]
pub fn decisions(data: &[u8]) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let config = config();
    let mut tables = tables(&config);
    let mut workspace = Workspace::default();
    let mut now = 1_000;
    let mut rest = data;
    while let [flags, high, low, frames @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(frames.len());
        let (frame, after) = frames.split_at(length);
        let flags = Flags(*flags);
        now += flags.pause();
        let context = Context { config: &config, ifindex: flags.ifindex(), now };
        one(frame, &mut tables, &context, (&mut workspace, flags.to_device()));
        decisions.push(workspace.decision);
        rest = after;
    }
    decisions
}

fn one(frame: &[u8], tables: &mut HostTables, context: &Context<'_>, (workspace, to_device): (&mut Workspace, bool)) {
    let judge = if to_device { decide::egress::<&[u8], HostTables> } else { decide::ingress::<&[u8], HostTables> };
    let mut fresh = Workspace::default();
    judge(&mut &*frame, &mut tables.clone(), context, &mut fresh);
    judge(&mut &*frame, tables, context, workspace);
    assert_same(&fresh.decision, &workspace.decision);
    assert!(tables.flows4.flows.len() <= tables.flows4.slots.len(), "more IPv4 flows than slots");
    assert!(tables.flows6.flows.len() <= tables.flows6.slots.len(), "more IPv6 flows than slots");
    assert!(tables.devices.len() <= DEVICES as usize, "more devices than room");
    assert_eq!(frame.frame_bytes() as usize, frame.len());
}

/// A decision is a function of its inputs; the subject counts for denials only.
fn assert_same(fresh: &Decision, reused: &Decision) {
    assert_eq!(fresh.verdict, reused.verdict, "verdict depends on the frame before");
    assert_eq!(fresh.reason, reused.reason, "reason depends on the frame before");
    assert_eq!(fresh.rule, reused.rule, "rule depends on the frame before");
    assert_eq!(fresh.group, reused.group, "group depends on the frame before");
    if fresh.verdict != Verdict::Pass {
        assert_eq!(fresh.subject, reused.subject, "the record names the frame before");
    }
}

/// Port 2 enforces for 10.20.0.0/24 and fd00:20::/64, port 3 audits 10.30.0.0/24.
pub(crate) fn config() -> Config {
    let group = |group, enforce| SubnetValue { group, enforce, ..SubnetValue::default() };
    let mask = [255, 255, 255, 0];
    let mut config = Config {
        ticks_per_second: 250,
        flags: config_flags::CIDRS4 | config_flags::INBOUND4 | config_flags::WILDCARD_PORTS,
        subnets4_len: 2,
        subnets6_len: 1,
        reserved4_len: 1,
        flows_per_device: 8,
        timeouts: Timeouts {
            tcp_opening: 7_500,
            tcp_established: 180_000,
            tcp_closing: 15_000,
            udp: 45_000,
            icmp: 7_500,
            fragment: 7_500,
            ..Timeouts::default()
        },
        ..Config::default()
    };
    config.subnets4[0] = Subnet4 { network: [10, 20, 0, 0], mask, ifindex: ENFORCED, group: group(0, 1) };
    config.subnets4[1] = Subnet4 { network: [10, 30, 0, 0], mask, ifindex: AUDITED, group: group(1, 0) };
    let mut subnet6 = Subnet6 { ifindex: ENFORCED, group: group(0, 1), ..Subnet6::default() };
    subnet6.network[..4].copy_from_slice(&[0xfd, 0, 0, 0x20]);
    subnet6.mask[..8].fill(255);
    config.subnets6[0] = subnet6;
    config.reserved4[0] = Reserved4 { network: [192, 168, 35, 0], mask };
    config
}

pub(crate) fn tables(config: &Config) -> HostTables {
    let mut tables = HostTables::new(config, DEVICES);
    let rule = |rule, flags| EndpointValue { expires: NEVER, rule, flags };
    let tcp443 =
        Endpoint4Key { group: 0, address: [203, 0, 113, 7], port_be: 443_u16.to_be_bytes(), protocol: 6, pad: 0 };
    let udp53 = Endpoint4Key { address: [192, 0, 2, 53], port_be: 53_u16.to_be_bytes(), protocol: 17, ..tcp443 };
    let any_udp = Endpoint4Key { address: [203, 0, 113, 8], port_be: [0, 0], protocol: 17, ..tcp443 };
    tables.endpoints4.insert(tcp443, rule(1, 0));
    tables.endpoints4.insert(udp53, rule(2, endpoint_flags::RESOLVER));
    tables.endpoints4.insert(any_udp, EndpointValue { expires: 100_000, ..rule(3, 0) });
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    address[15] = 7;
    let tcp443v6 = Endpoint6Key { group: 0, address, port_be: 443_u16.to_be_bytes(), protocol: 6, pad: 0 };
    tables.endpoints6.insert(tcp443v6, rule(4, 0));
    let cidr = Cidr4Data {
        group_be: [0; 4],
        protocol: 6,
        pad: 0,
        port_be: 8883_u16.to_be_bytes(),
        address: [198, 51, 100, 0],
    };
    tables.cidrs4.insert(host::cidr_bits4(24), zerocopy::IntoBytes::as_bytes(&cidr), rule(5, 0));
    let inbound =
        Cidr4Data { group_be: INBOUND.to_be_bytes(), port_be: 8080_u16.to_be_bytes(), address: [10, 40, 0, 0], ..cidr };
    tables.cidrs4.insert(host::cidr_bits4(16), zerocopy::IntoBytes::as_bytes(&inbound), rule(6, 0));
    tables.ports.insert(
        ENFORCED,
        Port { enforce: 1, flags: port_flags::DENY_FOREIGN4 | port_flags::DENY_FOREIGN6, ..Port::default() },
    );
    tables.ports.insert(AUDITED, Port::default());
    tables
}
