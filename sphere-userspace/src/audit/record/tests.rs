//! Samples as records.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use hickory_proto::rr::RecordType;
use sphere_common::abi::Event;
use sphere_common::verdict::{Direction, Reason, Verdict};
use zerocopy::FromZeros as _;

use super::Record;
use crate::audit::field::{Field, Kind};
use crate::audit::question::tests::query;
use crate::audit::{Directory, Summary, Value, WallClock};

fn clock() -> WallClock {
    WallClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600), Duration::from_secs(100))
}

pub(in crate::audit) fn event() -> Event {
    let mut event = Event::new_zeroed();
    event.monotonic_ns = 100_123_456_789;
    event.device = Ipv4Addr::new(10, 20, 0, 5).to_ipv6_mapped().octets();
    event.peer = Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped().octets();
    event.ifindex = 2;
    event.frame_bytes = 74;
    event.head_bytes = 74;
    event.head[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 0x1f]);
    event.device_port_be = 1234_u16.to_be_bytes();
    event.peer_port_be = 443_u16.to_be_bytes();
    event.ethertype_be = [8, 0];
    event.protocol = 6;
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

pub(in crate::audit) fn record(event: &Event) -> Option<Record> {
    Record::new(&Summary::of(event), &directory(), clock())
}

#[test]
fn a_denied_packet_is_one_json_line() {
    let line = record(&event()).unwrap().line().unwrap();
    assert_eq!(
        line,
        "{\"schema\":\"sphere.record/1\",\"@timestamp\":\"2026-01-01T00:00:00.123456Z\",\"ecs.version\":\"8.17.0\",\
         \"message\":\"denied from 10.20.0.5 port 1234 to 203.0.113.7 port 443 over tcp: no rule allows this \
         destination\",\"event.kind\":\"event\",\"event.category\":[\"network\"],\
         \"event.type\":[\"connection\",\"denied\"],\"event.dataset\":\"sphere.denied\",\"event.action\":\"deny\",\
         \"event.outcome\":\"failure\",\"event.reason\":\"destination\",\"network.direction\":\"outbound\",\
         \"network.type\":\"ipv4\",\"network.transport\":\"tcp\",\"network.iana_number\":\"6\",\"network.packets\":1,\
         \"network.bytes\":74,\"source.ip\":\"10.20.0.5\",\"source.port\":1234,\"source.mac\":\"02-00-00-00-00-1F\",\
         \"destination.ip\":\"203.0.113.7\",\"destination.port\":443,\"destination.domain\":\"cdn.example\",\
         \"observer.ingress.interface.name\":\"lan0\",\"sphere.group\":\"sphere\",\"sphere.device.ip\":\"10.20.0.5\",\
         \"sphere.peer.names\":[\"cdn.example\"],\"sphere.ethertype\":\"0x0800\"}\n"
    );
}

#[test]
fn several_packets_are_one_record_with_what_they_have_in_common() {
    let mut summary = Summary::of(&event());
    summary.add(&Event { device_port_be: [9, 9], monotonic_ns: 101_000_000_000, frame_bytes: 60, ..event() });
    summary.add(&Event { device_port_be: [9, 8], monotonic_ns: 99_000_000_000, ..event() });
    let record = Record::new(&summary, &directory(), clock()).unwrap();
    assert_eq!((record.number(Field::Packets), record.number(Field::Bytes)), (Some(3), Some(208)));
    assert_eq!(record.text(Field::Start), Some("2025-12-31T23:59:59.000000Z"));
    assert_eq!(record.text(Field::End), Some("2026-01-01T00:00:01.000000Z"));
    assert_eq!(record.text(Field::Timestamp), record.text(Field::End));
    assert_eq!(record.number(Field::SourcePort), None, "each had another");
    assert_eq!(record.number(Field::DestinationPort), Some(443));
    assert!(
        record.text(Field::Message).unwrap().starts_with("denied 3 packets from 10.20.0.5 to 203.0.113.7 port 443")
    );
}

