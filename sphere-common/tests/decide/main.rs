//! Behaviour of the deciding code, one sentence a test: packets built by etherparse through host tables.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod gateway;
mod hostile;
mod streams;

use etherparse::{IcmpEchoHeader, Icmpv4Type, IpNumber, PacketBuilder, TransportHeader};
use sphere_common::abi::{Config, NEVER, Port, config_flags, port_flags};
use sphere_common::verdict::{Reason, Verdict};

use gateway::*;

#[test]
fn allowed_endpoint_passes_and_its_replies_too() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Syn)), Reason::Endpoint);
    assert_eq!(gateway.back(&tcp(HTTPS, OUT, Flags::SynAck)), Reason::Reply);
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Ack)), Reason::Endpoint);
}

#[test]
fn flow_counts_what_it_brings_its_device() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    gateway.out(&tcp(OUT, HTTPS, Flags::Syn));
    let frames = [tcp(HTTPS, OUT, Flags::SynAck), tcp(HTTPS, OUT, Flags::Ack), tcp(HTTPS, OUT, Flags::Fin)];
    for frame in &frames {
        assert_eq!(gateway.back(frame), Reason::Reply);
        gateway.out(&tcp(OUT, HTTPS, Flags::Ack));
    }
    gateway.back(&tcp(HTTPS, (DEVICE, 40001), Flags::Syn));
    let received = |gateway: &Gateway| gateway.tables.flows4.flows.values().map(|flow| flow.received).sum::<u64>();
    assert_eq!(received(&gateway), frames.iter().map(|frame| frame.len() as u64).sum::<u64>());
    let mut gateway = Gateway::new();
    gateway.allow_inbound(8080);
    let opening = tcp((STRANGER, 1), (DEVICE, 8080), Flags::Syn);
    assert_eq!(gateway.back(&opening), Reason::Inbound);
    assert_eq!(received(&gateway), opening.len() as u64, "the packet that opens it counts too");
}

#[test]
fn other_port_other_host_and_other_protocol_are_denied() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    assert_eq!(gateway.out(&tcp(OUT, (CLOUD, 80), Flags::Syn)), Reason::Destination);
    assert_eq!(gateway.out(&tcp(OUT, (STRANGER, 443), Flags::Syn)), Reason::Destination);
    assert_eq!(gateway.out(&udp(OUT, HTTPS)), Reason::Destination);
    assert_eq!(gateway.out(&udp(OUT, (STRANGER, 53))), Reason::Resolver);
    assert_eq!(gateway.out(&tcp(OUT, (STRANGER, 853), Flags::Syn)), Reason::EncryptedDns);
    assert_eq!(gateway.out(&ip(DEVICE, CLOUD, IpNumber::GRE, (0, false), &[0; 20])), Reason::Protocol);
}

#[test]
fn established_flow_outlives_its_lease_and_a_new_one_does_not_open() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, gateway.now + 5 * TICKS);
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Syn)), Reason::Endpoint);
    assert_eq!(gateway.back(&tcp(HTTPS, OUT, Flags::SynAck)), Reason::Reply);
    gateway.later(3600);
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Ack)), Reason::Flow);
    assert_eq!(gateway.back(&tcp(HTTPS, OUT, Flags::Ack)), Reason::Reply);
    assert_eq!(gateway.out(&tcp((DEVICE, 40001), HTTPS, Flags::Syn)), Reason::Expired);
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Syn)), Reason::Expired, "port reuse asks policy again");
}

#[test]
fn keepalive_of_twenty_minutes_keeps_an_unlisted_flow_alive_for_days() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    gateway.out(&tcp(OUT, HTTPS, Flags::Syn));
    gateway.back(&tcp(HTTPS, OUT, Flags::SynAck));
    gateway.forbid_all();
    for _ in 0..300 {
        gateway.later(1200);
        assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Ack)), Reason::Flow);
        assert_eq!(gateway.back(&tcp(HTTPS, OUT, Flags::Ack)), Reason::Reply);
    }
}

#[test]
fn half_open_and_closed_flows_end_soon() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    gateway.out(&tcp(OUT, HTTPS, Flags::Syn));
    gateway.forbid_all();
    gateway.later(31);
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Ack)), Reason::Destination);
    gateway.allow(6, 443, NEVER);
    gateway.out(&tcp(OUT, HTTPS, Flags::Syn));
    gateway.back(&tcp(HTTPS, OUT, Flags::SynAck));
    gateway.back(&tcp(HTTPS, OUT, Flags::Rst));
    gateway.forbid_all();
    gateway.later(61);
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Ack)), Reason::Destination);
}

