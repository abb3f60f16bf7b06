//! An arbitrary DNS message through the walk of the programs, beside hickory as another reader of the same bytes.
//!
//! Nothing may panic or look beyond the message. Where both readers accept it, they agree on the question and on the
//! addresses of the answer section; what hickory accepts, the walk refuses only for reasons of its own ([`is_plain`]).
//! Whatever hickory says, an address counts only if it stands in the message as an address record, and a device learns
//! what the walk found and nothing else.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{DNSClass, RData};
use sphere_common::abi::{NameValue, Service, config_flags, endpoint_flags, group_flags, name_flags};
use sphere_common::decide::{self, Context, Workspace};
use sphere_common::dns::{
    AnswerWalk, CLASS_IN, Found, HEADER_BYTES, Header, MAX_NAME_STEPS, MAX_RECORDS, MAX_STEPS, MESSAGE_BYTES, Message,
    QuestionWalk, Step, TYPE_A, TYPE_AAAA,
};
use sphere_common::host::HostTables;
use sphere_common::name::MAX_NAME_BYTES;
use sphere_common::verdict::Verdict;

use crate::packet::{self, ENFORCED};

const DEVICE: [u8; 4] = [10, 20, 0, 5];
const RESOLVER: [u8; 4] = [192, 0, 2, 53];
const DNS: u16 = 53;
const PORT: u16 = 5_555;
/// Bytes of a record between its owner and its data.
const RECORD_BYTES: usize = 10;

/// What the readers made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Both accept it.
    Both,
    /// Only the walk does.
    Walk,
    /// Only hickory does.
    Hickory,
    /// Neither does.
    Neither,
}

/// Reads the input as a message.
///
/// # Panics
///
/// When the readers disagree, or more is learned than the message says.
pub fn read(data: &[u8]) {
    outcome(data);
}

/// What came of the input, and how many addresses a device learned from it.
///
/// # Panics
///
/// As [`read`].
pub fn outcome(data: &[u8]) -> (Outcome, usize) {
    let data = data.get(..MESSAGE_BYTES).unwrap_or(data);
    let Some(header) = Header::parse(&Guarded(data)).filter(Header::is_answer) else { return (Outcome::Neither, 0) };
    let walked = walk(data, &header);
    let oracle = Oracle::read(data);
    if let Some(oracle) = &oracle {
        compare(data, walked.as_ref(), oracle);
    }
    let learned = walked.as_ref().map_or(0, |walked| learn(data, &header, walked));
    let outcome = match (walked.is_some_and(|walked| walked.is_whole), oracle.is_some()) {
        (true, true) => Outcome::Both,
        (true, false) => Outcome::Walk,
        (false, true) => Outcome::Hickory,
        (false, false) => Outcome::Neither,
    };
    (outcome, learned)
}

/// A message that must not be read beyond its end.
struct Guarded<'a>(&'a [u8]);

impl Message for Guarded<'_> {
    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn byte(&self, at: usize) -> u8 {
        *self.0.get(at).unwrap_or_else(|| panic!("byte {at} of {}", self.0.len()))
    }
}

/// What the walk says.
struct Walked {
    /// In lower case, without the final dot.
    name: Vec<u8>,
    kind: u16,
    class: u16,
    /// Where the answer section begins.
    answers_at: usize,
    addresses: Vec<(IpAddr, u32)>,
    /// Whether the answer section was walked to its end.
    is_whole: bool,
    steps: u32,
}

/// `None` when the question cannot be read.
fn walk(data: &[u8], header: &Header) -> Option<Walked> {
    let message = Guarded(data);
    let mut question = QuestionWalk::START;
    question.clear(0);
    let mut steps = 0;
    while steps < MAX_NAME_STEPS && question.step(&message) {
        steps += 1;
    }
    let (kind, class) = question.kind(&message)?;
    let mut answers = AnswerWalk::start(question.at, header.answers);
    let mut walked = Walked {
        name: question.name.text[..question.name.bytes as usize].to_vec(),
        kind,
        class,
        answers_at: answers.at as usize,
        addresses: Vec::new(),
        is_whole: false,
        steps: 0,
    };
    while walked.steps < MAX_STEPS {
        walked.steps += 1;
        let step = answers.step(&message);
        match step.found {
            Found::Nothing => {}
            Found::Ipv4 => walked.add(Ipv4Addr::from(found::<4>(data, &walked, (&step, TYPE_A))).into(), step.ttl),
            Found::Ipv6 => walked.add(Ipv6Addr::from(found::<16>(data, &walked, (&step, TYPE_AAAA))).into(), step.ttl),
            Found::End => {
                walked.is_whole = true;
                break;
            }
            Found::Malformed => break,
        }
    }
    Some(walked)
}

