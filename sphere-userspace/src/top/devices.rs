//! Devices, and what they are denied: from the accounts that the programs keep.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use sphere_common::abi::{DeniedKey, DeniedValue, Ticks};
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::rate::{Elapsed, Rate};
use super::sample::Sample;
use crate::datapath::{Account, OpenFlow, Traces};
use crate::reconcile::plain;

/// A device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceRow {
    /// Its address; absent: frames that named none.
    pub device: Option<IpAddr>,
    /// Its group.
    pub group: Option<String>,
    /// Flows that it has open.
    pub flows: usize,
    /// Bytes that these brought it.
    pub received: Rate,
    /// Packets that were denied, as far as the kernel holds their accounts.
    pub denied: Rate,
    /// Packets that would have been.
    pub audited: Rate,
    /// Seconds since it last opened a flow, used one or was denied.
    pub seen_seconds_ago: u64,
}

/// What a device is denied at one destination, as far as the kernel holds the account.
#[derive(Clone, Debug, PartialEq)]
pub struct DenialRow {
    /// The device; absent: frames that named none.
    pub device: Option<IpAddr>,
    /// Name of its group.
    pub group: Option<String>,
    /// Which way the packets went.
    pub direction: Direction,
    /// The other side; absent: frames that named none, and destinations that have no account of their own.
    pub peer: Option<IpAddr>,
    /// Whether it is about destinations that have no account of their own.
    pub is_others: bool,
    /// The first name that leads to it, if any does.
    pub name: Option<String>,
    /// `tcp/443`; empty for destinations that have no account of their own.
    pub service: String,
    /// Denied, or would have been.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Packets.
    pub packets: Rate,
    /// Bytes.
    pub bytes: Rate,
    /// Seconds since the last packet.
    pub seconds_ago: u64,
}

/// Accounts by what tells them apart; their first tick tells an account from an earlier one with the same key.
type Known = HashMap<(DeniedKey, bool), DeniedValue>;

fn known(traces: &Traces) -> Known {
    traces.accounts.iter().map(|account| ((account.key, account.is_others), account.value)).collect()
}

/// Packets and bytes of an account. One that was not there before was opened since.
fn rates(account: &Account, known: &Known, elapsed: Elapsed) -> [Rate; 2] {
    let before = known.get(&(account.key, account.is_others)).filter(|before| before.first == account.value.first);
    let before = before.copied().unwrap_or_default();
    [elapsed.rate(before.packets, account.value.packets), elapsed.rate(before.bytes, account.value.bytes)]
}

/// What tells a flow from others, and when it was opened from an earlier one.
type FlowKey = (IpAddr, IpAddr, u16, u16, u8);

const fn key_of(flow: &OpenFlow) -> FlowKey {
    (flow.device, flow.peer, flow.device_port, flow.peer_port, flow.protocol)
}

/// Time between two readings of the accounts.
fn elapsed(earlier: &Traces, later: &Traces) -> Elapsed {
    let [earlier, later] = [earlier, later].map(|traces| traces.clock.anchor.since_zero());
    Elapsed(later.saturating_sub(earlier))
}

fn seconds_ago(traces: &Traces, ticks: Ticks) -> u64 {
    let clock = &traces.clock;
    clock.anchor_ticks.saturating_sub(ticks) / u64::from(clock.ticks_per_second.max(1))
}

/// The address, unless it is that of nobody.
fn address(bytes: [u8; 16]) -> Option<IpAddr> {
    (bytes != [0; 16]).then(|| plain(bytes))
}

/// Every device.
pub(super) fn devices(earlier: &Sample, later: &Sample) -> Vec<DeviceRow> {
    let (known, elapsed) = (known(&earlier.traces), elapsed(&earlier.traces, &later.traces));
    let traces = &later.traces;
    let none = elapsed.rate(0, 0);
    let new = |device, group: u32| DeviceRow {
        device,
        group: later.group(group).map(str::to_owned),
        flows: 0,
        received: none,
        denied: none,
        audited: none,
        seen_seconds_ago: u64::MAX,
    };
    let mut rows: BTreeMap<Option<IpAddr>, DeviceRow> = BTreeMap::new();
    for (device, value) in &traces.devices {
        let row = rows.entry(Some(*device)).or_insert_with(|| new(Some(*device), value.group));
        row.seen_seconds_ago = seconds_ago(traces, value.last_seen);
    }
    let before: HashMap<FlowKey, &OpenFlow> = earlier.flows.iter().map(|flow| (key_of(flow), flow)).collect();
    for flow in &later.flows {
        let before = before.get(&key_of(flow)).filter(|before| before.value.created == flow.value.created);
        let before = before.map_or(0, |before| before.value.received);
        let row = rows.entry(Some(flow.device)).or_insert_with(|| new(Some(flow.device), flow.value.group));
        row.flows += 1;
        row.received = row.received.plus(elapsed.rate(before, flow.value.received));
        row.seen_seconds_ago = row.seen_seconds_ago.min(seconds_ago(traces, flow.value.last_seen));
    }
    for account in &traces.accounts {
        let device = address(account.key.device);
        let [packets, _] = rates(account, &known, elapsed);
        let row = rows.entry(device).or_insert_with(|| new(device, account.key.group));
        let entered = if account.key.verdict == Verdict::Deny as u8 { &mut row.denied } else { &mut row.audited };
        *entered = entered.plus(packets);
        row.seen_seconds_ago = row.seen_seconds_ago.min(seconds_ago(traces, account.value.last));
    }
    rows.into_values().collect()
}

/// Every account.
pub(super) fn denials(earlier: &Sample, later: &Sample) -> Vec<DenialRow> {
    let (known, elapsed) = (known(&earlier.traces), elapsed(&earlier.traces, &later.traces));
    let mut accounts: Vec<&Account> = later.traces.accounts.iter().collect();
    accounts.sort_by_key(|account| (account.key, account.is_others));
    let row = |account: &Account| {
        let key = &account.key;
        // Accounts of programs that are newer than this command say nothing that it knows.
        let (verdict, reason) = (Verdict::from_byte(key.verdict)?, Reason::from_byte(key.reason)?);
        let [packets, bytes] = rates(account, &known, elapsed);
        let peer = address(key.peer).filter(|_| !account.is_others);
        let is_egress = key.direction == Direction::Egress as u8;
        Some(DenialRow {
            device: address(key.device),
            group: later.group(key.group).map(str::to_owned),
            direction: if is_egress { Direction::Egress } else { Direction::Ingress },
            peer,
            is_others: account.is_others,
            name: peer.and_then(|peer| later.by_address.get(&peer)?.first().cloned()),
            service: if account.is_others { String::new() } else { service(key) },
            verdict,
            reason,
            packets,
            bytes,
            seconds_ago: seconds_ago(&later.traces, account.value.last),
        })
    };
    accounts.into_iter().filter_map(row).collect()
}

/// Protocol and port of the other side, ICMP type and code, or the EtherType of a frame that is not IP.
fn service(key: &DeniedKey) -> String {
    let port = u16::from_be_bytes(key.peer_port_be);
    let [kind, code] = key.peer_port_be;
    match key.protocol {
        6 => format!("tcp/{port}"),
        17 => format!("udp/{port}"),
        1 => format!("icmp/{kind}.{code}"),
        58 => format!("icmpv6/{kind}.{code}"),
        0 => format!("ether/{port:#06x}"),
        other => format!("protocol {other}"),
    }
}
