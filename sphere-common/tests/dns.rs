//! The walk of DNS messages against hickory-proto, which reads and writes them independently.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use sphere_common::dns::{AnswerWalk, CLASS_IN, Found, Header, MAX_NAME_STEPS, MAX_STEPS, QuestionWalk, TYPE_A};
use sphere_common::name::{KEY_BYTES, Taken, rule_key};

type Address = (IpAddr, u32);

/// Asked name, type, and addresses with their lifetimes: what the walk reads.
fn walk(message: &[u8]) -> Option<(String, u16, Vec<Address>)> {
    let header = Header::parse(message)?;
    if header.questions != 1 {
        return None;
    }
    let mut question = QuestionWalk::START;
    let mut steps = 0;
    while question.step(message) {
        steps += 1;
        assert!(steps < MAX_NAME_STEPS, "a name has at most 255 bytes");
    }
    let (kind, class) = question.kind(message)?;
    if class != CLASS_IN {
        return None;
    }
    let text = &question.name.text[..question.name.bytes as usize];
    assert_eq!(reversed(&question), text.iter().rev().copied().collect::<Vec<_>>());
    let name = String::from_utf8_lossy(text).into_owned();
    let mut answers = AnswerWalk::start(question.at, header.answers);
    let mut found = Vec::new();
    for _ in 0..MAX_STEPS {
        let step = answers.step(message);
        let at = step.at as usize;
        match step.found {
            Found::Nothing => {}
            Found::Ipv4 => found.push((IpAddr::from(<[u8; 4]>::try_from(&message[at..at + 4]).unwrap()), step.ttl)),
            Found::Ipv6 => found.push((IpAddr::from(<[u8; 16]>::try_from(&message[at..at + 16]).unwrap()), step.ttl)),
            Found::End => return Some((name, kind, found)),
            Found::Malformed => return None,
        }
    }
    None
}

fn reversed(question: &QuestionWalk) -> Vec<u8> {
    let at = question.name.reversed_at();
    question.name.reversed[at..at + question.name.bytes as usize].to_vec()
}

/// The same read by hickory.
fn oracle(bytes: &[u8]) -> Option<(String, u16, Vec<Address>)> {
    let message = Message::from_vec(bytes).ok()?;
    let query = message.queries.first()?;
    let name = query.name().to_string().to_lowercase();
    let addresses = message.answers.iter().filter_map(|record| match &record.data {
        RData::A(A(address)) => Some((IpAddr::V4(*address), record.ttl)),
        RData::AAAA(AAAA(address)) => Some((IpAddr::V6(*address), record.ttl)),
        _ => None,
    });
    Some((name.trim_end_matches('.').to_owned(), query.query_type().into(), addresses.collect()))
}

#[derive(Clone, Debug)]
enum Data {
    V4([u8; 4]),
    V6([u8; 16]),
    Alias(String),
    Text(String),
}

fn label() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_][a-zA-Z0-9_-]{0,18}[a-zA-Z0-9]"
}

fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(label(), 1..6).prop_map(|labels| labels.join(".") + ".")
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(Data::V4),
        any::<[u8; 16]>().prop_map(Data::V6),
        name().prop_map(Data::Alias),
        "[ -~]{0,60}".prop_map(Data::Text),
    ]
}

