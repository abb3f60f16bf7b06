//! What is put together from frames is what was sent, in whatever pieces and order; and nothing panics.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use etherparse::{IpFragOffset, Ipv4Header, PacketBuilder, SlicedPacket, TransportSlice};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use zerocopy::FromZeros;

use super::*;

mod again;

const DEVICE: [u8; 4] = [10, 20, 0, 5];
const RESOLVER: [u8; 4] = [20, 40, 0, 53];
const PORT: u16 = 5555;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// An answer that leads through an alias to so many addresses.
fn answer(id: u16, addresses: u16) -> Message {
    let mut message = Message::new(id, MessageType::Response, OpCode::Query);
    message.add_query(Query::query(name("Api.Example.COM."), RecordType::A));
    message.add_answer(Record::from_rdata(name("api.example.com."), 5, RData::CNAME(CNAME(name("x.cdn.")))));
    for host in 0..addresses {
        let [high, low] = host.to_be_bytes();
        message.add_answer(Record::from_rdata(name("x.cdn."), 30, RData::A(A([20, 1, high, low].into()))));
    }
    message
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

/// A message with its length before it.
fn framed(message: &Message) -> Vec<u8> {
    let bytes = bytes(message);
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
}

fn head(frame: &[u8]) -> Unjudged {
    let length = u32::try_from(frame.len()).unwrap();
    Unjudged {
        monotonic_ns: 1_000_000_000,
        device: std::net::Ipv4Addr::from(DEVICE).to_ipv6_mapped().octets(),
        resolver: std::net::Ipv4Addr::from(RESOLVER).to_ipv6_mapped().octets(),
        ifindex: 7,
        group: 3,
        frame_bytes: length,
        copied_bytes: length,
        ..Unjudged::new_zeroed()
    }
}

fn held(frame: &[u8]) -> Unjudged {
    Unjudged { held: 1, ..head(frame) }
}

fn datagram(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(RESOLVER, DEVICE, 64).udp(53, PORT);
    builder.write(&mut frame, message).unwrap();
    frame
}

fn segment_to(port: u16, sequence: u32, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(RESOLVER, DEVICE, 64).tcp(53, port, sequence, 900);
    builder.ack(1).psh().write(&mut frame, bytes).unwrap();
    frame
}

fn segment(sequence: u32, bytes: &[u8]) -> Vec<u8> {
    segment_to(PORT, sequence, bytes)
}

/// A datagram in fragments of at most so many bytes, a multiple of eight.
fn fragments(message: &[u8], size: usize) -> Vec<Vec<u8>> {
    let whole = datagram(message);
    let (link, ip) = whole.split_at(14);
    let (header, body) = ip.split_at(20);
    let fragment = |(index, piece): (usize, &[u8])| {
        let mut header = Ipv4Header::from_slice(header).unwrap().0;
        header.set_payload_len(piece.len()).unwrap();
        (header.identification, header.dont_fragment) = (77, false);
        header.more_fragments = (index + 1) * size < body.len();
        header.fragment_offset = IpFragOffset::try_new(u16::try_from(index * size / 8).unwrap()).unwrap();
        header.header_checksum = header.calc_header_checksum();
        [link, &header.to_bytes(), piece].concat()
    };
    body.chunks(size).enumerate().map(fragment).collect()
}

fn ids(heard: &[Overheard]) -> Vec<u16> {
    heard.iter().map(|answer| answer.exchange.id).collect()
}

/// Everything that the listener makes of these frames.
fn hear_all<'a>(frames: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<Overheard> {
    let mut listener = Listener::default();
    frames.into_iter().flat_map(|frame| listener.hear(&head(frame), frame).answers).collect()
}