impl Walked {
    fn add(&mut self, address: IpAddr, ttl: u32) {
        self.addresses.push((address, ttl));
    }
}

/// The address of a step, which stands as a record of this type behind the question.
fn found<const BYTES: usize>(data: &[u8], walked: &Walked, (step, kind): (&Step, u16)) -> [u8; BYTES] {
    let at = step.at as usize;
    let record = at.checked_sub(RECORD_BYTES).filter(|record| *record > walked.answers_at);
    let record = record.and_then(|record| data.get(record..at + BYTES)).expect("an address behind the question");
    let (head, address) = record.split_at(RECORD_BYTES);
    let [high, low] = kind.to_be_bytes();
    assert_eq!(head[..4], [high, low, 0, 1], "no address record");
    assert_eq!(head[8..], [0, BYTES as u8], "the record has other data");
    address.try_into().expect("as many bytes as the record says")
}

/// What hickory says.
struct Oracle {
    /// In lower case, without the final dot.
    name: Vec<u8>,
    kind: u16,
    class: u16,
    addresses: Vec<(IpAddr, u32)>,
    records: usize,
    /// An address record has no data, as in dynamic updates: hickory accepts that.
    has_blank: bool,
}

impl Oracle {
    /// `None` when hickory refuses the message.
    fn read(data: &[u8]) -> Option<Self> {
        let message = hickory_proto::op::Message::from_vec(data).ok()?;
        let [question] = message.queries.as_slice() else { return None };
        let labels: Vec<Vec<u8>> = question.name.iter().map(<[u8]>::to_ascii_lowercase).collect();
        let of_internet = message.answers.iter().filter(|record| record.dns_class == DNSClass::IN);
        let mut oracle = Self {
            name: labels.join(&b'.'),
            kind: question.query_type.into(),
            class: question.query_class.into(),
            addresses: Vec::new(),
            records: message.answers.len(),
            has_blank: false,
        };
        for record in of_internet {
            // With the highest bit set it counts as zero (RFC 2181 section 8).
            let ttl = i32::try_from(record.ttl).map_or(0, i32::unsigned_abs);
            match &record.data {
                RData::A(address) => oracle.addresses.push((address.0.into(), ttl)),
                RData::AAAA(address) => oracle.addresses.push((address.0.into(), ttl)),
                RData::Update0(kind) => oracle.has_blank |= [TYPE_A, TYPE_AAAA].contains(&u16::from(*kind)),
                _ => {}
            }
        }
        Some(oracle)
    }
}

/// Whether the question is one that the walk must read: of a name that rules can mean, and not compressed.
fn is_plain(data: &[u8], name: &[u8]) -> bool {
    let labels: Vec<&[u8]> = name.split(|byte| *byte == b'.').collect();
    let mut wire = Vec::new();
    for label in &labels {
        wire.push(label.len() as u8);
        wire.extend(*label);
    }
    wire.push(0);
    let written = data.get(HEADER_BYTES..HEADER_BYTES + wire.len()).unwrap_or_default().to_ascii_lowercase();
    // A dot within a label makes another row of labels than the one that was written.
    !name.is_empty() && !name.contains(&0) && name.len() <= MAX_NAME_BYTES && written == wire
}

