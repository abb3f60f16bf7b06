//! Every kind of answer that must not teach what it says, as data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sphere_common::verdict::Reason;

use crate::message::{A, AAAA, ANSWER, ASKED, Answer, CNAME, Question, TRUNCATED, address, name, record};
use crate::net::plan::{FOREIGN_RESOLVER, GATEWAY4, RESOLVER, SCRIPTED, WAN4, server};

/// The name that is asked for.
pub(super) const HOST: &str = "poison.example.net";
/// Another name that a rule allows.
pub(super) const OTHER: &str = "other.example.net";
/// All names below one are allowed.
pub(super) const WILD: &str = "*.wild.example.net";
/// What no answer may open.
pub(super) const WRONG: IpAddr = IpAddr::V4(server(66, 1));
/// What an answer opens that is as it should be.
pub(super) const RIGHT: IpAddr = IpAddr::V4(server(77, 1));
/// Time to live of the records.
pub(super) const TTL: u32 = 300;

const INTERNET: u16 = 1;
const CHAOS: u16 = 3;
const AUTHORITY: usize = 1;
const ADDITIONAL: usize = 2;

/// Who sends the answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sender {
    /// The resolver that was asked.
    Asked,
    /// The same address and port, to another port of the device.
    Unasked,
    /// Somebody in the internet, under this address and port.
    Outside(Ipv4Addr, u16),
    /// The hostile device, on the device port, to the device that asked.
    Beside(Guise),
    /// The hostile device, on the device port, to itself: it asked, and knows what an answer must look like.
    Itself(Guise),
}

/// Under whose address a device sends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guise {
    /// The resolver's.
    Resolver,
    /// The resolver's IPv6 address.
    Resolver6,
    /// Its own.
    Own,
    /// The gateway's.
    Gateway,
}

/// One kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) sender: Sender,
    /// The messages, for a question that was asked.
    pub(super) says: fn(&Question) -> Vec<Vec<u8>>,
    /// What becomes of each.
    pub(super) reason: Reason,
    /// Addresses that are learned.
    pub(super) learned: usize,
}

const fn asked(name: &'static str, reason: Reason, says: fn(&Question) -> Vec<Vec<u8>>) -> Kind {
    Kind { name, sender: Sender::Asked, says, reason, learned: 0 }
}

const fn forged(name: &'static str, sender: Sender, reason: Reason) -> Kind {
    Kind { name, sender, says: |question| vec![wrong(question).bytes()], reason, learned: 0 }
}

use Reason::{AnswerUnasked, Destination, ForeignSource, Reply, Unsolicited};
use Sender::{Beside, Itself, Outside, Unasked};

