//! One sample as a record for machines: schema `sphere.denied/1`, one JSON object a line, absent values left out.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use sphere_common::abi::{EVENT_HEAD_BYTES, Event};
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::{Directory, Summary};

/// What the monotonic clock's zero is on the wall clock, as of one moment.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    zero: SystemTime,
}

impl WallClock {
    /// From two readings taken together.
    #[must_use]
    pub fn new(wall: SystemTime, monotonic: Duration) -> Self {
        Self { zero: wall.checked_sub(monotonic).unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    /// Wall-clock time of a monotonic one.
    #[must_use]
    pub fn at(&self, monotonic: Duration) -> SystemTime {
        self.zero.checked_add(monotonic).unwrap_or(self.zero)
    }
}

/// A denied, or would-be denied, packet; or several that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    schema: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Arc<str>>,
    verdict: &'static str,
    reason: &'static str,
    explanation: &'static str,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_port: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    peer_names: Vec<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vlan: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ethertype: Option<String>,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_time: Option<String>,
}

impl Record {
    /// Reads a sample, or what samples have in common; `None` when its numbers are of another version of the programs.
    #[must_use]
    pub fn new(summary: &Summary, directory: &Directory, clock: WallClock) -> Option<Self> {
        let event = &summary.event;
        let reason = Reason::from_byte(event.reason)?;
        let verdict = Verdict::from_byte(event.verdict)?;
        let direction = Direction::ALL.into_iter().find(|direction| *direction as u8 == event.direction)?;
        let device = address(event.device);
        let peer = address(event.peer);
        let icmp = device.is_some() && matches!(event.protocol, ICMP | ICMPV6);
        let [icmp_type, icmp_code] = event.peer_port_be;
        let port = |be: [u8; 2]| Some(u16::from_be_bytes(be)).filter(|port| *port != 0 && !icmp);
        let time = |ns| humantime::format_rfc3339_micros(clock.at(Duration::from_nanos(ns))).to_string();
        let several = |ns| (summary.count > 1).then(|| time(ns));
        Some(Self {
            schema: "sphere.denied/1",
            time: time(summary.last_ns),
            group: directory.group(event.group),
            verdict: verdict.word(),
            reason: reason.word(),
            explanation: reason.sentence(),
            direction: direction.word(),
            interface: directory.interface(event.ifindex),
            device,
            device_mac: device_mac(event).map(mac_text),
            device_port: port(event.device_port_be),
            peer,
            peer_port: port(event.peer_port_be),
            peer_names: peer.map(|peer| directory.names(peer)).unwrap_or_default(),
            protocol: device.map(|_| protocol(event.protocol)),
            icmp_type: icmp.then_some(icmp_type),
            icmp_code: icmp.then_some(icmp_code),
            vlan: event.vlan.iter().filter_map(|plus_one| plus_one.checked_sub(1)).collect(),
            ethertype: ethertype(event.ethertype_be),
            bytes: summary.bytes,
            count: (summary.count > 1).then_some(summary.count),
            first_time: several(summary.first_ns),
            last_time: several(summary.last_ns),
        })
    }

    /// The record as one line, with its end.
    ///
    /// # Errors
    ///
    /// Never in practice: the type has nothing that JSON cannot hold.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        Ok(line)
    }
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// An address of the tables; zero stands for none.
fn address(bytes: [u8; 16]) -> Option<IpAddr> {
    let address = Ipv6Addr::from(bytes);
    let plain = address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4);
    (bytes != [0; 16]).then_some(plain)
}

fn protocol(number: u8) -> String {
    match number {
        ICMP => "icmp".to_owned(),
        TCP => "tcp".to_owned(),
        UDP => "udp".to_owned(),
        ICMPV6 => "icmpv6".to_owned(),
        number => number.to_string(),
    }
}

fn ethertype(be: [u8; 2]) -> Option<String> {
    let number = u16::from_be_bytes(be);
    (number != 0).then(|| format!("{number:#06x}"))
}

/// The device's hardware address: source of what it sends, destination of what it gets.
pub(super) fn device_mac(event: &Event) -> Option<&[u8]> {
    let head = event.head.get(..usize::from(event.head_bytes).min(EVENT_HEAD_BYTES))?;
    if event.direction == Direction::Ingress as u8 { head.get(6..12) } else { head.get(..6) }
}