#[test]
fn middle_of_a_connection_to_an_allowed_endpoint_passes_without_a_flow() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Ack)), Reason::Endpoint);
    assert_eq!(gateway.back(&tcp(HTTPS, OUT, Flags::Ack)), Reason::Reply);
    // The reply has opened the flow again: DNS may rotate now.
    gateway.forbid_all();
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Ack)), Reason::Flow);
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Fin)), Reason::Flow);
}

#[test]
fn peer_cannot_open_a_connection_even_from_an_allowed_endpoint() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    assert_eq!(gateway.back(&tcp(HTTPS, OUT, Flags::Syn)), Reason::Unsolicited);
    assert_eq!(gateway.back(&tcp((STRANGER, 443), OUT, Flags::Ack)), Reason::Unsolicited);
    assert_eq!(gateway.back(&udp(HTTPS, OUT)), Reason::Unsolicited);
}

#[test]
fn inbound_rule_lets_its_peer_in_and_the_device_answer() {
    let mut gateway = Gateway::new();
    gateway.allow_inbound(8080);
    let (peer, service) = ((STRANGER, 5555), (DEVICE, 8080));
    assert_eq!(gateway.back(&tcp(peer, service, Flags::Syn)), Reason::Inbound);
    assert_eq!(gateway.out(&tcp(service, peer, Flags::SynAck)), Reason::Flow);
    assert_eq!(gateway.back(&tcp(peer, service, Flags::Ack)), Reason::Reply);
    assert_eq!(gateway.back(&tcp((CLOUD, 5555), service, Flags::Syn)), Reason::Unsolicited);
    assert_eq!(gateway.out(&tcp(service, peer, Flags::Syn)), Reason::Destination, "no way out by itself");
}

#[test]
fn ntp_from_port_124_gets_its_reply_there() {
    let mut gateway = Gateway::new();
    gateway.allow(17, 123, NEVER);
    assert_eq!(gateway.out(&udp((DEVICE, 124), (CLOUD, 123))), Reason::Endpoint);
    assert_eq!(gateway.back(&udp((CLOUD, 123), (DEVICE, 124))), Reason::Reply);
    assert_eq!(gateway.back(&udp((CLOUD, 123), (DEVICE, 125))), Reason::Unsolicited);
}

#[test]
fn icmp_error_passes_only_about_an_allowed_flow_of_this_device() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    let sent = tcp(OUT, HTTPS, Flags::Syn);
    gateway.out(&sent);
    let router = [198, 51, 100, 1];
    assert_eq!(gateway.back(&icmp_error(router, DEVICE, &sent)), Reason::Related);
    assert_eq!(gateway.back(&icmp_error(router, [10, 20, 0, 6], &sent)), Reason::Icmp);
    let never_sent = tcp(OUT, (STRANGER, 443), Flags::Syn);
    assert_eq!(gateway.back(&icmp_error(router, DEVICE, &never_sent)), Reason::Icmp);
    let received = tcp(HTTPS, OUT, Flags::SynAck);
    assert_eq!(gateway.out(&icmp_error(DEVICE, CLOUD, &received)), Reason::Related);
}