#[test]
fn a_long_answer_in_one_datagram_is_read_whole() {
    let message = answer(7, 255);
    let frame = datagram(&bytes(&message));
    let heard = Listener::default().hear(&Unjudged { asked: 1, ..head(&frame) }, &frame);
    let [overheard] = heard.answers.as_slice() else { panic!("{heard:?}") };
    assert_eq!((overheard.group, overheard.is_asked, overheard.records.len()), (3, true, 255));
    let expected = Exchange {
        device: DEVICE.into(),
        device_port: PORT,
        resolver: RESOLVER.into(),
        is_tcp: false,
        id: 7,
        name: "api.example.com".to_owned(),
        kind: 1,
    };
    assert_eq!(overheard.exchange, expected);
    assert_eq!(overheard.records[1].address, IpAddr::from([20, 1, 0, 1]));
    assert_eq!(overheard.records[1].ttl, Duration::from_secs(30));
}

#[test]
fn records_of_both_families_count_whoever_owns_them_and_others_do_not() {
    let mut message = answer(7, 1);
    let rdata = [RData::AAAA(AAAA("2001:db8::1".parse().unwrap())), RData::TXT(TXT::new(vec!["x".repeat(200)]))];
    for data in rdata {
        message.add_answer(Record::from_rdata(name("somebody.else."), 9, data));
    }
    message.add_additional(Record::from_rdata(name("api.example.com."), 9, RData::A(A([9, 9, 9, 9].into()))));
    let frame = datagram(&bytes(&message));
    let heard = Listener::default().hear(&head(&frame), &frame);
    let addresses: Vec<IpAddr> = heard.answers[0].records.iter().map(|record| record.address).collect();
    assert_eq!(addresses, [IpAddr::from([20, 1, 0, 0]), "2001:db8::1".parse().unwrap()]);
}

#[test]
fn answers_that_teach_nothing_are_told_from_those_that_cannot_be_read() {
    let mut failed = answer(7, 2);
    failed.metadata.response_code = ResponseCode::NXDomain;
    let mut truncated = answer(7, 2);
    truncated.metadata.truncation = true;
    let mut query = answer(7, 2);
    query.metadata.message_type = MessageType::Query;
    let whole = bytes(&answer(7, 2));
    for (what, message, expected) in [
        ("name error", bytes(&failed), (1, 0)),
        ("truncated", bytes(&truncated), (1, 0)),
        ("no addresses", bytes(&answer(7, 0)), (1, 0)),
        ("a query", bytes(&query), (0, 1)),
        ("cut off", whole[..whole.len() - 1].to_vec(), (0, 1)),
        ("nothing", Vec::new(), (0, 1)),
    ] {
        let frame = datagram(&message);
        let heard = Listener::default().hear(&head(&frame), &frame);
        assert_eq!((heard.ignored, heard.unreadable), expected, "{what}");
        assert!(heard.answers.is_empty(), "{what}");
    }
}

#[test]
fn a_ttl_with_the_highest_bit_set_is_zero() {
    let mut message = answer(7, 0);
    message.add_answer(Record::from_rdata(name("x."), 0x8000_0001, RData::A(A([20, 0, 0, 1].into()))));
    let frame = datagram(&bytes(&message));
    assert_eq!(hear_all([&frame])[0].records[0].ttl, Duration::ZERO);
}

#[test]
fn segments_of_the_next_connection_begin_anew() {
    let (first, second) = (framed(&answer(1, 3)), framed(&answer(2, 3)));
    let frames = [segment(100, &first[..20]), segment(0x8000_0000, &second)];
    let mut listener = Listener::default();
    assert!(listener.hear(&head(&frames[0]), &frames[0]).answers.is_empty());
    let heard = listener.hear(&head(&frames[1]), &frames[1]);
    assert_eq!((ids(&heard.answers), heard.lost), (vec![2], 1));
}

#[test]
fn a_stream_that_began_in_the_middle_of_a_message_goes_on_after_a_while() {
    let stream = [framed(&answer(1, 200)), framed(&answer(2, 3))].concat();
    let first = framed(&answer(1, 200)).len();
    let mut listener = Listener::default();
    let frame = segment(1000, &stream[50..first]);
    assert!(listener.hear(&head(&frame), &frame).answers.is_empty());
    let next = 1000 + u32::try_from(first - 50).unwrap();
    let frame = segment(next, &stream[first..]);
    let later = Unjudged { monotonic_ns: 9_000_000_000, ..head(&frame) };
    let heard = listener.hear(&later, &frame);
    assert_eq!((ids(&heard.answers), heard.lost), (vec![2], 1));
}

