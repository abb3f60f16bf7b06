//! DNS between devices and their resolver: what may be asked, what answers open, the same in kernel and on host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpFragOffset, Ipv4Header, LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use sphere_common::abi::unjudged_why;
use sphere_common::verdict::Reason;

use crate::corpus::{ALLOWED, ALLOWED6, DEVICE, DEVICE6};
use crate::machine::{Machine, Program};
use crate::{Random, mutate};

/// Nanoseconds that reading an answer may add, at the median.
const MAX_ADDED_NS: u128 = 3_000;

fn datagram(from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from.0, to.0, 64).udp(from.1, to.1);
    builder.write(&mut frame, payload).unwrap();
    frame
}

const CLIENT: ([u8; 4], u16) = (DEVICE, 5555);
const RESOLVER: ([u8; 4], u16) = (ALLOWED, 53);

fn message(id: u16, kind: MessageType, name: &str, asked: RecordType) -> Message {
    let mut message = Message::new(id, kind, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), asked));
    message
}

fn query(id: u16, name: &str, asked: RecordType) -> Vec<u8> {
    datagram(CLIENT, RESOLVER, &message(id, MessageType::Query, name, asked).to_vec().unwrap())
}

fn answer_message(id: u16, name: &str, records: &[RData]) -> Message {
    let mut message = message(id, MessageType::Response, name, RecordType::A);
    for data in records {
        let owner = Name::from_ascii("tail.cdn.example.").unwrap();
        message.add_answer(Record::from_rdata(owner, 30, data.clone()));
    }
    message
}

fn answer(id: u16, name: &str, records: &[RData]) -> Vec<u8> {
    datagram(RESOLVER, CLIENT, &answer_message(id, name, records).to_vec().unwrap())
}

fn v4(address: [u8; 4]) -> RData {
    RData::A(A(Ipv4Addr::from(address)))
}