#[test]
fn later_fragments_follow_their_first_or_are_denied() {
    let mut gateway = Gateway::new();
    gateway.allow(17, 123, NEVER);
    let head = [0, 124, 0, 123, 0, 64, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let later = ip(DEVICE, CLOUD, IpNumber::UDP, (16, false), &[9; 8]);
    assert_eq!(gateway.out(&later), Reason::Fragment);
    assert_eq!(gateway.out(&ip(DEVICE, CLOUD, IpNumber::UDP, (0, true), &head)), Reason::Endpoint);
    assert_eq!(gateway.out(&later), Reason::FragmentOfAllowed);
    assert_eq!(gateway.out(&ip(DEVICE, STRANGER, IpNumber::UDP, (16, false), &[9; 8])), Reason::Fragment);
    let tiny = ip(DEVICE, CLOUD, IpNumber::TCP, (0, true), &[0, 124, 1, 187, 0, 0, 0, 0]);
    assert_eq!(gateway.out(&tiny), Reason::FragmentOverlap);
    let overwriting = ip(DEVICE, CLOUD, IpNumber::TCP, (8, false), &[0; 16]);
    assert_eq!(gateway.out(&overwriting), Reason::FragmentOverlap);
}

#[test]
fn device_has_as_many_flows_as_slots_and_takes_none_from_another() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    let neighbour = ([10, 20, 0, 6], 40000);
    assert_eq!(gateway.out(&tcp(neighbour, HTTPS, Flags::Syn)), Reason::Endpoint);
    gateway.back(&tcp(HTTPS, neighbour, Flags::SynAck));
    let passed =
        (0..200).filter(|port| gateway.out(&tcp((DEVICE, 1000 + port), HTTPS, Flags::Syn)) == Reason::Endpoint).count();
    assert_eq!(passed, 16);
    assert_eq!(gateway.out(&tcp((DEVICE, 5000), HTTPS, Flags::Syn)), Reason::FlowQuota);
    gateway.forbid_all();
    assert_eq!(gateway.out(&tcp(neighbour, HTTPS, Flags::Ack)), Reason::Flow);
    // Ended flows make room without anybody clearing up.
    gateway.allow(6, 443, NEVER);
    gateway.later(31);
    assert_eq!(gateway.out(&tcp((DEVICE, 5000), HTTPS, Flags::Syn)), Reason::Endpoint);
}

#[test]
fn more_devices_than_there_is_room_for_are_denied_and_the_known_go_on() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    let verdicts: Vec<_> = (1..=5).map(|host| gateway.out(&tcp(([10, 20, 0, host], 1), HTTPS, Flags::Syn))).collect();
    assert_eq!(verdicts[..4], [Reason::Endpoint; 4]);
    assert_eq!(verdicts[4], Reason::DeviceQuota);
    assert_eq!(gateway.out(&tcp(([10, 20, 0, 1], 2), HTTPS, Flags::Syn)), Reason::Endpoint);
}

#[test]
fn audit_mode_lets_through_what_it_records_and_its_replies() {
    let mut gateway = Gateway::new();
    gateway.config.subnets4[0].group.enforce = 0;
    let denied = gateway.decide(&tcp(OUT, HTTPS, Flags::Syn), false);
    assert_eq!((denied.verdict, denied.reason), (Verdict::Audit, Reason::Destination));
    assert_eq!(gateway.back(&tcp(HTTPS, OUT, Flags::SynAck)), Reason::Reply);
    // The flow counts for nothing once the group enforces.
    gateway.config.subnets4[0].group.enforce = 1;
    assert_eq!(gateway.out(&tcp(OUT, HTTPS, Flags::Ack)), Reason::Destination);
    assert_eq!(gateway.back(&tcp(HTTPS, OUT, Flags::Ack)), Reason::Unsolicited);
}

#[test]
fn reserved_prefix_is_denied_as_source_and_as_destination() {
    let mut gateway = Gateway::new();
    assert_eq!(gateway.out(&tcp(OUT, ([192, 168, 35, 1], 443), Flags::Syn)), Reason::Reserved);
    assert_eq!(gateway.out(&tcp(([192, 168, 35, 2], 1), HTTPS, Flags::Syn)), Reason::Reserved);
    assert_eq!(gateway.back(&tcp(([192, 168, 35, 1], 1), OUT, Flags::Syn)), Reason::Reserved);
}

#[test]
fn other_subnets_pass_untouched_unless_the_port_denies_them() {
    let mut gateway = Gateway::new();
    let foreign = tcp(([10, 99, 0, 1], 1), HTTPS, Flags::Syn);
    assert_eq!(gateway.out(&foreign), Reason::OtherSubnet);
    let other_port = tcp(([10, 30, 0, 1], 1), HTTPS, Flags::Syn);
    assert_eq!(gateway.out(&other_port), Reason::ForeignSource, "a device subnet of another port is a spoof");
    gateway.tables.ports.insert(IFINDEX, Port { enforce: 1, flags: port_flags::DENY_FOREIGN4, ..Port::default() });
    assert_eq!(gateway.out(&foreign), Reason::ForeignSource);
    let discovery = udp(([0; 4], 68), ([255; 4], 67));
    assert_eq!(gateway.out(&discovery), Reason::Dhcp);
}