#[test]
fn only_the_frame_that_completes_an_answer_waits_for_it() {
    let stream = framed(&answer(1, 200));
    let mut listener = Listener::default();
    let frames = [segment(1, &stream[..1000]), segment(1001, &stream[1000..])];
    let heard = frames.each_ref().map(|frame| listener.hear(&held(frame), frame));
    assert_eq!(heard.each_ref().map(|heard| heard.answers.len()), [0, 1]);
    assert_eq!(heard.map(|heard| heard.frames.len()), [1, 1]);
}

#[test]
fn a_held_fragment_waits_for_the_others_until_it_is_due() {
    let message = bytes(&answer(7, 180));
    let frames = fragments(&message, 1400);
    let limit = |_group| Duration::from_millis(20);
    let mut listener = Listener::default();
    let heard = listener.hear(&held(&frames[0]), &frames[0]);
    assert!(heard.frames.is_empty() && heard.answers.is_empty());
    let due = listener.next_due(limit).unwrap();
    assert_eq!(due, Moment::new(Duration::from_millis(1020)));
    assert!(listener.overdue(due.before(Duration::from_millis(1)), limit).is_empty());
    assert_eq!(listener.overdue(due, limit).len(), 1);
    assert_eq!(listener.next_due(limit), None);
    let mut heard = Heard::default();
    for frame in &frames[1..] {
        heard = listener.hear(&head(frame), frame);
    }
    assert_eq!((heard.answers.len(), heard.frames.len()), (1, 0), "it is learned all the same");

    listener.hear(&held(&frames[0]), &frames[0]);
    for frame in &frames[1..] {
        heard = listener.hear(&head(frame), frame);
    }
    assert_eq!((heard.answers.len(), heard.frames.len()), (1, 1));
    assert_eq!(heard.frames[0].whole().as_ref(), Some(&frames[0]));
}

#[test]
fn fragments_that_never_become_whole_are_given_up() {
    let frame = &fragments(&bytes(&answer(7, 180)), 1400)[0];
    let mut listener = Listener::default();
    listener.hear(&held(frame), frame);
    let other = datagram(&bytes(&answer(8, 1)));
    let heard = listener.hear(&Unjudged { monotonic_ns: 20_000_000_000, ..head(&other) }, &other);
    assert_eq!((heard.lost, heard.given_up.len(), heard.answers.len()), (1, 1, 1));
}

#[test]
fn what_is_kept_is_bounded() {
    let mut listener = Listener::default();
    let half = &framed(&answer(1, 200))[..1000];
    for port in 0..3000 {
        let frame = segment_to(port, 1, half);
        listener.hear(&head(&frame), &frame);
    }
    let (streams, bytes) = listener.streams.size();
    assert!(streams <= 1024 && bytes <= 1024 * 1000, "{streams} {bytes}");
    // One stream that never becomes whole.
    let mut listener = Listener::default();
    for index in 0..1000_u32 {
        let frame = segment(1 + 2000 * index, half);
        listener.hear(&head(&frame), &frame);
    }
    assert!(listener.streams.size().1 < 300_000);
    for id in 0..1000_u16 {
        let mut frame = fragments(&bytes_of(180), 1400)[0].clone();
        frame[18..20].copy_from_slice(&id.to_be_bytes());
        listener.hear(&head(&frame), &frame);
    }
    assert!(listener.fragments.size() <= 256);
    let quiet = datagram(&bytes_of(1));
    listener.hear(&Unjudged { monotonic_ns: 200_000_000_000, ..head(&quiet) }, &quiet);
    assert_eq!((listener.streams.size(), listener.fragments.size()), ((0, 0), 0));
}

fn bytes_of(addresses: u16) -> Vec<u8> {
    bytes(&answer(7, addresses))
}