/// Asks and answers; the reasons of both, and what is learned in all.
fn exchange(machine: &mut Machine, asked: &[u8], answered: &[u8]) -> (Reason, Reason, usize) {
    machine.switch_to(Program::Xdp);
    let query = machine.compare("query", asked).unwrap();
    machine.switch_to(Program::Egress);
    let answer = machine.compare("answer", answered).unwrap();
    (query, answer, machine.learned().len())
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn answer_to_a_query_of_the_device_opens_its_addresses() {
    let mut machine = Machine::new(Program::Xdp, true);
    let records = [
        RData::CNAME(CNAME(Name::from_ascii("x.y.z.").unwrap())),
        v4([203, 0, 113, 50]),
        v4([203, 0, 113, 51]),
        RData::AAAA(AAAA(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50))),
    ];
    let asked = query(7, "AlLowed.EXAMPLE.", RecordType::A);
    let (query, reply, learned) = exchange(&mut machine, &asked, &answer(7, "allowed.example.", &records));
    assert_eq!((query, reply), (Reason::Endpoint, Reason::Reply));
    assert_eq!(learned, 6, "three addresses with two services");
    machine.switch_to(Program::Xdp);
    let mut syn = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(DEVICE, [203, 0, 113, 51], 64).tcp(1, 443, 1, 1).syn();
    builder.write(&mut syn, &[]).unwrap();
    assert_eq!(machine.compare("the first packet", &syn), Some(Reason::Endpoint));
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn only_allowed_names_and_types_may_be_asked() {
    let mut machine = Machine::new(Program::Xdp, true);
    for (name, kind, reason) in [
        ("allowed.example.", RecordType::A, Reason::Endpoint),
        ("allowed.example.", RecordType::AAAA, Reason::Flow),
        ("allowed.example.", RecordType::TXT, Reason::QueryType),
        ("any.example.", RecordType::TXT, Reason::Flow),
        ("a.wild.example.", RecordType::A, Reason::Flow),
        ("b.a.wild.example.", RecordType::A, Reason::Flow),
        ("wild.example.", RecordType::A, Reason::QueryName),
        ("awild.example.", RecordType::A, Reason::QueryName),
        ("allowed.example.evil.", RecordType::A, Reason::QueryName),
        ("notallowed.example.", RecordType::A, Reason::QueryName),
        ("example.", RecordType::A, Reason::QueryName),
    ] {
        assert_eq!(machine.compare(name, &query(9, name, kind)), Some(reason), "{name} {kind}");
    }
    let label = "x".repeat(60);
    let tunnel = format!("{label}.{label}.{label}.evil.example.");
    assert_eq!(machine.compare("tunnel", &query(9, &tunnel, RecordType::TXT)), Some(Reason::QueryName));
    let garbage = datagram(CLIENT, RESOLVER, &[0xff; 40]);
    assert_eq!(machine.compare("garbage", &garbage), Some(Reason::QueryMalformed));
    let mut update = message(9, MessageType::Query, "allowed.example.", RecordType::A);
    update.add_query(Query::query(Name::from_ascii("evil.example.").unwrap(), RecordType::A));
    let two = datagram(CLIENT, RESOLVER, &update.to_vec().unwrap());
    assert_eq!(machine.compare("two questions", &two), Some(Reason::QueryMalformed));
}

/// A device that sends queries over TCP, in both machines.
struct Stream {
    machine: Machine,
    sequence: u32,
}

impl Stream {
    /// A connection that the resolver has accepted.
    fn open() -> Self {
        let mut stream = Self { machine: Machine::new(Program::Xdp, true), sequence: u32::MAX - 3 };
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(DEVICE, ALLOWED, 64);
        let mut frame = Vec::new();
        builder.tcp(5555, 53, stream.sequence.wrapping_sub(1), 1).syn().write(&mut frame, &[]).unwrap();
        assert_eq!(stream.machine.compare("SYN", &frame), Some(Reason::Endpoint));
        stream.accept(stream.sequence);
        stream
    }

    /// The resolver accepts a connection, and acknowledges up to `acknowledged`.
    fn accept(&mut self, acknowledged: u32) {
        let builder = PacketBuilder::ethernet2([4; 6], [2; 6]).ipv4(ALLOWED, DEVICE, 64);
        let mut frame = Vec::new();
        builder.tcp(53, 5555, 77, 1).syn().ack(acknowledged).write(&mut frame, &[]).unwrap();
        self.machine.switch_to(Program::Egress);
        assert_eq!(self.machine.compare("SYN with ACK", &frame), Some(Reason::Reply));
        self.machine.switch_to(Program::Xdp);
    }

    /// Sends a segment `offset` bytes into the stream.
    fn send(&mut self, what: &str, offset: u32, payload: &[u8]) -> Reason {
        let sequence = self.sequence.wrapping_add(offset);
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(DEVICE, ALLOWED, 64);
        let mut frame = Vec::new();
        builder.tcp(5555, 53, sequence, 1).ack(78).psh().write(&mut frame, payload).unwrap();
        self.machine.compare(what, &frame).unwrap()
    }
}

fn question_bytes(name: &str) -> Vec<u8> {
    message(9, MessageType::Query, name, RecordType::A).to_vec().unwrap()
}

fn with_length(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn queries_over_tcp_are_judged_as_their_resolver_reads_them() {
    let (allowed, evil) = (question_bytes("allowed.example."), question_bytes("evil.example."));
    let whole = with_length(&allowed);
    let bytes = u32::try_from(whole.len()).unwrap();
    let mut stream = Stream::open();
    for (what, offset, payload, reason) in [
        ("evil, whole", 0, with_length(&evil), Reason::QueryName),
        ("a byte", 0, vec![0], Reason::QuerySegment),
        ("a message without its length", 0, allowed.clone(), Reason::QuerySegment),
        ("half a message", 0, whole[..20].to_vec(), Reason::QuerySegment),
        ("allowed, whole", 0, whole.clone(), Reason::Endpoint),
        ("again", 0, whole.clone(), Reason::Endpoint),
        ("an overlap", 0, [&*whole, &with_length(&evil)].concat(), Reason::QuerySegment),
        ("an overlap by one", bytes - 1, whole.clone(), Reason::QuerySegment),
        ("a gap", bytes + 1, whole.clone(), Reason::QuerySegment),
        ("a length too short for a query", bytes, vec![0, 18], Reason::QuerySegment),
        ("a length", bytes, whole[..2].to_vec(), Reason::Endpoint),
        ("evil behind it", bytes + 2, evil.clone(), Reason::QuerySegment),
        ("allowed behind it", bytes + 2, allowed.clone(), Reason::Endpoint),
        ("both again in one", bytes, whole.clone(), Reason::Endpoint),
        ("the first again", 0, whole.clone(), Reason::QuerySegment),
    ] {
        assert_eq!(stream.send(what, offset, &payload), reason, "{what}");
    }
    // The resolver says again that it accepts: nothing is taken back.
    stream.accept(stream.sequence);
    assert_eq!(stream.send("after that", 0, &whole), Reason::QuerySegment);
    assert_eq!(stream.send("and on", 2 * bytes, &whole), Reason::Endpoint);
    // A SYN of the device alone begins nothing anew.
    let mut syn = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(DEVICE, ALLOWED, 1);
    builder.tcp(5555, 53, 999, 1).syn().write(&mut syn, &[]).unwrap();
    assert_eq!(stream.machine.compare("SYN", &syn), Some(Reason::Endpoint));
    stream.sequence = 1000;
    assert_eq!(stream.send("at its place", 0, &whole), Reason::QuerySegment);
    stream.accept(1000);
    assert_eq!(stream.send("once it is accepted", 0, &whole), Reason::Endpoint);
    // A connection that begins in the middle of what was sent on the last one is another.
    stream.accept(1000 + 12);
    assert_eq!(stream.send("again, from before its beginning", 0, &whole), Reason::QuerySegment);
    assert_eq!(stream.send("from its beginning", 12, &whole), Reason::Endpoint);
    // An urgent byte is none of the stream, whether it is sent or announced.
    for payload in [&*whole, &[]] {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(DEVICE, ALLOWED, 64);
        let mut frame = Vec::new();
        let next = 1012_u32.wrapping_add(bytes);
        builder.tcp(5555, 53, next, 1).ack(78).urg(1).write(&mut frame, payload).unwrap();
        assert_eq!(stream.machine.compare("an urgent byte", &frame), Some(Reason::QuerySegment));
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn a_stream_whose_beginning_was_not_seen_carries_no_query() {
    let mut stream = Stream { machine: Machine::new(Program::Xdp, true), sequence: 1 };
    let whole = with_length(&question_bytes("allowed.example."));
    assert_eq!(stream.send("no connection", 0, &whole), Reason::QuerySegment);
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn a_query_in_fragments_is_denied() {
    let query = question_bytes("allowed.example.");
    let udp = datagram(CLIENT, RESOLVER, &query)[34..].to_vec();
    for cut in [8, 16, 24] {
        let mut machine = Machine::new(Program::Xdp, true);
        let header = Ipv4Header {
            more_fragments: true,
            ..Ipv4Header::new(0, 64, etherparse::IpNumber::UDP, DEVICE, ALLOWED).unwrap()
        };
        let mut header = header;
        header.set_payload_len(cut).unwrap();
        let mut frame = vec![4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 8, 0];
        header.write(&mut frame).unwrap();
        frame.extend(&udp[..cut]);
        assert_eq!(machine.compare("first fragment", &frame), Some(Reason::QueryMalformed), "{cut} bytes");
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn an_answer_has_the_type_that_was_asked() {
    let mut machine = Machine::new(Program::Xdp, true);
    let asked = query(7, "allowed.example.", RecordType::AAAA);
    let (_, reply, learned) = exchange(&mut machine, &asked, &answer(7, "allowed.example.", &[v4([203, 0, 113, 50])]));
    assert_eq!((reply, learned), (Reason::AnswerUnasked, 0));
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn a_denied_query_is_answered_in_the_place_of_its_resolver() {
    let asked = message(0x1234, MessageType::Query, "not.allowed.evil.", RecordType::A);
    let bytes = asked.to_vec().unwrap();
    let over_v4 = datagram(CLIENT, RESOLVER, &bytes);
    let mut over_v6 = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(DEVICE6, ALLOWED6, 64).udp(5555, 53);
    builder.write(&mut over_v6, &bytes).unwrap();
    for program in [Program::Xdp, Program::TcIngress] {
        let mut machine = Machine::new(program, true);
        for frame in [&over_v4, &over_v6] {
            assert_eq!(machine.compare("evil", frame), Some(Reason::QueryName));
            let left = machine.left().to_vec();
            let sent = SlicedPacket::from_ethernet(frame).unwrap();
            let packet = SlicedPacket::from_ethernet(&left).unwrap();
            let Some(LinkSlice::Ethernet2(link)) = &packet.link else { panic!("no Ethernet header") };
            assert_eq!((link.source(), link.destination()), ([4; 6], [2; 6]));
            let (from, to) = addresses(&packet);
            assert_eq!((to, from), addresses(&sent));
            let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("no UDP header") };
            assert_eq!((udp.source_port(), udp.destination_port()), (53, 5555));
            check_checksums(&packet);
            let answer = Message::from_vec(udp.payload()).unwrap();
            assert_eq!(answer.metadata.message_type, MessageType::Response);
            assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
            assert_eq!((answer.metadata.id, &answer.queries), (asked.metadata.id, &asked.queries));
        }
    }
}

fn addresses(packet: &SlicedPacket<'_>) -> (IpAddr, IpAddr) {
    match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(v4) => (v4.header().source_addr().into(), v4.header().destination_addr().into()),
        NetSlice::Ipv6(v6) => (v6.header().source_addr().into(), v6.header().destination_addr().into()),
        NetSlice::Arp(_) => panic!("an ARP packet"),
    }
}

/// The checksums are right, or left out where they may be (RFC 768).
fn check_checksums(packet: &SlicedPacket<'_>) {
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("no UDP header") };
    let header = udp.to_header();
    match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(v4) => {
            let ip = v4.header().to_header();
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            assert_eq!(header.checksum, 0);
        }
        NetSlice::Ipv6(v6) => {
            let ip = v6.header().to_header();
            assert_eq!(header.checksum, header.calc_checksum_ipv6(&ip, udp.payload()).unwrap());
        }
        NetSlice::Arp(_) => panic!("an ARP packet"),
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn what_cannot_be_judged_is_handed_over() {
    let mut machine = Machine::new(Program::Xdp, true);
    let name = "allowed.example.";
    let records = |count| (0..count).map(|host| v4([203, 0, 113, host])).collect::<Vec<RData>>();
    let more = answer(7, name, &records(100));
    let (_, reply, learned) = exchange(&mut machine, &query(7, name, RecordType::A), &more);
    assert_eq!((reply, learned), (Reason::Reply, 0), "more records than the programs walk");
    let handed = machine.handed_over();
    let [(head, frame)] = handed.as_slice() else { panic!("{} records", handed.len()) };
    assert_eq!((head.why, head.asked, head.held, frame), (unjudged_why::RECORDS, 1, 0, &more));
    let long = answer(7, name, &records(140));
    let (_, reply, learned) = exchange(&mut machine, &query(7, name, RecordType::A), &long);
    assert_eq!((reply, learned), (Reason::Reply, 0), "longer than the programs read");
    let handed = machine.handed_over();
    let [(head, frame)] = handed.as_slice() else { panic!("{} records", handed.len()) };
    assert_eq!((head.why, head.asked, head.held), (unjudged_why::LONG, 0, 0));
    assert_eq!(frame, &long);
    assert_eq!(head.device[12..], DEVICE);
    let payload = &long[42..];
    let fragments = fragments(payload, RESOLVER, CLIENT);
    for fragment in &fragments {
        assert!(machine.compare("fragment", fragment).is_some());
    }
    let handed = machine.handed_over();
    assert_eq!(handed.iter().map(|(_, frame)| frame.clone()).collect::<Vec<_>>(), fragments);
    assert!(handed.iter().all(|(head, _)| head.why == unjudged_why::FRAGMENTS));
    assert!(machine.learned().is_empty());
}

/// A datagram in fragments of at most 1400 bytes.
fn fragments(payload: &[u8], from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<Vec<u8>> {
    let whole = datagram(from, to, payload);
    let (link, ip) = whole.split_at(14);
    let (header, body) = ip.split_at(20);
    let pieces = body.chunks(1400);
    let count = pieces.len();
    let fragment = |(index, piece): (usize, &[u8])| {
        let mut header = Ipv4Header::from_slice(header).unwrap().0;
        header.set_payload_len(piece.len()).unwrap();
        (header.identification, header.dont_fragment) = (77, false);
        header.more_fragments = index + 1 < count;
        header.fragment_offset = IpFragOffset::try_new(u16::try_from(index * 1400 / 8).unwrap()).unwrap();
        header.header_checksum = header.calc_header_checksum();
        [link, &header.to_bytes(), piece].concat()
    };
    pieces.enumerate().map(fragment).collect()
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn poisoned_answers_teach_nothing() {
    let records = [v4([203, 0, 113, 50])];
    let name = "allowed.example.";
    let mut failed = answer_message(7, name, &records);
    failed.metadata.response_code = ResponseCode::NXDomain;
    let mut truncated = answer_message(7, name, &records);
    truncated.metadata.truncation = true;
    let mut additional = answer_message(7, name, &[]);
    additional.add_additional(Record::from_rdata(Name::from_ascii(name).unwrap(), 30, records[0].clone()));
    let bytes = |message: &Message| datagram(RESOLVER, CLIENT, &message.to_vec().unwrap());
    let plain = answer_message(7, name, &records);
    let mut looped = plain.to_vec().unwrap();
    // The owner of the record becomes a pointer to itself; owners are not followed, so this one still teaches.
    let owner = looped.len() - records_bytes(&records) - 1;
    looped.truncate(owner.max(12));
    for (what, frame, reason) in [
        ("wrong identifier", answer(8, name, &records), Reason::AnswerUnasked),
        ("wrong question", answer(7, "private.example.", &records), Reason::AnswerUnasked),
        ("name error", bytes(&failed), Reason::Reply),
        ("truncated", bytes(&truncated), Reason::Reply),
        ("additional section", bytes(&additional), Reason::Reply),
        ("loopback", answer(7, name, &[v4([127, 0, 0, 1])]), Reason::Reply),
        ("private address", answer(7, name, &[v4([10, 0, 0, 1])]), Reason::Reply),
        (
            "a query instead",
            datagram(RESOLVER, CLIENT, &message(7, MessageType::Query, name, RecordType::A).to_vec().unwrap()),
            Reason::AnswerUnasked,
        ),
        ("cut off", datagram(RESOLVER, CLIENT, &looped), Reason::Reply),
    ] {
        let mut machine = Machine::new(Program::Xdp, true);
        let (_, reply, learned) = exchange(&mut machine, &query(7, name, RecordType::A), &frame);
        assert_eq!((reply, learned), (reason, 0), "{what}");
    }
    let mut machine = Machine::new(Program::Xdp, true);
    machine.switch_to(Program::Egress);
    assert_eq!(machine.compare("no query at all", &bytes(&plain)), Some(Reason::Unsolicited));
    assert!(machine.learned().is_empty());
    let mut machine = Machine::new(Program::Xdp, true);
    let asked = query(7, "private.example.", RecordType::A);
    let (_, _, learned) = exchange(&mut machine, &asked, &answer(7, "private.example.", &[v4([10, 0, 0, 1])]));
    assert_eq!(learned, 2, "a name that says so may lead to private addresses");
}

fn records_bytes(records: &[RData]) -> usize {
    records.len() * 4
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn a_group_learns_no_more_than_its_share() {
    let mut machine = Machine::new(Program::Xdp, true);
    let mut learned = 0;
    for round in 0..4_u8 {
        let records: Vec<RData> = (0..10).map(|host| v4([203, 0, 100 + round, host])).collect();
        let id = u16::from(round);
        let asked = query(id, "allowed.example.", RecordType::A);
        (_, _, learned) = exchange(&mut machine, &asked, &answer(id, "allowed.example.", &records));
    }
    assert_eq!(learned, 40);
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn mutated_answers_teach_kernel_and_host_the_same() {
    let mut machine = Machine::new(Program::Xdp, true);
    machine.compare("query", &query(7, "allowed.example.", RecordType::A)).unwrap();
    machine.switch_to(Program::Egress);
    let records: Vec<RData> = (0..5)
        .map(|host| v4([203, 0, 113, host]))
        .chain([RData::CNAME(CNAME(Name::from_ascii("a.b.").unwrap()))])
        .collect();
    let good = answer(7, "allowed.example.", &records);
    let mut random = Random(0x1234_5678_9abc_def1);
    for round in 0..100_000 {
        let mut frame = good.clone();
        for _ in 0..=random.below(3) {
            let at = 42 + random.below(frame.len() - 42);
            frame[at] = random.next().to_le_bytes()[0];
        }
        if random.below(10) == 0 {
            mutate(&mut frame, &mut random);
        }
        if frame.len() >= 14 {
            machine.compare(&format!("mutated answer {round}"), &frame);
        }
        if round % 1000 == 0 {
            machine.learned();
        }
    }
    machine.learned();
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn reading_an_answer_adds_little() {
    let mut machine = Machine::new(Program::Xdp, true);
    machine.compare("query", &query(7, "allowed.example.", RecordType::A)).unwrap();
    machine.switch_to(Program::Egress);
    let records = [
        RData::CNAME(CNAME(Name::from_ascii("prod.trafficmanager.example.").unwrap())),
        RData::CNAME(CNAME(Name::from_ascii("prod.cdn.example.").unwrap())),
        v4([203, 0, 113, 50]),
        v4([203, 0, 113, 51]),
    ];
    let lesson = answer(7, "allowed.example.", &records);
    // As long, but from another port: it takes the same way without being read.
    let mut plain = lesson.clone();
    plain[34..36].copy_from_slice(&443_u16.to_be_bytes());
    let mut added: Vec<u128> = (0..21)
        .map(|_| machine.duration(&lesson, 1000).as_nanos().saturating_sub(machine.duration(&plain, 1000).as_nanos()))
        .collect();
    added.sort_unstable();
    let median = added[added.len() / 2];
    println!("reading an answer with two addresses adds {median} ns (median of {})", added.len());
    assert!(median <= MAX_ADDED_NS, "reading an answer adds {median} ns");
}
