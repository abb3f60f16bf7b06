//! What a hostile device does to make its resolver read another stream of queries than the gateway has judged.

use etherparse::{PacketBuilder, TcpHeader};
use sphere_common::abi::{NEVER, NameValue, config_flags, group_flags};
use sphere_common::name::rule_key;
use sphere_common::verdict::Reason;

use crate::gateway::*;

const PORT: u16 = 40000;
/// Sequence number of the first byte on the first connection.
const BEGINS: u32 = u32::MAX - 20;

/// A gateway that lets devices ask for one name.
fn gateway() -> Gateway {
    let mut gateway = Gateway::new();
    gateway.config.flags |= config_flags::NAMES;
    gateway.config.subnets4[0].group.flags = group_flags::DNS_POLICY;
    gateway.allow(6, 53, NEVER);
    let (key, bytes) = rule_key("allowed.example", false).unwrap();
    let data = [&1_u32.to_be_bytes(), &key[..bytes]].concat();
    gateway.tables.names.insert(8 * u32::try_from(data.len()).unwrap(), &data, NameValue::default());
    gateway
}

/// A query with its length, and more behind its question.
fn query(name: &str, behind: &[u8]) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
    let message = [0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0].into_iter().chain(labels).chain([0, 0, 1, 0, 1]);
    let message: Vec<u8> = message.chain(behind.iter().copied()).collect();
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), &message[..]].concat()
}

/// Sends a segment with these flags `offset` bytes into the first connection.
fn send(gateway: &mut Gateway, offset: u32, set: fn(&mut TcpHeader), payload: &[u8]) -> Reason {
    let mut header = TcpHeader::new(PORT, 53, BEGINS.wrapping_add(offset), 1000);
    (header.ack, header.acknowledgment_number) = (true, 78);
    set(&mut header);
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(DEVICE, CLOUD, 64).tcp_header(header);
    builder.write(&mut frame, payload).unwrap();
    gateway.out(&frame)
}

fn plain(_: &mut TcpHeader) {}

fn urgent(header: &mut TcpHeader) {
    (header.urg, header.urgent_pointer) = (true, 1);
}

fn syn(header: &mut TcpHeader) {
    (header.syn, header.ack) = (true, false);
}

fn rst(header: &mut TcpHeader) {
    header.rst = true;
}

/// The device opens a connection whose first byte is `offset` behind that of the first one, and its resolver accepts.
fn open(gateway: &mut Gateway, offset: u32) {
    assert_eq!(send(gateway, offset.wrapping_sub(1), syn, &[]), Reason::Endpoint);
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([4; 6], [2; 6]).ipv4(CLOUD, DEVICE, 64);
    builder.tcp(53, PORT, 77, 1000).syn().ack(BEGINS.wrapping_add(offset)).write(&mut frame, &[]).unwrap();
    assert_eq!(gateway.back(&frame), Reason::Reply);
}

#[test]
fn a_connection_that_begins_within_what_was_sent_on_the_last_one_is_another() {
    let evil = query("evil.example", &[]);
    let cover = query("allowed.example", &evil);
    let before = u32::try_from(cover.len() - evil.len()).unwrap();
    let mut gateway = gateway();
    open(&mut gateway, 0);
    assert_eq!(send(&mut gateway, 0, plain, &cover), Reason::Endpoint);
    assert_eq!(send(&mut gateway, before, rst, &[]), Reason::Endpoint);
    open(&mut gateway, before);
    // The resolver would leave out what stands before the beginning of its connection, and read the evil query.
    assert_eq!(send(&mut gateway, 0, plain, &cover), Reason::QuerySegment);
    assert_eq!(send(&mut gateway, before, plain, &evil), Reason::QueryName);
    let next = query("allowed.example", &[]);
    assert_eq!(send(&mut gateway, before, plain, &next), Reason::Endpoint, "and it is of use to who wants no evil");
}

#[test]
fn a_resolver_that_accepts_again_takes_nothing_back() {
    let whole = query("allowed.example", &[]);
    let mut gateway = gateway();
    open(&mut gateway, 0);
    for turn in 0..3_u32 {
        let offset = turn * u32::try_from(whole.len()).unwrap();
        assert_eq!(send(&mut gateway, offset, plain, &whole), Reason::Endpoint, "{turn}");
        open(&mut gateway, 0);
    }
    assert_eq!(send(&mut gateway, 0, plain, &whole), Reason::QuerySegment);
}

#[test]
fn an_urgent_byte_is_none_of_the_stream() {
    let whole = query("allowed.example", &[]);
    let mut gateway = gateway();
    open(&mut gateway, 0);
    assert_eq!(send(&mut gateway, 0, urgent, &whole), Reason::QuerySegment);
    assert_eq!(send(&mut gateway, 0, urgent, &[]), Reason::QuerySegment, "announced before it is sent");
    assert_eq!(send(&mut gateway, 0, plain, &whole), Reason::Endpoint);
}

#[test]
fn data_in_a_syn_stand_one_further_on_and_are_no_query() {
    let whole = query("allowed.example", &[]);
    let mut gateway = gateway();
    open(&mut gateway, 0);
    for offset in [0, u32::MAX] {
        assert_eq!(send(&mut gateway, offset, syn, &whole), Reason::QuerySegment);
    }
    assert_eq!(send(&mut gateway, u32::MAX, syn, &[]), Reason::Endpoint, "a device tries again without");
    assert_eq!(send(&mut gateway, 0, plain, &whole), Reason::Endpoint);
}