fn compare(data: &[u8], walked: Option<&Walked>, oracle: &Oracle) {
    let Some(walked) = walked else {
        assert!(!is_plain(data, &oracle.name), "the walk refuses the question that hickory reads: {:?}", oracle.name);
        return;
    };
    assert_eq!(walked.name, oracle.name, "they read another name");
    assert_eq!((walked.kind, walked.class), (oracle.kind, oracle.class), "they read another question");
    if walked.is_whole {
        assert_eq!(walked.addresses, oracle.addresses, "they read other addresses");
    } else {
        let is_long = oracle.records > usize::from(MAX_RECORDS) || walked.steps >= MAX_STEPS;
        assert!(is_long || oracle.has_blank, "the walk refuses the answers that hickory reads: {:?}", oracle.addresses);
    }
}

/// A device asks the question and gets the message. What it learns is what the walk found; how many addresses.
fn learn(data: &[u8], header: &Header, walked: &Walked) -> usize {
    if walked.class != CLASS_IN {
        return 0;
    }
    let mut config = packet::config();
    config.flags |= config_flags::NAMES;
    config.subnets4[0].group.flags = group_flags::DNS_POLICY;
    config.timeouts.query = 2_500;
    let mut tables = packet::tables(&config);
    open_every_name(&mut tables);
    let mut workspace = Workspace::default();
    let context = Context { config: &config, ifindex: ENFORCED, now: 1_000 };
    let [high, low, ..] = data else { return 0 };
    let mut query = vec![*high, *low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(&data[HEADER_BYTES..walked.answers_at]);
    let asked = frame((DEVICE, PORT), (RESOLVER, DNS), &query);
    decide::ingress(&mut asked.as_slice(), &mut tables, &context, &mut workspace);
    assert_eq!(workspace.decision.verdict, Verdict::Pass, "the question is allowed: {:?}", workspace.decision.reason);
    let told = frame((RESOLVER, DNS), (DEVICE, PORT), data);
    decide::egress(&mut told.as_slice(), &mut tables, &context, &mut workspace);
    let learned = learned(&tables);
    let found: BTreeSet<IpAddr> = walked.addresses.iter().map(|(address, _)| *address).collect();
    let teaches = header.is_noerror() && !header.is_truncated() && header.answers <= MAX_RECORDS;
    // Each address takes two more steps there: one for its service, one to end it.
    let is_short = walked.steps + 2 * walked.addresses.len() as u32 <= MAX_STEPS;
    match (teaches, is_short) {
        (false, _) => assert!(learned.is_empty(), "learned from what teaches nothing"),
        (true, true) => assert_eq!(learned, found, "learned something else than what stands there"),
        (true, false) => assert!(learned.is_subset(&found), "learned what does not stand there"),
    }
    assert!(tables.sightings.len() == learned.len(), "what was learned and what was seen differ");
    learned.len()
}

/// Every name opens one service.
fn open_every_name(tables: &mut HostTables) {
    let mut name = NameValue {
        services_len: 1,
        flags: name_flags::ANY_TYPE,
        floor: 250,
        ceiling: 250_000,
        grace: 500,
        ..NameValue::default()
    };
    name.services[0] = Service { rule: 7, port_be: 8443_u16.to_be_bytes(), protocol: 6, pad: 0 };
    let group_be = 0_u32.to_be_bytes();
    tables.names.insert(32, &group_be, name);
    tables.learn_quota.insert(0, u32::MAX);
}

fn learned(tables: &HostTables) -> BTreeSet<IpAddr> {
    let is_learned = |flags: u32| flags & endpoint_flags::LEARNED != 0;
    let v4 = tables.endpoints4.iter().filter(|(_, value)| is_learned(value.flags)).map(|(key, _)| key.address.into());
    let v6 = tables.endpoints6.iter().filter(|(_, value)| is_learned(value.flags)).map(|(key, _)| key.address.into());
    v4.chain(v6).collect()
}

/// A datagram over IPv4, without checksums.
fn frame((from, from_port): ([u8; 4], u16), (to, to_port): ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let udp_bytes = (payload.len() + 8) as u16;
    let mut frame = vec![2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0, 0x45, 0];
    frame.extend((udp_bytes + 20).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(from);
    frame.extend(to);
    for number in [from_port, to_port, udp_bytes, 0] {
        frame.extend(number.to_be_bytes());
    }
    frame.extend(payload);
    frame
}
