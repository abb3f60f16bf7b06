//! What a hostile device sends to get around its policy: each way is closed, and what it looks like still goes through.

use etherparse::{IpNumber, Ipv6Header, PacketBuilder};
use sphere_common::abi::{NEVER, Port, Subnet6, SubnetValue, port_flags};
use sphere_common::verdict::Reason;

use crate::gateway::*;

const DEVICE6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5];
const GATEWAY6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
const ABROAD6: [u8; 16] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
const LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
const ROUTER: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const SOLICITED: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1];

/// A gateway with an IPv6 device subnet beside the IPv4 one, whose port lets other sources pass as `flags` say.
fn gateway6(flags: u8) -> Gateway {
    let mut gateway = Gateway::new();
    let (mut network, mut mask) = (DEVICE6, [255; 16]);
    network[8..].fill(0);
    mask[8..].fill(0);
    let group = SubnetValue { group: 1, enforce: 1, ..SubnetValue::default() };
    gateway.config.subnets6[0] = Subnet6 { network, mask, ifindex: IFINDEX, group };
    gateway.config.subnets6_len = 1;
    gateway.tables.ports.insert(IFINDEX, Port { enforce: 1, flags, ..Port::default() });
    gateway
}

/// A message of ICMPv6 with hop limit 255.
fn icmp6(from: [u8; 16], to: [u8; 16], kind: u8) -> Vec<u8> {
    ip6((from, to), IpNumber::IPV6_ICMP, &[kind, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])
}

fn ip6((source, destination): ([u8; 16], [u8; 16]), next_header: IpNumber, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 0x86, 0xdd];
    let payload_length = payload.len().try_into().unwrap();
    Ipv6Header { payload_length, next_header, hop_limit: 255, source, destination, ..Ipv6Header::default() }
        .write(&mut frame)
        .unwrap();
    frame.extend(payload);
    frame
}

/// An IPv4 datagram to an allowed port, with these options.
fn with_options(options: &[u8]) -> Vec<u8> {
    let datagram = udp((DEVICE, 124), (CLOUD, 123));
    let mut frame = datagram[..34].to_vec();
    frame[14] = 0x40 | u8::try_from(5 + options.len() / 4).unwrap();
    let total = u16::try_from(datagram.len() - 14 + options.len()).unwrap();
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame.extend(options);
    frame.extend(&datagram[34..]);
    frame
}

#[test]
fn an_error_goes_to_where_the_quoted_packet_came_from() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    gateway.out(&tcp(OUT, HTTPS, Flags::Syn));
    let received = tcp(HTTPS, OUT, Flags::SynAck);
    assert_eq!(gateway.out(&icmp_error(DEVICE, CLOUD, &received)), Reason::Related);
    assert_eq!(gateway.out(&icmp_error(DEVICE, STRANGER, &received)), Reason::Icmp, "it carries data to a stranger");
}

#[test]
fn an_error_is_about_a_flow_that_is_there_or_goes_where_the_device_may_send() {
    let mut gateway = Gateway::new();
    let received = tcp(HTTPS, OUT, Flags::SynAck);
    assert_eq!(gateway.out(&icmp_error(DEVICE, CLOUD, &received)), Reason::Icmp);
    gateway.allow(6, 443, NEVER);
    assert_eq!(gateway.out(&icmp_error(DEVICE, CLOUD, &received)), Reason::Related);
    assert_eq!(gateway.back(&icmp_error(STRANGER, DEVICE, &tcp(OUT, HTTPS, Flags::Syn))), Reason::Icmp);
}

#[test]
fn a_flow_of_audit_mode_carries_no_errors_of_its_device() {
    let mut gateway = Gateway::new();
    gateway.config.subnets4[0].group.enforce = 0;
    let (sent, received) = (udp(OUT, (STRANGER, 9999)), udp((STRANGER, 9999), OUT));
    assert_eq!(gateway.out(&sent), Reason::Destination);
    assert_eq!(gateway.back(&received), Reason::Reply);
    assert_eq!(gateway.out(&icmp_error(DEVICE, STRANGER, &received)), Reason::Icmp, "audited");
    assert_eq!(gateway.back(&icmp_error(STRANGER, DEVICE, &sent)), Reason::Related, "a reply of a kind");
    gateway.config.subnets4[0].group.enforce = 1;
    assert_eq!(gateway.out(&icmp_error(DEVICE, STRANGER, &received)), Reason::Icmp, "data for a stranger");
    assert_eq!(gateway.back(&icmp_error(STRANGER, DEVICE, &sent)), Reason::Icmp);
}

#[test]
fn an_error_of_a_device_is_no_longer_than_errors_are() {
    let mut gateway = Gateway::new();
    gateway.allow(6, 443, NEVER);
    gateway.out(&tcp(OUT, HTTPS, Flags::Syn));
    let received = tcp(HTTPS, OUT, Flags::SynAck);
    let error = |bytes: usize| {
        let mut payload = vec![3, 4, 0, 0, 0, 0, 5, 0];
        payload.extend(&received[14..14 + 40]);
        payload.resize(bytes - 20, 7);
        ip(DEVICE, CLOUD, IpNumber::ICMP, (0, false), &payload)
    };
    assert_eq!(gateway.out(&error(576)), Reason::Related);
    assert_eq!(gateway.out(&error(577)), Reason::Icmp);
}