#[test]
fn what_goes_to_a_device_has_it_as_its_destination() {
    let mut event = Event { direction: Direction::Egress as u8, verdict: Verdict::Audit as u8, ..event() };
    event.head[..6].copy_from_slice(&[2, 0, 0, 0, 0, 0x2f]);
    event.vlan = [101, 1];
    let record = record(&event).unwrap();
    assert_eq!(record.text(Field::Direction), Some("inbound"));
    assert_eq!((record.text(Field::SourceIp), record.number(Field::SourcePort)), (Some("203.0.113.7"), Some(443)));
    assert_eq!(record.text(Field::SourceDomain), Some("cdn.example"));
    assert_eq!(record.text(Field::DestinationIp), Some("10.20.0.5"));
    assert_eq!(record.text(Field::DestinationMac), Some("02-00-00-00-00-2F"));
    assert_eq!(record.text(Field::EgressInterface), Some("lan0"));
    assert_eq!((record.text(Field::EgressVlan), record.text(Field::InnerVlan)), (Some("100"), Some("0")));
    assert_eq!(record.text(Field::Action), Some("audit"));
    assert_eq!(record.text(Field::Outcome), Some("success"));
    assert!(record.text(Field::Message).unwrap().starts_with("would deny from 203.0.113.7"));
}

#[test]
fn a_denied_query_tells_the_asked_name() {
    let base = Event { reason: Reason::QueryName as u8, peer_port_be: 53_u16.to_be_bytes(), protocol: 17, ..event() };
    let asked = |name: &str, kind| {
        let Event { head, head_bytes, .. } = query(name, kind);
        Event { head, head_bytes, ..base }
    };
    let one = record(&asked("c2.evil.example.", RecordType::TXT)).unwrap();
    assert_eq!(one.text(Field::QuestionName), Some("c2.evil.example"));
    assert_eq!(one.text(Field::QuestionType), Some("TXT"));
    assert_eq!(one.text(Field::Protocol), Some("dns"));
    assert!(one.text(Field::Message).unwrap().contains("asking for c2.evil.example: asked for a name"));
    let mut summary = Summary::of(&asked("a.evil.example.", RecordType::A));
    summary.add(&asked("b.evil.example.", RecordType::A));
    let both = Record::new(&summary, &directory(), clock()).unwrap();
    assert_eq!(both.text(Field::QuestionName), None);
    assert_eq!(both.value(Field::Names), Some(&Value::Texts(vec!["a.evil.example".into(), "b.evil.example".into()])));
    assert_eq!(both.text(Field::Parent), Some("evil.example"));
    assert!(both.text(Field::Message).unwrap().contains("asking for names in evil.example"));
}

#[test]
fn a_hardware_address_that_is_not_the_same_everywhere_is_left_out() {
    let mut other = event();
    other.head[11] = 7;
    let mut summary = Summary::of(&event());
    summary.add(&other);
    assert_eq!(Record::new(&summary, &directory(), clock()).unwrap().value(Field::SourceMac), None);
}

#[test]
fn icmp_has_a_type_and_no_ports() {
    let record = record(&Event { protocol: 1, peer_port_be: [8, 0], ..event() }).unwrap();
    assert_eq!((record.number(Field::IcmpType), record.number(Field::IcmpCode)), (Some(8), Some(0)));
    assert_eq!((record.value(Field::SourcePort), record.value(Field::DestinationPort)), (None, None));
}

#[test]
fn a_frame_that_could_not_be_read_has_neither_addresses_nor_protocol() {
    let record = record(&Event { device: [0; 16], peer: [0; 16], group: u32::MAX, ..event() }).unwrap();
    for field in [Field::SourceIp, Field::SourcePort, Field::DestinationIp, Field::Transport, Field::Group] {
        assert_eq!(record.value(field), None, "{}", field.name());
    }
    assert_eq!(record.text(Field::EtherType), Some("0x0800"));
}

#[test]
fn fields_hold_what_the_table_says() {
    let record = record(&event()).unwrap();
    for (field, value) in record.fields() {
        let fits = match field.kind() {
            Kind::Text => matches!(value, Value::Text(_)),
            Kind::Texts => matches!(value, Value::Texts(_)),
            Kind::Number => matches!(value, Value::Number(_)),
            Kind::Time => matches!(value, Value::Text(text) if humantime::parse_rfc3339(text).is_ok()),
        };
        assert!(fits, "{}: {value:?}", field.name());
    }
}

#[test]
fn numbers_of_another_version_are_no_record() {
    assert_eq!(record(&Event { reason: 255, ..event() }), None);
}