fn mac_text(mac: &[u8]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::net::Ipv4Addr;

    use zerocopy::FromZeros;

    use super::*;

    fn clock() -> WallClock {
        WallClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600), Duration::from_secs(100))
    }

    fn event() -> Event {
        let mut event = Event::new_zeroed();
        event.monotonic_ns = 100_123_456_789;
        event.device = Ipv4Addr::new(10, 20, 0, 5).to_ipv6_mapped().octets();
        event.peer = Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped().octets();
        event.ifindex = 2;
        event.frame_bytes = 74;
        event.head_bytes = 96;
        event.head[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 0x1f]);
        event.device_port_be = 1234_u16.to_be_bytes();
        event.peer_port_be = 443_u16.to_be_bytes();
        event.ethertype_be = [8, 0];
        event.protocol = TCP;
        event.reason = Reason::Destination as u8;
        event.verdict = Verdict::Deny as u8;
        event
    }

    fn directory() -> Directory {
        let directory = Directory::default();
        directory.set_groups([(0, "sphere".to_owned())]);
        directory.set_interfaces([(2, "lan0".to_owned())]);
        directory.learn("cdn.example", [IpAddr::from([203, 0, 113, 7])]);
        directory
    }

    fn record(event: &Event) -> Option<Record> {
        Record::new(&Summary::of(event), &directory(), clock())
    }

    #[test]
    fn a_denied_packet_is_one_json_line() {
        let line = record(&event()).unwrap().line().unwrap();
        assert_eq!(
            line,
            "{\"schema\":\"sphere.denied/1\",\"time\":\"2026-01-01T00:00:00.123456Z\",\"group\":\"sphere\",\
             \"verdict\":\"deny\",\"reason\":\"destination\",\"explanation\":\"no rule allows this destination\",\
             \"direction\":\"from-device\",\"interface\":\"lan0\",\"device\":\"10.20.0.5\",\
             \"device_mac\":\"02:00:00:00:00:1f\",\"device_port\":1234,\"peer\":\"203.0.113.7\",\"peer_port\":443,\
             \"peer_names\":[\"cdn.example\"],\"protocol\":\"tcp\",\"ethertype\":\"0x0800\",\"bytes\":74}\n"
        );
    }

    #[test]
    fn several_packets_are_one_line_with_what_they_have_in_common() {
        let mut summary = Summary::of(&event());
        summary.add(&Event { device_port_be: [9, 9], monotonic_ns: 101_000_000_000, frame_bytes: 60, ..event() });
        summary.add(&Event { device_port_be: [9, 8], monotonic_ns: 99_000_000_000, ..event() });
        let line = Record::new(&summary, &directory(), clock()).unwrap().line().unwrap();
        assert_eq!(
            line,
            "{\"schema\":\"sphere.denied/1\",\"time\":\"2026-01-01T00:00:01.000000Z\",\"group\":\"sphere\",\
             \"verdict\":\"deny\",\"reason\":\"destination\",\"explanation\":\"no rule allows this destination\",\
             \"direction\":\"from-device\",\"interface\":\"lan0\",\"device\":\"10.20.0.5\",\
             \"device_mac\":\"02:00:00:00:00:1f\",\"peer\":\"203.0.113.7\",\"peer_port\":443,\
             \"peer_names\":[\"cdn.example\"],\"protocol\":\"tcp\",\"ethertype\":\"0x0800\",\"bytes\":208,\"count\":3,\
             \"first_time\":\"2025-12-31T23:59:59.000000Z\",\"last_time\":\"2026-01-01T00:00:01.000000Z\"}\n"
        );
    }

    #[test]
    fn a_hardware_address_that_is_not_the_same_everywhere_is_left_out() {
        let mut other = event();
        other.head[11] = 7;
        let mut summary = Summary::of(&event());
        summary.add(&other);
        assert_eq!(Record::new(&summary, &directory(), clock()).unwrap().device_mac, None);
    }

    #[test]
    fn icmp_has_a_type_and_no_ports() {
        let event = Event { protocol: ICMP, peer_port_be: [8, 0], ..event() };
        let record = record(&event).unwrap();
        assert_eq!((record.icmp_type, record.icmp_code), (Some(8), Some(0)));
        assert_eq!((record.device_port, record.peer_port), (None, None));
    }

    #[test]
    fn a_frame_that_could_not_be_read_has_neither_addresses_nor_protocol() {
        let mut event = Event { device: [0; 16], peer: [0; 16], group: u32::MAX, ..event() };
        event.vlan = [101, 1];
        let record = record(&event).unwrap();
        assert_eq!((record.device, record.peer, record.protocol, record.group), (None, None, None, None));
        assert_eq!(record.vlan, [100, 0]);
    }

    #[test]
    fn numbers_of_another_version_are_no_record() {
        assert_eq!(record(&Event { reason: 255, ..event() }), None);
    }

    #[test]
    fn a_clock_that_begins_before_the_epoch_is_no_panic() {
        let clock = WallClock::new(SystemTime::UNIX_EPOCH, Duration::from_secs(u64::MAX));
        assert_eq!(clock.at(Duration::MAX), SystemTime::UNIX_EPOCH);
    }
}
