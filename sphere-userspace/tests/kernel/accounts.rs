//! The account of denials: exact, whatever a device sends.

use std::collections::BTreeMap;

use etherparse::PacketBuilder;
use sphere_common::abi::DENIED_PER_DEVICE;
use sphere_common::verdict::{Reason, Verdict};

use crate::Random;
use crate::corpus::{ALLOWED, DEVICE};
use crate::machine::{Machine, Program};

fn syn(from: [u8; 4], to: [u8; 4], port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(from, to, 64)
        .tcp(1000, port, 1, 1)
        .syn()
        .write(&mut frame, &[])
        .unwrap();
    frame
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn every_denied_packet_is_in_an_account() {
    let mut machine = Machine::new(Program::Xdp, true);
    let mut random = Random(0x0bad_5eed_1234_5678);
    let second = [DEVICE[0], DEVICE[1], DEVICE[2], DEVICE[3] ^ 1];
    let mut sent: BTreeMap<[u8; 4], (u64, u64)> = BTreeMap::new();
    for round in 0..20_000_u32 {
        let peer = random.next().to_le_bytes();
        // Most go to ever other destinations; a few to the same one.
        let (from, frame) = match round % 20 {
            0 => (second, syn(second, [192, 0, 2, 1], 23)),
            1 => (DEVICE, syn(DEVICE, [192, 0, 2, 2], 23)),
            _ => (DEVICE, syn(DEVICE, [198, 18, peer[0], peer[1]], u16::from_le_bytes([peer[2], peer[3]]))),
        };
        let reason = machine.compare("flood", &frame).unwrap();
        if reason == Reason::Destination {
            let total = sent.entry(from).or_default();
            total.0 += 1;
            total.1 += frame.len() as u64;
        }
    }
    let [accounts, others] = machine.accounts();
    let of = |device: [u8; 4]| {
        let all = accounts.iter().chain(&others).filter(move |(key, _)| key.device[12..] == device);
        let all = all.filter(|(key, _)| key.reason == Reason::Destination as u8 && key.verdict == Verdict::Deny as u8);
        all.fold((0, 0), |(packets, bytes), (_, value)| (packets + value.packets, bytes + value.bytes))
    };
    assert_eq!(of(DEVICE), sent[&DEVICE]);
    assert_eq!(of(second), sent[&second]);
    let opened = accounts.iter().filter(|(key, _)| key.device[12..] == DEVICE).count() as u64;
    assert_eq!(opened, DENIED_PER_DEVICE);
    let line = accounts.iter().find(|(key, _)| key.peer[12..] == [192, 0, 2, 1]).unwrap();
    assert_eq!((line.1.packets, line.0.protocol, line.0.peer_port_be), (1000, 6, 23_u16.to_be_bytes()));
    assert!(others.iter().all(|(key, _)| key.peer == [0; 16] && key.protocol == 0));
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn a_flow_counts_what_it_brings_its_device() {
    let mut machine = Machine::new(Program::Xdp, true);
    let mut expected = BTreeMap::new();
    for port in [1000, 1001] {
        machine.switch_to(Program::Xdp);
        let mut frame = Vec::new();
        let out = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(DEVICE, ALLOWED, 64).tcp(port, 443, 1, 1);
        out.syn().write(&mut frame, &[]).unwrap();
        assert_eq!(machine.compare("SYN", &frame), Some(Reason::Endpoint));
        machine.switch_to(Program::Egress);
        for bytes in [0, 1000, usize::from(port)] {
            let mut frame = Vec::new();
            let back = PacketBuilder::ethernet2([4; 6], [2; 6]).ipv4(ALLOWED, DEVICE, 64).tcp(443, port, 1, 1).ack(2);
            back.write(&mut frame, &vec![0; bytes]).unwrap();
            assert_eq!(machine.compare("segment", &frame), Some(Reason::Reply));
            *expected.entry(port).or_default() += frame.len() as u64;
        }
    }
    assert_eq!(machine.received(), expected);
}