fn checked(frame: &[u8]) -> (u32, Vec<u8>) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(TransportSlice::Tcp(tcp)) = &packet.transport else { panic!("no TCP header") };
    let etherparse::NetSlice::Ipv4(ip) = packet.net.as_ref().unwrap() else { panic!("no IPv4 header") };
    assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
    assert_eq!(tcp.checksum(), tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()).unwrap());
    (tcp.sequence_number(), tcp.payload().to_vec())
}

#[test]
fn a_held_frame_longer_than_the_link_goes_on_in_segments() {
    let stream = framed(&answer(7, 255));
    let frame = segment(u32::MAX - 600, &stream);
    let pieces = HeldFrame::new(&held(&frame), &frame).unwrap().segments();
    assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() <= 600));
    let mut expected = u32::MAX - 600;
    let mut together = Vec::new();
    for piece in &pieces {
        let (sequence, payload) = checked(piece);
        assert_eq!(sequence, expected);
        expected = expected.wrapping_add(u32::try_from(payload.len()).unwrap());
        together.extend(payload);
    }
    assert_eq!(together, stream);
    assert_eq!(hear_all(&pieces).len(), 1);
}

#[test]
fn a_checksum_that_was_left_to_the_card_is_filled_in_and_no_other_is_touched() {
    let good = segment(1, &framed(&answer(7, 3)));
    let mut partial = good.clone();
    // RFC 9293 section 3.1: addresses, protocol and length, added up in ones' complement.
    let words = [RESOLVER, DEVICE].concat();
    let words = words.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum::<u32>() + 6 + u32::try_from(good.len() - 34).unwrap();
    partial[50..52].copy_from_slice(&u16::try_from(sum % 0xffff).unwrap().to_be_bytes());
    assert_eq!(HeldFrame::new(&held(&partial), &partial).unwrap().whole().unwrap(), good);
    let mut wrong = good.clone();
    wrong[50] ^= 0x55;
    assert_eq!(HeldFrame::new(&held(&wrong), &wrong).unwrap().whole().unwrap(), wrong);
}

#[test]
fn a_tag_beside_the_frame_goes_into_it() {
    let frame = datagram(&bytes_of(1));
    let tagged = Unjudged { vlan_protocol_be: 0x8100_u16.to_be(), vlan_tci: 0x0064, ..held(&frame) };
    let whole = HeldFrame::new(&tagged, &frame).unwrap().whole().unwrap();
    assert_eq!(whole[12..16], [0x81, 0, 0, 0x64]);
    assert_eq!(SlicedPacket::from_ethernet(&whole).unwrap().vlan_ids().as_slice()[0].value(), 100);
    assert_eq!(hear_all([&whole]).len(), 1, "tags in the frame are read over");
}

#[test]
fn of_a_frame_that_was_cut_goes_on_what_is_there() {
    let stream = framed(&answer(7, 1000));
    let frame = segment(1, &stream);
    let cut = &frame[..9000];
    let record = Unjudged { copied_bytes: 9000, ..held(&frame) };
    let kept = HeldFrame::new(&record, cut).unwrap();
    assert_eq!(kept.whole(), None);
    let together: Vec<u8> = kept.segments().iter().flat_map(|piece| checked(piece).1).collect();
    assert_eq!(together, stream[..9000 - 54]);
    let mut listener = Listener::default();
    assert!(listener.hear(&record, cut).answers.is_empty());
    let rest = segment(u32::try_from(1 + together.len()).unwrap(), &stream[together.len()..]);
    assert_eq!(listener.hear(&held(&rest), &rest).answers[0].records.len(), 1000);
}

/// Places where a stream is cut into segments, and the order in which these come.
fn pieces() -> impl Strategy<Value = (Vec<u16>, Vec<usize>, Vec<u16>)> {
    let cuts = prop::collection::vec(1..1600_usize, 1..40);
    (prop::collection::vec(0..90_u16, 1..8), cuts, prop::collection::vec(any::<u16>(), 40))
}

