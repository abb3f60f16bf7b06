//! Answers that wait for the daemon: which frames are held, over both families, the same in kernel and on host.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header, PacketBuilder, PacketBuilderStep,
};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use sphere_common::abi::{group_flags, unjudged_why};
use sphere_common::verdict::Reason;

use crate::corpus::{ALLOWED, ALLOWED6, DEVICE, DEVICE6};
use crate::machine::{Machine, Program};

const HOLDING: u8 = group_flags::DNS_POLICY | group_flags::DNS_HOLD;
const PORT: u16 = 5555;
const DNS: u16 = 53;
/// Bytes of a fragment's payload.
const FRAGMENT: usize = 1400;

/// The family that device and resolver talk over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const ALL: [Self; 2] = [Self::V4, Self::V6];

    fn ip(self, to_device: bool) -> PacketBuilderStep<etherparse::IpHeaders> {
        let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
        match (self, to_device) {
            (Self::V4, true) => link.ipv4(ALLOWED, DEVICE, 64),
            (Self::V4, false) => link.ipv4(DEVICE, ALLOWED, 64),
            (Self::V6, true) => link.ipv6(ALLOWED6, DEVICE6, 64),
            (Self::V6, false) => link.ipv6(DEVICE6, ALLOWED6, 64),
        }
    }

    fn datagram(self, to_device: bool, payload: &[u8]) -> Vec<u8> {
        let (from, to) = if to_device { (DNS, PORT) } else { (PORT, DNS) };
        let mut frame = Vec::new();
        self.ip(to_device).udp(from, to).write(&mut frame, payload).unwrap();
        frame
    }

    /// A segment with `sequence`; without a payload, the SYN of the device.
    fn segment(self, to_device: bool, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let (from, to) = if to_device { (DNS, PORT) } else { (PORT, DNS) };
        let tcp = self.ip(to_device).tcp(from, to, sequence, 1024);
        let tcp = if payload.is_empty() && !to_device { tcp.syn() } else { tcp.ack(1) };
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).unwrap();
        frame
    }

    /// An answer in fragments.
    fn fragments(self, payload: &[u8]) -> Vec<Vec<u8>> {
        let whole = self.datagram(true, payload);
        let (link, ip) = whole.split_at(14);
        let (header, body) = ip.split_at(if self == Self::V4 { Ipv4Header::MIN_LEN } else { Ipv6Header::LEN });
        let pieces = body.chunks(FRAGMENT).enumerate();
        pieces.map(|(index, piece)| [link, &self.fragment((header, body), index, piece)].concat()).collect()
    }

    fn fragment(self, (header, body): (&[u8], &[u8]), index: usize, piece: &[u8]) -> Vec<u8> {
        let more = (index + 1) * FRAGMENT < body.len();
        let offset = IpFragOffset::try_new(u16::try_from(index * FRAGMENT / 8).unwrap()).unwrap();
        if self == Self::V4 {
            let mut header = Ipv4Header::from_slice(header).unwrap().0;
            header.set_payload_len(piece.len()).unwrap();
            (header.identification, header.dont_fragment) = (77, false);
            (header.more_fragments, header.fragment_offset) = (more, offset);
            header.header_checksum = header.calc_header_checksum();
            return [&header.to_bytes(), piece].concat();
        }
        let mut header = Ipv6Header::from_slice(header).unwrap().0;
        header.next_header = IpNumber::IPV6_FRAGMENTATION_HEADER;
        header.set_payload_length(piece.len() + Ipv6FragmentHeader::LEN).unwrap();
        let fragment = Ipv6FragmentHeader::new(IpNumber::UDP, offset, more, 77);
        [&header.to_bytes()[..], &fragment.to_bytes(), piece].concat()
    }
}

fn message(kind: MessageType, addresses: u16) -> Vec<u8> {
    let name = Name::from_ascii("allowed.example.").unwrap();
    let mut message = Message::new(7, kind, OpCode::Query);
    message.add_query(Query::query(name.clone(), RecordType::A));
    for host in 0..addresses {
        let [high, low] = host.to_be_bytes();
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 7, host);
        let data = if host % 2 == 0 { RData::A(A(Ipv4Addr::new(203, 0, high, low))) } else { RData::AAAA(AAAA(v6)) };
        message.add_answer(Record::from_rdata(name.clone(), 30, data));
    }
    message.to_vec().unwrap()
}