#[test]
fn an_answer_to_a_device_never_comes_in_on_a_device_port() {
    let mut gateway = Gateway::new();
    let (resolver, elsewhere) = ((CLOUD, 53), ([10, 30, 0, 9], 40000));
    let later = ip(CLOUD, DEVICE, IpNumber::UDP, (1480, false), b"the rest");
    assert_eq!(gateway.out(&udp(resolver, OUT)), Reason::OtherSubnet, "where no answer is read");
    gateway.config.flags |= config_flags::NAMES;
    for to in [OUT, elsewhere] {
        assert_eq!(gateway.out(&udp(resolver, to)), Reason::ForeignSource);
        assert_eq!(gateway.out(&tcp(resolver, to, Flags::SynAck)), Reason::ForeignSource);
    }
    assert_eq!(gateway.out(&later), Reason::ForeignSource);
    assert_eq!(gateway.out(&udp((CLOUD, 54), OUT)), Reason::OtherSubnet);
    assert_eq!(gateway.out(&udp(resolver, (STRANGER, 40000))), Reason::OtherSubnet, "it goes to no device");
    assert_eq!(gateway.back(&udp(resolver, OUT)), Reason::Unsolicited);
    gateway.config.flags |= config_flags::SUBNETS_IN_TRIE;
    assert_eq!(gateway.out(&udp(resolver, (STRANGER, 40000))), Reason::ForeignSource, "it might be a device");
}

#[test]
fn link_local_chatter_is_denied_without_a_sample() {
    let mut gateway = Gateway::new();
    for destination in [[224, 0, 0, 251], [255; 4], [10, 20, 0, 255]] {
        let reason = gateway.out(&udp((DEVICE, 5353), (destination, 5353)));
        assert_eq!(reason, Reason::LinkLocal);
        assert!(reason.is_quiet());
    }
    assert_eq!(gateway.out(&udp((DEVICE, 5353), ([239, 1, 1, 1], 5353))), Reason::Multicast);
    assert_eq!(gateway.out(&udp((DEVICE, 68), ([255; 4], 67))), Reason::Dhcp);
}

#[test]
fn dhcp_answers_pass_only_from_an_approved_server() {
    let mut gateway = Gateway::new();
    assert_eq!(gateway.back(&udp((CLOUD, 67), (DEVICE, 68))), Reason::Unsolicited);
    gateway.allow(17, 67, NEVER);
    assert_eq!(gateway.back(&udp((CLOUD, 67), (DEVICE, 68))), Reason::Dhcp);
}

#[test]
fn echo_needs_a_rule_and_its_reply_follows() {
    let mut gateway = Gateway::new();
    let echo = |from: [u8; 4], to: [u8; 4], reply: bool| {
        let header = IcmpEchoHeader { id: 9, seq: 1 };
        let kind = if reply { Icmpv4Type::EchoReply(header) } else { Icmpv4Type::EchoRequest(header) };
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from, to, 64).icmpv4(kind);
        builder.write(&mut frame, b"ping").unwrap();
        frame
    };
    assert_eq!(gateway.out(&echo(DEVICE, CLOUD, false)), Reason::Icmp);
    assert_eq!(gateway.back(&echo(CLOUD, DEVICE, true)), Reason::Unsolicited);
    gateway.allow(1, 0, NEVER);
    assert_eq!(gateway.out(&echo(DEVICE, CLOUD, false)), Reason::Endpoint);
    assert_eq!(gateway.back(&echo(CLOUD, DEVICE, true)), Reason::Reply);
}

#[test]
fn without_configuration_nothing_passes() {
    let mut gateway = Gateway::new();
    gateway.config = Config::default();
    let decision = gateway.decide(&tcp(OUT, HTTPS, Flags::Syn), false);
    assert_eq!((decision.verdict, decision.reason), (Verdict::Deny, Reason::Unconfigured));
}

#[test]
fn denied_packet_is_named_as_it_was_on_the_wire() {
    let mut gateway = Gateway::new();
    let decision = gateway.decide(&tcp(OUT, (STRANGER, 8443), Flags::Syn), false);
    assert_eq!(bytes(decision.subject.device)[12..], DEVICE);
    assert_eq!(bytes(decision.subject.peer)[12..], STRANGER);
    assert_eq!(u16::from_be(decision.subject.device_port_be), 40000);
    assert_eq!(u16::from_be(decision.subject.peer_port_be), 8443);
    assert_eq!(decision.subject.protocol, 6);
    let decision = gateway.decide(&tcp((STRANGER, 8443), OUT, Flags::Syn), true);
    assert_eq!(bytes(decision.subject.device)[12..], DEVICE);
    assert_eq!(u16::from_be(decision.subject.peer_port_be), 8443);
}