/// All of them.
pub(super) const KINDS: [Kind; 39] = [
    // Who says it.
    forged("another resolver, approved but not asked", Outside(RESOLVER, 53), Unsolicited),
    forged("a resolver that nobody approved", Outside(FOREIGN_RESOLVER, 53), Unsolicited),
    forged("another port of the resolver", Outside(SCRIPTED, 5353), Unsolicited),
    forged("the resolver, at a port that asked nothing", Unasked, Unsolicited),
    forged("a device as the resolver", Beside(Guise::Resolver), ForeignSource),
    forged("a device as the resolver, IPv6", Beside(Guise::Resolver6), ForeignSource),
    forged("a device as itself", Beside(Guise::Own), Destination),
    forged("a device as the gateway", Beside(Guise::Gateway), Destination),
    forged("a device as the resolver, to itself", Itself(Guise::Resolver), ForeignSource),
    forged("a device as the resolver, to itself, IPv6", Itself(Guise::Resolver6), ForeignSource),
    // What it belongs to.
    asked("another identifier", AnswerUnasked, |question| vec![wrong(question).id(question.id ^ 0x5555).bytes()]),
    asked("each identifier but one", AnswerUnasked, |question| {
        (1..200).map(|step| wrong(question).id(question.id.wrapping_add(step)).bytes()).collect()
    }),
    asked("another allowed name", AnswerUnasked, |question| about(question, OTHER)),
    asked("a name that no rule allows", AnswerUnasked, |question| about(question, "evil.example")),
    asked("a name below the asked one", AnswerUnasked, |question| about(question, "x.poison.example.net")),
    asked("a name above the asked one", AnswerUnasked, |question| about(question, "example.net")),
    asked("a name below a wild one", AnswerUnasked, |question| about(question, "x.wild.example.net")),
    asked("no question", AnswerUnasked, |question| vec![wrong(question).questions(Vec::new()).bytes()]),
    asked("two questions", AnswerUnasked, |question| {
        vec![wrong(question).questions(vec![question.section(), question.section()]).bytes()]
    }),
    asked("a question that points at itself", AnswerUnasked, |question| asking(question, &[0xc0, 0x0c])),
    asked("a question of two pointers in a ring", AnswerUnasked, |question| {
        asking(question, &[0xc0, 0x0e, 0xc0, 0x0c])
    }),
    asked("a question that points behind the message", AnswerUnasked, |question| asking(question, &[0xff, 0xff])),
    asked("a question cut off", AnswerUnasked, |question| vec![wrong(question).bytes().into_iter().take(20).collect()]),
    asked("a query", AnswerUnasked, |question| vec![wrong(question).flags(0x0100).bytes()]),
    asked("an update", AnswerUnasked, |question| vec![wrong(question).flags(ANSWER | 0x2800).bytes()]),
    // What it says.
    asked("response codes other than no error", Reply, |question| {
        (1..16).map(|code| wrong(question).flags(ANSWER | code).bytes()).collect()
    }),
    asked("truncated", Reply, |question| vec![wrong(question).flags(ANSWER | TRUNCATED).bytes()]),
    asked("in the authority section", Reply, |question| in_section(question, AUTHORITY)),
    asked("in the additional section", Reply, |question| in_section(question, ADDITIONAL)),
    asked("of another class", Reply, |question| with(question, record(&ASKED, (A, CHAOS), TTL, &[20, 40, 66, 1]))),
    asked("addresses of other lengths", Reply, |question| {
        let of = |kind, data: &[u8]| with(question, record(&ASKED, (kind, INTERNET), TTL, data));
        [of(A, &[20, 40, 66]), of(A, &[20, 40, 66, 1, 0]), of(AAAA, &[20, 40, 66, 1]), of(A, &[])].concat()
    }),
    asked("a record that is cut off", Reply, |question| {
        let whole = wrong(question).bytes();
        (1..16).filter_map(|missing| Some(whole.get(..whole.len() - missing)?.to_vec())).collect()
    }),
    asked("records that are announced and not there", Reply, |question| {
        let mut message = Answer::to(question).bytes();
        message.splice(6..8, [0, 9]);
        vec![message]
    }),
    asked("private addresses", Reply, |question| each(question, &PRIVATE)),
    asked("addresses of no host", Reply, |question| each(question, &NO_HOST)),
    asked("the gateway's own addresses", Reply, |question| {
        vec![Answer::to(question).addresses([GATEWAY4, WAN4].map(IpAddr::V4), TTL).bytes()]
    }),
    asked("IPv6 addresses of no public host", Reply, |question| each(question, &SPECIAL6)),
    asked("an alias that points at itself", Reply, |question| {
        let rings: [&[u8]; 3] = [&ASKED, &[0xc0, 0x29], &[1, b'a', 0xc0, 0x0c]];
        rings.map(|data| with(question, record(&ASKED, (CNAME, INTERNET), TTL, data))).concat()
    }),
    Kind {
        learned: 1,
        ..asked("a right address between private ones", Reply, |question| {
            let [first, second, ..] = PRIVATE;
            vec![Answer::to(question).addresses([first, RIGHT, second], TTL).bytes()]
        })
    },
];

const PRIVATE: [IpAddr; 6] = [
    v4(10, 0, 0, 1),
    v4(172, 16, 0, 1),
    v4(192, 168, 35, 2),
    v4(100, 64, 0, 1),
    v4(169, 254, 169, 254),
    v4(192, 0, 2, 1),
];
const NO_HOST: [IpAddr; 6] =
    [v4(0, 0, 0, 0), v4(127, 0, 0, 1), v4(224, 0, 0, 251), v4(239, 1, 2, 3), v4(240, 0, 0, 1), v4(255, 255, 255, 255)];
const SPECIAL6: [IpAddr; 9] = [
    v6([0, 0, 0, 0, 0, 0, 0, 0]),
    v6([0, 0, 0, 0, 0, 0, 0, 1]),
    v6([0, 0, 0, 0, 0, 0xffff, 0x1428, 0x4201]),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 1]),
    v6([0xfd00, 0x20, 0, 0, 0, 0, 0, 1]),
    v6([0xff02, 0, 0, 0, 0, 0, 0, 0xfb]),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0x0a00, 1]),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    v6([0x2002, 0x0a00, 1, 0, 0, 0, 0, 1]),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

/// An answer that is as it should be, but for its address.
fn wrong(question: &Question) -> Answer {
    Answer::to(question).addresses([WRONG], TTL)
}

fn about(question: &Question, other: &str) -> Vec<Vec<u8>> {
    vec![wrong(&Question { name: other.to_owned(), ..question.clone() }).bytes()]
}

/// With a name in its question as it stands in a message.
fn asking(question: &Question, name: &[u8]) -> Vec<Vec<u8>> {
    let behind = [A.to_be_bytes(), INTERNET.to_be_bytes()].concat();
    vec![wrong(question).questions(vec![[name, &behind].concat()]).bytes()]
}

fn in_section(question: &Question, section: usize) -> Vec<Vec<u8>> {
    let owners: [&[u8]; 2] = [&ASKED, &name(HOST)];
    owners.map(|owner| Answer::to(question).record_in(section, address(owner, WRONG, TTL)).bytes()).into()
}

fn with(question: &Question, record: Vec<u8>) -> Vec<Vec<u8>> {
    vec![Answer::to(question).record(record).bytes()]
}

/// Each address in an answer of its own.
fn each(question: &Question, addresses: &[IpAddr]) -> Vec<Vec<u8>> {
    addresses.iter().map(|address| Answer::to(question).addresses([*address], TTL).bytes()).collect()
}