fn message(asked: &str, records: &[(String, u32, Data)]) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    let asked = Name::from_ascii(asked).unwrap();
    message.add_query(Query::query(asked, RecordType::A));
    for (owner, ttl, data) in records {
        let data = match data {
            Data::V4(address) => RData::A(A((*address).into())),
            Data::V6(address) => RData::AAAA(AAAA((*address).into())),
            Data::Alias(name) => RData::CNAME(CNAME(Name::from_ascii(name).unwrap())),
            Data::Text(text) => RData::TXT(TXT::new(vec![text.clone()])),
        };
        message.add_answer(Record::from_rdata(Name::from_ascii(owner).unwrap(), *ttl, data));
    }
    message.to_vec().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn addresses_of_an_answer_are_read_as_hickory_reads_them(
        asked in name(),
        records in proptest::collection::vec((name(), 0_u32..0x8000_0000, data()), 0..40),
    ) {
        let bytes = message(&asked, &records);
        let theirs = oracle(&bytes).unwrap();
        let ours = walk(&bytes).unwrap();
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(ours.1, TYPE_A);
    }

    #[test]
    fn mutated_answers_never_give_addresses_that_hickory_does_not_see(
        asked in name(),
        records in proptest::collection::vec((name(), 0_u32..1000, data()), 0..10),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = message(&asked, &records);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let (Some(ours), Some(theirs)) = (walk(&bytes), oracle(&bytes)) {
            // hickory keeps records of any class; the walk reads only the Internet's.
            for address in &ours.2 {
                let seen = theirs.2.iter().any(|(other, _)| *other == address.0);
                prop_assert!(seen, "{:?} is not among {:?}", address, theirs.2);
            }
        }
    }

    #[test]
    fn walks_of_arbitrary_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = walk(&bytes);
    }

    #[test]
    fn a_suffix_rule_is_a_prefix_of_every_name_below_it_and_of_no_other(below in name(), suffix in name()) {
        let (below, suffix) = (below.trim_end_matches('.'), suffix.trim_end_matches('.').to_lowercase());
        let full = format!("{below}.{suffix}").to_lowercase();
        let (suffix_key, suffix_bytes) = rule_key(&suffix, true).unwrap();
        let (full_key, full_bytes) = rule_key(&full, false).unwrap();
        prop_assert!(full_key[..full_bytes].starts_with(&suffix_key[..suffix_bytes]));
        let (same_key, same_bytes) = rule_key(&suffix, false).unwrap();
        prop_assert!(!same_key[..same_bytes].starts_with(&suffix_key[..suffix_bytes]), "*.x is not x");
        let glued = format!("{}{suffix}", full.split('.').next().unwrap());
        let (glued_key, glued_bytes) = rule_key(&glued, false).unwrap();
        prop_assert!(!glued_key[..glued_bytes].starts_with(&suffix_key[..suffix_bytes]), "no label boundary");
        prop_assert!(full_bytes <= KEY_BYTES);
    }
}

#[test]
fn header_tells_query_answer_truncation_and_error_apart() {
    let header = |flags: u16, questions: u16, answers: u16| {
        let words = [7, flags, questions, answers, 0, 0];
        Header::parse(words.map(u16::to_be_bytes).concat().as_slice()).unwrap()
    };
    assert!(header(0x0100, 1, 0).is_query());
    assert!(!header(0x0100, 2, 0).is_query(), "two questions");
    assert!(!header(0x0100, 1, 1).is_query(), "a query with an answer");
    assert!(!header(0x2800, 1, 0).is_query(), "an update");
    assert!(header(0x8180, 1, 3).is_answer() && header(0x8180, 1, 3).is_noerror());
    assert!(header(0x8380, 1, 0).is_truncated());
    assert!(!header(0x8183, 1, 0).is_noerror(), "no such name");
    assert_eq!(Header::parse([0; 11].as_slice()), None);
}

#[test]
fn names_that_no_rule_can_mean_are_refused() {
    let question = |name: &[u8]| {
        let bytes = [&[0; 12], name, &[0, 1, 0, 1]].concat();
        let mut walk = QuestionWalk::START;
        while walk.step(bytes.as_slice()) {}
        (walk.taken, walk.kind(bytes.as_slice()))
    };
    assert_eq!(question(b"\x01a\x00"), (Taken::End, Some((1, 1))));
    assert_eq!(question(b"\x00").1, None, "the root");
    assert_eq!(question(b"\x03a.b\x00").0, Taken::Refused, "a dot inside a label");
    assert_eq!(question(b"\xc0\x0c").0, Taken::Refused, "a pointer in a question");
    let long = [[&[63_u8][..], &[b'a'; 63]].concat().repeat(4), vec![0]].concat();
    assert_eq!(question(&long).0, Taken::Refused, "longer than a name may be");
    assert_eq!(question(b"\x05abc").0, Taken::Refused, "cut off");
}