/// What etherparse makes of any frame, ours must not contradict: it is the independent reading.
mod oracle {
    use super::{PacketBuilder, TransportHeader};
    use etherparse::{NetHeaders, PacketHeaders};
    use proptest::prelude::*;
    use sphere_common::classify::{Kind, Transport};
    use sphere_common::family::{Family as _, V4, V6};
    use sphere_common::packet::Network;
    use sphere_common::packet::ethernet::Link;

    fn agree(frame: &[u8]) -> Result<bool, TestCaseError> {
        let Ok(theirs) = PacketHeaders::from_ethernet_slice(frame) else {
            return Ok(false);
        };
        let Ok(link) = Link::parse(&frame) else {
            return Ok(false);
        };
        let mut network = Network::UNKNOWN;
        let ours = match theirs.net {
            Some(NetHeaders::Ipv4(header, _)) => {
                if V4::network(&frame, link.payload(), &mut network).is_err() {
                    // We refuse packets that say they are longer than the frame; etherparse is lenient there.
                    return Ok(false);
                }
                let (source, destination) = V4::addresses(&frame, link.payload()).expect("the header is whole");
                prop_assert_eq!(source.to_ne_bytes(), header.source);
                prop_assert_eq!(destination.to_ne_bytes(), header.destination);
                Transport::parse::<V4, _>(&frame, &network)
            }
            Some(NetHeaders::Ipv6(header, _)) => {
                if V6::network(&frame, link.payload(), &mut network).is_err() {
                    return Ok(false);
                }
                let (source, _) = V6::addresses(&frame, link.payload()).expect("the header is whole");
                prop_assert_eq!(super::bytes(source), header.source);
                Transport::parse::<V6, _>(&frame, &network)
            }
            Some(NetHeaders::Arp(_)) | None => return Ok(false),
        };
        let (Some(theirs), Ok(ours)) = (theirs.transport, ours) else {
            return Ok(false);
        };
        let (source, destination) = (u16::from_be(ours.ports.source_be), u16::from_be(ours.ports.destination_be));
        match theirs {
            TransportHeader::Tcp(header) => {
                prop_assert_eq!(ours.kind, Kind::Tcp);
                prop_assert_eq!((source, destination), (header.source_port, header.destination_port));
                prop_assert_eq!(ours.flags.opens(), header.syn && !header.ack);
                prop_assert_eq!(ours.flags.closes(), header.fin || header.rst);
            }
            TransportHeader::Udp(header) => {
                prop_assert_eq!(ours.kind, Kind::Udp);
                prop_assert_eq!((source, destination), (header.source_port, header.destination_port));
            }
            TransportHeader::Icmpv4(_) | TransportHeader::Icmpv6(_) | TransportHeader::Igmp(_) => {
                prop_assert!(!matches!(ours.kind, Kind::Tcp | Kind::Udp));
            }
        }
        Ok(true)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn built_packets_are_read_as_etherparse_reads_them(
            (from, to) in any::<([u8; 4], [u8; 4])>(),
            (source, destination) in any::<(u16, u16)>(),
            (is_tcp, syn, ack, fin, rst) in any::<(bool, bool, bool, bool, bool)>(),
            tags in 0_usize..3,
            flips in proptest::collection::vec((0_usize..80, any::<u8>()), 0..3),
        ) {
            let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from, to, 64);
            let mut frame = Vec::new();
            if is_tcp {
                let mut builder = builder.tcp(source, destination, 1, 2);
                if syn { builder = builder.syn(); }
                if ack { builder = builder.ack(3); }
                if fin { builder = builder.fin(); }
                if rst { builder = builder.rst(); }
                builder.write(&mut frame, b"payload").expect("a vector takes all");
            } else {
                builder.udp(source, destination).write(&mut frame, b"payload").expect("a vector takes all");
            }
            for _ in 0..tags {
                frame.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
            }
            if flips.is_empty() {
                prop_assert!(agree(&frame)?, "a well-formed packet must be read");
            }
            for (at, value) in flips {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            agree(&frame)?;
        }

        #[test]
        fn built_ipv6_packets_are_read_as_etherparse_reads_them(
            (from, to) in any::<([u8; 16], [u8; 16])>(),
            (source, destination) in any::<(u16, u16)>(),
        ) {
            let mut frame = Vec::new();
            let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(from, to, 64).udp(source, destination);
            builder.write(&mut frame, b"payload").expect("a vector takes all");
            prop_assert!(agree(&frame)?);
        }
    }
}