proptest! {
    #[test]
    fn a_stream_gives_the_same_answers_however_it_is_cut_and_ordered(
        (sizes, cuts, order) in pieces(),
        start in any::<u32>(),
    ) {
        let messages: Vec<Message> = (1_u16..).zip(&sizes).map(|(id, size)| answer(id, size + 1)).collect();
        let stream: Vec<u8> = messages.iter().flat_map(framed).collect();
        let mut segments = Vec::new();
        let (mut at, mut cuts) = (0, cuts.iter().cycle());
        while at < stream.len() {
            let end = (at + cuts.next().unwrap()).min(stream.len());
            segments.push((start.wrapping_add(u32::try_from(at).unwrap()), &stream[at..end]));
            at = end;
        }
        // Every third one comes twice, the second time together with what follows it.
        for index in (0..segments.len()).step_by(3) {
            let (sequence, bytes) = segments[index];
            let at = usize::try_from(sequence.wrapping_sub(start)).unwrap();
            segments.push((sequence, &stream[at..(at + 2 * bytes.len()).min(stream.len())]));
        }
        let mut rest = segments.split_off(1);
        let keys = order.iter().cycle().enumerate().map(|(index, key)| key.rotate_left((index % 16) as u32));
        let mut keyed: Vec<_> = keys.zip(rest.drain(..)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        segments.extend(keyed.into_iter().map(|(_, segment)| segment));
        prop_assume!(segments.len() < 200);
        let frames: Vec<Vec<u8>> = segments.iter().map(|(sequence, bytes)| segment(*sequence, bytes)).collect();
        let heard = hear_all(&frames);
        prop_assert_eq!(ids(&heard), (1..=u16::try_from(messages.len()).unwrap()).collect::<Vec<_>>());
        for (answer, size) in heard.iter().zip(&sizes) {
            prop_assert_eq!(answer.records.len(), usize::from(size + 1));
        }
    }

    #[test]
    fn the_first_segment_may_come_late(size in 30..200_u16, order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let stream = framed(&answer(9, size));
        let room = stream.len().div_ceil(8);
        let segments: Vec<_> = stream.chunks(room).collect();
        let of = |index: usize| segment(u32::try_from(index * room).unwrap(), segments[index]);
        let frames: Vec<Vec<u8>> = order.into_iter().filter(|index| *index < segments.len()).map(of).collect();
        prop_assert_eq!(ids(&hear_all(&frames)), [9]);
    }

    #[test]
    fn fragments_give_the_same_answer_in_any_order(
        size in 1..64_usize,
        order in Just((0..200_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let frames = fragments(&bytes_of(100), size * 8 + 8);
        let ordered: Vec<&Vec<u8>> = order.into_iter().filter_map(|index| frames.get(index)).collect();
        let heard = hear_all(ordered);
        prop_assert_eq!(heard.len(), 1);
        prop_assert_eq!(heard[0].records.len(), 100);
    }

    #[test]
    fn no_frame_makes_it_panic(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20),
        cut in any::<u32>(),
    ) {
        let mut listener = Listener::default();
        for frame in &frames {
            let heard = listener.hear(&Unjudged { frame_bytes: cut, ..held(frame) }, frame);
            for frame in heard.frames {
                drop((frame.whole(), frame.segments()));
            }
        }
    }

    #[test]
    fn no_change_of_a_good_frame_makes_it_panic(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
    ) {
        let stream = framed(&answer(1, 90));
        let mut frame = match which {
            0 => datagram(&bytes_of(90)),
            1 => segment(1, &stream),
            _ => fragments(&bytes_of(90), 800)[1].clone(),
        };
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        let whole = frame.len();
        frame.truncate(length.index(whole) + 1);
        let mut listener = Listener::default();
        for other in [&segment(1, &stream[..100]), &frame, &segment(101, &stream[100..])] {
            let heard = listener.hear(&held(other), other);
            for frame in heard.frames {
                drop((frame.whole(), frame.segments()));
            }
        }
    }
}