#[test]
fn discovery_stays_on_the_link() {
    let mut gateway = gateway6(port_flags::DENY_LINK_LOCAL6);
    for from in [DEVICE6, LINK_LOCAL, [0; 16]] {
        for kind in 133..=137 {
            for to in [SOLICITED, ROUTER, GATEWAY6] {
                assert_eq!(gateway.out(&icmp6(from, to, kind)), Reason::NeighborDiscovery, "{kind} to the link");
            }
            assert_eq!(gateway.out(&icmp6(from, ABROAD6, kind)), Reason::Icmp, "{kind} to be routed");
        }
    }
}

#[test]
fn a_report_of_a_listener_goes_to_the_group_that_it_is_about() {
    let mut gateway = gateway6(port_flags::DENY_LINK_LOCAL6);
    let group = [0xff, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3];
    for from in [DEVICE6, LINK_LOCAL] {
        let mut report =
            ip6((from, group), IpNumber::IPV6_ICMP, &[[131, 0, 0, 0, 0, 0, 0, 0], [0; 8], [7; 8]].concat());
        report[21] = 1;
        assert_eq!(gateway.out(&report), Reason::NeighborDiscovery);
        for hop_limit in [2, 64, 255] {
            report[21] = hop_limit;
            assert!(gateway.out(&report).is_denial(), "with hop limit {hop_limit} it would be routed on");
        }
    }
}

#[test]
fn a_link_local_source_reaches_nothing_but_its_neighbours() {
    let ask = |to: [u8; 16]| {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(LINK_LOCAL, to, 64).udp(5555, 53);
        builder.write(&mut frame, b"data").unwrap();
        frame
    };
    let mut gateway = gateway6(port_flags::DENY_LINK_LOCAL6);
    for to in [ROUTER, GATEWAY6, ABROAD6] {
        assert_eq!(gateway.out(&ask(to)), Reason::ForeignSource);
    }
    let mut other = ask(ROUTER);
    other[22..38].copy_from_slice(&ABROAD6);
    assert_eq!(gateway.out(&other), Reason::OtherSubnet, "an address of another subnet passes where the port says so");
    assert_eq!(gateway6(0).out(&ask(ROUTER)), Reason::OtherSubnet, "as do link-local ones");
}

#[test]
fn source_routes_are_denied_and_other_options_are_not() {
    let mut gateway = Gateway::new();
    gateway.allow(17, 123, NEVER);
    let router_alert = [148, 4, 0, 0];
    let record_route = [7, 7, 4, 0, 0, 0, 0, 0];
    assert_eq!(gateway.out(&with_options(&router_alert)), Reason::Endpoint);
    assert_eq!(gateway.out(&with_options(&[1, 1, 1, 0])), Reason::Flow);
    assert_eq!(gateway.out(&with_options(&record_route)), Reason::Flow);
    for kind in [131, 137] {
        let route = [kind, 7, 4, 192, 0, 2, 66, 0];
        assert_eq!(gateway.out(&with_options(&route)), Reason::SourceRoute);
        assert_eq!(gateway.out(&with_options(&[&router_alert, &route[..]].concat())), Reason::SourceRoute);
        assert_eq!(gateway.out(&with_options(&[&[1], &route[..7]].concat())), Reason::SourceRoute);
        // Behind the end of the options there are none.
        assert_eq!(gateway.out(&with_options(&[&[0, 0, 0, 0], &route[..]].concat())), Reason::Flow);
    }
    assert_eq!(gateway.out(&with_options(&[1; 12])), Reason::SourceRoute, "more than are looked at");
    assert_eq!(gateway.out(&with_options(&[7, 40, 4, 0])), Reason::Malformed, "an option beyond the header");
    assert_eq!(gateway.out(&with_options(&[7, 1, 4, 0])), Reason::Malformed, "an option that goes nowhere");
}

#[test]
fn a_routing_header_with_hosts_still_to_visit_is_denied() {
    let mut gateway = gateway6(0);
    let packet = |left: u8| {
        let routing = [17, 2, 0, left, 0, 0, 0, 0];
        let datagram = [0x15, 0xb3, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4];
        ip6((DEVICE6, ABROAD6), IpNumber::IPV6_ROUTE_HEADER, &[&routing[..], &ABROAD6, &datagram].concat())
    };
    assert_eq!(gateway.out(&packet(1)), Reason::SourceRoute);
    assert_eq!(gateway.out(&packet(0)), Reason::Resolver, "it has been where it was to go, and is judged as any other");
}

#[test]
fn a_datagram_is_as_long_as_its_packet() {
    let mut gateway = Gateway::new();
    gateway.allow(17, 123, NEVER);
    let datagram = |length: u16| {
        let mut frame = udp((DEVICE, 124), (CLOUD, 123));
        frame[38..40].copy_from_slice(&length.to_be_bytes());
        frame
    };
    assert_eq!(gateway.out(&datagram(12)), Reason::Endpoint);
    for length in [0, 7, 8, 11, 13] {
        assert_eq!(gateway.out(&datagram(length)), Reason::Malformed, "{length}");
    }
}