fn with_length(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// The device has asked over UDP.
fn asked(family: Family, enforce: bool) -> Machine {
    let mut machine = Machine::with(Program::Xdp, enforce, HOLDING);
    let query = family.datagram(false, &message(MessageType::Query, 0));
    assert_eq!(machine.compare("query", &query), Some(Reason::Endpoint));
    machine.switch_to(Program::Egress);
    machine
}

/// Reason of the verdict, and why and whether the frame was handed over and held.
fn outcome(machine: &mut Machine, what: &str, frame: &[u8]) -> (Reason, Option<(u8, u8)>) {
    let reason = machine.compare(what, frame).unwrap();
    let handed = machine.handed_over();
    assert!(handed.iter().all(|(_, copy)| copy == frame), "{what}: another frame was handed over");
    assert!(handed.len() <= 1, "{what}: handed over {} times", handed.len());
    (reason, handed.first().map(|(head, _)| (head.why, head.held)))
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn an_answer_that_cannot_be_judged_is_held_each_time_it_comes() {
    for family in Family::ALL {
        for (what, addresses, why) in [("many records", 70, unjudged_why::RECORDS), ("long", 120, unjudged_why::LONG)] {
            let mut machine = asked(family, true);
            let frame = family.datagram(true, &message(MessageType::Response, addresses));
            for _ in 0..2 {
                let held = outcome(&mut machine, what, &frame);
                assert_eq!(held, (Reason::AnswerHeld, Some((why, 1))), "{family:?} {what}");
            }
            assert!(machine.learned().is_empty());
        }
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn an_answer_that_the_programs_read_waits_for_nobody() {
    for family in Family::ALL {
        let mut machine = asked(family, true);
        let frame = family.datagram(true, &message(MessageType::Response, 6));
        assert_eq!(outcome(&mut machine, "short", &frame), (Reason::Reply, None), "{family:?}");
        assert_eq!(machine.learned().len(), 12, "{family:?}: six addresses with two services");
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn of_a_fragmented_answer_the_first_fragment_is_held() {
    for family in Family::ALL {
        let mut machine = asked(family, true);
        let fragments = family.fragments(&message(MessageType::Response, 120));
        assert!(fragments.len() > 1);
        let held = outcome(&mut machine, "first fragment", &fragments[0]);
        assert_eq!(held, (Reason::AnswerHeld, Some((unjudged_why::FRAGMENTS, 1))), "{family:?}");
        for later in &fragments[1..] {
            let (reason, handed) = outcome(&mut machine, "later fragment", later);
            assert_ne!(reason, Reason::AnswerHeld, "{family:?}");
            assert_eq!(handed, Some((unjudged_why::FRAGMENTS, 0)), "{family:?} {reason:?}");
        }
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn over_tcp_every_segment_with_something_to_say_is_held_each_time_it_comes() {
    for family in Family::ALL {
        let mut machine = Machine::with(Program::Xdp, true, HOLDING);
        let syn = family.segment(false, 0, &[]);
        assert_eq!(machine.compare("SYN", &syn), Some(Reason::Endpoint), "{family:?}");
        machine.switch_to(Program::Egress);
        assert_eq!(outcome(&mut machine, "bare", &family.segment(true, 1, &[])), (Reason::Reply, None), "{family:?}");
        let stream = with_length(&message(MessageType::Response, 90));
        let (first, second) = stream.split_at(1000);
        for (what, sequence, bytes) in
            [("first", 1, first), ("second", 1001, second), ("first again", 1, first), ("second again", 1001, second)]
        {
            let held = outcome(&mut machine, what, &family.segment(true, sequence, bytes));
            assert_eq!(held, (Reason::AnswerHeld, Some((unjudged_why::TCP, 1))), "{family:?} {what}");
        }
        assert!(machine.learned().is_empty());
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn nothing_is_held_in_audit_mode() {
    for family in Family::ALL {
        let mut machine = asked(family, false);
        let frame = family.datagram(true, &message(MessageType::Response, 70));
        let handed = outcome(&mut machine, "many records", &frame);
        assert_eq!(handed, (Reason::Reply, Some((unjudged_why::RECORDS, 0))), "{family:?}");
    }
}
