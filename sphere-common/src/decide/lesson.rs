//! DNS between a device and its resolver: which names it may ask for, and what their answers open.
//!
//! A query is read before it leaves: its name must be in the table of names. It is noted as a flow of its own kind, so
//! that its answer can be told from a forged one. The answer is read on its way to the device, and the addresses in it
//! are in the endpoint table before it goes on. Only the asked name counts, which stands in the question; aliases in
//! between may lead anywhere.

use super::case::Case;
use super::policy::Outcome;
use super::stream::{Piece, QueryStream, Segment};
use super::{Context, flows};
use super::{Errand, errand};
use crate::abi::{
    LessonCount, NameValue, REFUSED, Service, SightingKey, SightingValue, Ticks, flow_kind, group_flags, name_flags,
    unjudged_why,
};
use crate::classify::Kind;
use crate::dns::{
    AnswerWalk, CLASS_IN, Found, Header, MAX_RECORDS, MESSAGE_BYTES, Message, QuestionWalk, TYPE_A, TYPE_AAAA,
};
use crate::family::{Family, V4, V6};
use crate::packet::transport::{self, UDP};
use crate::packet::{Fragment, Packet, icmp};
use crate::tables::{FamilyTables, Lessons, Tables};
use crate::verdict::Reason;

/// A DNS message being read. It lies where the caller keeps it: in a BPF map for the programs.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Lesson {
    now: Ticks,
    device: [u64; 2],
    group: u32,
    ticks_per_second: u32,
    /// What the asked name opens.
    pub name: NameValue,
    question: QuestionWalk,
    answers: AnswerWalk,
    /// The address in hand, whose services are being opened: one service a step.
    address: [u64; 2],
    expires: Ticks,
    ttl: u32,
    /// [`NO_ADDRESS`], [`IPV4`] or [`IPV6`].
    family: u32,
    service: u32,
    /// 1 when a service of the address is in the table.
    known: u32,
    /// 1 when the answer section is to be walked.
    pub(super) walks: u32,
    /// 1 when it was walked to its end.
    ended: u32,
    bytes: u32,
    message: [u8; MESSAGE_BYTES],
}

impl Default for Lesson {
    fn default() -> Self {
        Self {
            now: 0,
            device: [0; 2],
            group: 0,
            ticks_per_second: 0,
            name: NameValue::default(),
            question: QuestionWalk::START,
            answers: AnswerWalk::start(0, 0),
            address: [0; 2],
            expires: 0,
            ttl: 0,
            family: NO_ADDRESS,
            service: 0,
            known: 0,
            walks: 0,
            ended: 0,
            bytes: 0,
            message: [0; MESSAGE_BYTES],
        }
    }
}

const NO_ADDRESS: u32 = 0;
const IPV4: u32 = 4;
const IPV6: u32 = 6;

/// The message of a lesson, for the walks.
struct Text<'a>(&'a [u8; MESSAGE_BYTES], u32);

impl Message for Text<'_> {
    #[inline(always)]
    fn bytes(&self) -> usize {
        self.1 as usize
    }
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        // The mask is the bound that the verifier sees; the walks never read beyond `bytes`.
        self.0.get(at & (MESSAGE_BYTES - 1)).copied().unwrap_or(0)
    }
}

impl Lesson {
    /// Takes one step through the question. False when there is none left to take.
    #[inline(always)]
    pub fn question_step(&mut self) -> bool {
        self.question.step(&Text(&self.message, self.bytes))
    }

    /// Takes one step through the answers: a label, a record, or one service of the address that a record gave. False
    /// when there is none left to take.
    #[inline(always)]
    pub fn answer_step<T: Tables + Lessons>(&mut self, tables: &mut T) -> bool {
        match self.family {
            IPV4 => {
                let [address, _] = self.address;
                self.learn::<V4, T>(tables, address as u32);
                return true;
            }
            IPV6 => {
                self.learn::<V6, T>(tables, self.address);
                return true;
            }
            _ => {}
        }
        let text = Text(&self.message, self.bytes);
        let step = self.answers.step(&text);
        let at = step.at as usize;
        match step.found {
            Found::Nothing => true,
            Found::Ipv4 => {
                let address =
                    u32::from_ne_bytes([text.byte(at), text.byte(at + 1), text.byte(at + 2), text.byte(at + 3)]);
                self.take_up::<V4, T>(tables, address, (IPV4, [u64::from(address), 0], step.ttl));
                true
            }
            Found::Ipv6 => {
                let address = [word(&text, at), word(&text, at + 8)];
                self.take_up::<V6, T>(tables, address, (IPV6, address, step.ttl));
                true
            }
            Found::End => {
                self.ended = 1;
                false
            }
            Found::Malformed => false,
        }
    }

    /// Takes up an address whose services are to be opened, unless its range forbids it.
    #[inline(always)]
    fn take_up<F: Family, T: Tables + FamilyTables<F> + Lessons>(
        &mut self,
        tables: &mut T,
        address: F::Address,
        (family, words, ttl): (u32, [u64; 2], u32),
    ) {
        let range = FamilyTables::<F>::cidr(tables, F::cidr_data(REFUSED, address, 0, 0));
        if let Some(range) = range
            && range.flags & name_flags::OPEN == 0
            && range.flags & self.name.flags & name_flags::PRIVATE == 0
        {
            tables.count(LessonCount::Refused);
            return;
        }
        let life = u64::from(ttl) * u64::from(self.ticks_per_second);
        let life = life.clamp(u64::from(self.name.floor), u64::from(self.name.ceiling.max(self.name.floor)));
        self.expires = self.now + life + u64::from(self.name.grace);
        self.ttl = ttl;
        self.address = words;
        self.family = family;
        self.service = 0;
        self.known = 0;
    }

    /// Opens the next service of the asked name at the address in hand; behind the last one, notes the sighting.
    #[inline(always)]
    fn learn<F: Family, T: Tables + FamilyTables<F> + Lessons>(&mut self, tables: &mut T, address: F::Address) {
        let index = self.service as usize;
        self.service += 1;
        if let Some(service) = self.name.services.get(index)
            && index < self.name.services_len as usize
        {
            let Service { rule, port_be, protocol, .. } = *service;
            let protocol = if protocol == icmp::ICMP { F::ICMP } else { protocol };
            let key = F::endpoint_key(self.group, address, protocol, u16::from_ne_bytes(port_be));
            if FamilyTables::<F>::learn_endpoint(tables, &key, self.group, (rule, self.expires)) {
                self.known = 1;
            }
            return;
        }
        self.family = NO_ADDRESS;
        if self.known == 0 {
            return;
        }
        tables.count(LessonCount::Address);
        let rule = self.name.services.first().map_or(0, |service| service.rule);
        let key = SightingKey { address: zerocopy::transmute!(F::mapped(address)), group: self.group, rule };
        tables.sight(&key, self);
    }

    /// Writes the sighting of the address in hand.
    #[inline(always)]
    pub fn sighting(&self, sighting: &mut SightingValue) {
        sighting.expires = self.expires;
        sighting.seen = self.now;
        sighting.device = zerocopy::transmute!(self.device);
        sighting.ttl = self.ttl;
        sighting.name_bytes = self.question.name.bytes;
        for (to, from) in sighting.name.iter_mut().zip(&self.question.name.text) {
            *to = *from;
        }
    }

    /// Flags of an answer that says REFUSED, to the query in hand: its opcode and the wish for recursion stay
    /// (RFC 1035 section 4.1.1).
    #[must_use]
    #[inline(always)]
    pub fn refused_flags(&self) -> [u8; 2] {
        let [_, _, flags, ..] = &self.message;
        [0x80 | (flags & 0x79), 0x85]
    }

    /// The message of that answer, zero behind its end up to the next multiple of four, and its length.
    #[inline(always)]
    pub fn refused_message(&mut self) -> (&mut [u8; MESSAGE_BYTES], usize) {
        let answer = self.refused_flags();
        let [_, _, high, low, ..] = &mut self.message;
        [*high, *low] = answer;
        let bytes = self.bytes as usize;
        for beyond in 0..3 {
            if let Some(byte) = self.message.get_mut((bytes + beyond) & (MESSAGE_BYTES - 1)) {
                *byte = 0;
            }
        }
        (&mut self.message, bytes)
    }

    /// Where the reversed name begins, and the buffer that it lies in.
    #[must_use]
    #[inline(always)]
    pub fn reversed(&mut self) -> (usize, &mut [u8; crate::name::REVERSED_BYTES]) {
        (self.question.name.reversed_at(), &mut self.question.name.reversed)
    }

    /// Bytes of the name, and the group that it is looked up for.
    #[must_use]
    #[inline(always)]
    pub fn name_bytes_and_group(&self) -> (u32, u32) {
        (self.question.name.bytes, self.group)
    }
}

/// Eight bytes of a message as they lie in memory.
#[inline(always)]
fn word(text: &Text<'_>, at: usize) -> u64 {
    u64::from_ne_bytes([
        text.byte(at),
        text.byte(at + 1),
        text.byte(at + 2),
        text.byte(at + 3),
        text.byte(at + 4),
        text.byte(at + 5),
        text.byte(at + 6),
        text.byte(at + 7),
    ])
}

/// Reads header and question of the message `skip` bytes into the payload. `None` when they cannot be read.
#[inline(always)]
fn read<F: Family, P: Packet, T: Tables + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&Case<F>, &mut Lesson),
    skip: u32,
) -> Option<Header> {
    let before = u32::from(case.transport.header_bytes) + skip;
    let payload = case.network.payload_bytes;
    if payload <= before || payload - before > MESSAGE_BYTES as u32 {
        return None;
    }
    let bytes = payload - before;
    let at = case.network.payload() + before as usize;
    if !packet.copy(at, bytes as usize, &mut lesson.message) {
        return None;
    }
    lesson.bytes = bytes;
    lesson.now = context.now;
    lesson.device = F::mapped(case.flow.device);
    lesson.group = case.group.group;
    lesson.ticks_per_second = context.config.ticks_per_second;
    lesson.question.clear(u64::from(context.config.seed));
    let header = Header::parse(&Text(&lesson.message, lesson.bytes))?;
    tables.walk_question(lesson);
    Some(header)
}

/// Notes in the case what a segment from a device is in the stream of its queries.
#[inline(never)]
fn place<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    (packet, tables): (&P, &T),
    context: &Context<'_>,
    case: &mut Case<F>,
) {
    case.piece = Piece::Stray;
    // A resolver may read another stream than what is said here: without the urgent byte, which may also be announced
    // before it is sent; or one byte further on.
    let flags = case.transport.flags;
    if flags.is_urgent() || flags.synchronizes() || !flows::find::<F, T>(tables, context, case) {
        return;
    }
    let Some(mut stream) = QueryStream::of_mark(case.known.mark) else {
        return;
    };
    let header_bytes = usize::from(case.transport.header_bytes);
    let at = case.network.payload();
    let sequence = u32::from_be(packet.u32_be(at + transport::SEQUENCE_AT).unwrap_or(0));
    let length = u32::from(u16::from_be(packet.u16_be(at + header_bytes).unwrap_or(0)));
    let bytes = case.network.payload_bytes.wrapping_sub(header_bytes as u32);
    case.piece = stream.take(Segment { sequence, bytes, length });
    case.stream_mark = stream.mark();
}

/// Notes where the stream of a device's queries begins, from the segment with which its resolver accepts the connection.
// A function of its own: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn accepted<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    packet: &P,
    tables: &mut T,
    case: &mut Case<F>,
) {
    let acknowledged = packet.u32_be(case.network.payload() + transport::ACKNOWLEDGEMENT_AT).unwrap_or(0);
    let acknowledged = u32::from_be(acknowledged);
    if let Some(mark) = QueryStream::accepted((case.known.mark, case.known.begins), acknowledged) {
        flows::begin::<F, T>(tables, case, (acknowledged, mark));
    }
}

/// Bytes of the length before a message over TCP (RFC 1035 section 4.2.2).
const LENGTH_BYTES: u32 = 2;

/// What ties an answer to its query beside ports and identifier: the asked name, by its hash, and the asked type.
#[must_use]
#[inline(always)]
pub const fn query_mark(name_hash: u64, kind: u16) -> u64 {
    name_hash ^ ((kind as u64) << 48)
}

/// Judges the query that a packet carries which would pass otherwise.
// A function of its own: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn query<F: Family, P: Packet, T: Tables + FamilyTables<F> + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&mut Case<F>, &mut Lesson),
    errand: &mut Errand,
) {
    let is_tcp = case.transport.kind == Kind::Tcp;
    let polices = case.group.flags & group_flags::DNS_POLICY != 0;
    // Where names are not policed, only what is in the table is noted.
    if is_tcp && !polices {
        return;
    }
    case.piece = Piece::Message;
    if is_tcp {
        place::<F, P, T>((packet, tables), context, case);
    }
    let denied = match case.piece {
        // No query is as long as to need fragments, and what is in the later ones is not seen here.
        _ if case.network.fragment != Fragment::Whole => Reason::QueryMalformed,
        Piece::Stray => Reason::QuerySegment,
        Piece::Length => Reason::Endpoint,
        Piece::Message | Piece::Whole => {
            let skip = if case.piece == Piece::Whole { LENGTH_BYTES } else { 0 };
            question::<F, P, T>((packet, tables), context, (case, lesson), packet.merge_paths(skip as usize) as u32)
        }
    };
    if denied == Reason::Endpoint {
        if is_tcp {
            flows::mark::<F, T>(tables, case, case.stream_mark);
        }
        if case.piece != Piece::Length {
            tables.count(LessonCount::Query);
            case.asks = u16::from(!is_tcp);
        }
        return;
    }
    if !polices {
        return;
    }
    case.outcome = Outcome::deny(denied);
    case.opens = 0;
    let refuses = matches!(denied, Reason::QueryName | Reason::QueryType)
        && !is_tcp
        && case.network.fragment == Fragment::Whole
        && case.group.enforce != 0
        && case.group.flags & group_flags::DNS_DROP == 0;
    if refuses {
        errand.what = errand::REFUSE;
        errand.network_at = case.link.payload_at;
        errand.transport_at = case.network.payload_at;
    }
}

/// Whether the rules let the device ask this question. [`Reason::Endpoint`] when they do.
#[inline(always)]
fn question<F: Family, P: Packet, T: Tables + FamilyTables<F> + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&mut Case<F>, &mut Lesson),
    skip: u32,
) -> Reason {
    let Some(header) = read::<F, P, T>((packet, tables), context, (case, lesson), skip) else {
        return Reason::QueryMalformed;
    };
    let Some((kind, class)) = lesson.question.kind(&Text(&lesson.message, lesson.bytes)) else {
        return Reason::QueryMalformed;
    };
    if !header.is_query() || class != CLASS_IN {
        return Reason::QueryMalformed;
    }
    if !tables.find_name(lesson) {
        return Reason::QueryName;
    }
    case.query_id_be = header.id_be;
    case.query_mark = query_mark(lesson.question.name.hash, kind);
    let is_address = matches!(kind, TYPE_A | TYPE_AAAA);
    if !is_address && lesson.name.flags & name_flags::ANY_TYPE == 0 {
        return Reason::QueryType;
    }
    Reason::Endpoint
}

/// Judges the answer that a packet carries which would pass otherwise, and learns from it.
// A function of its own: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn answer<F: Family, P: Packet, T: Tables + FamilyTables<F> + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&mut Case<F>, &mut Lesson),
    errand: &mut Errand,
) {
    if case.network.fragment != Fragment::Whole {
        return hand_over((tables, case, errand), unjudged_why::FRAGMENTS, false);
    }
    if case.transport.kind == Kind::Tcp {
        return hand_over((tables, case, errand), unjudged_why::TCP, false);
    }
    let Some(header) = read::<F, P, T>((packet, tables), context, (case, lesson), 0) else {
        return hand_over((tables, case, errand), unjudged_why::LONG, false);
    };
    let kind = lesson.question.kind(&Text(&lesson.message, lesson.bytes));
    case.set_flow(UDP, (case.flow.device_port_be, header.id_be), flow_kind::QUERY);
    let asked = match kind {
        Some((kind, _class)) => {
            flows::find::<F, T>(tables, context, case) && case.known.mark == query_mark(lesson.question.name.hash, kind)
        }
        None => false,
    };
    if !header.is_answer() || !asked {
        // A query for a name without a rule left no mark where names are not policed.
        if case.group.flags & group_flags::DNS_POLICY != 0 {
            case.outcome = Outcome::deny(Reason::AnswerUnasked);
        }
        return;
    }

    // A truncated answer is no answer: the device asks again over TCP (RFC 2181 section 9).
    if !header.is_noerror() || header.is_truncated() || !tables.find_name(lesson) {
        return;
    }
    if header.answers > MAX_RECORDS {
        return hand_over((tables, case, errand), unjudged_why::RECORDS, true);
    }
    lesson.answers = AnswerWalk::start(lesson.question.at, header.answers);
    lesson.family = NO_ADDRESS;
    lesson.walks = 1;
}

/// Learns from the answer that a packet carries, where [`answer`] said that there is something to learn. It does not
/// depend on the family that the packet came in: the verifier walks the answers once for both.
#[inline(always)]
pub(super) fn learn<T: Lessons>(tables: &mut T, lesson: &mut Lesson) {
    if lesson.walks != 0 {
        lesson.ended = 0;
        tables.walk_answers(lesson);
    }
}

/// What follows from how far the answer could be walked.
#[inline(always)]
pub(super) fn learned<F: Family, T: Lessons>(
    tables: &mut T,
    (case, lesson): (&mut Case<F>, &mut Lesson),
    errand: &mut Errand,
) {
    if lesson.walks == 0 {
        return;
    }
    if lesson.ended == 0 {
        return hand_over((tables, case, errand), unjudged_why::RECORDS, true);
    }
    tables.count(LessonCount::Answer);
}

/// Says that the daemon must see the answer; where its group wants that, the answer waits for it. Of fragments the first
/// one waits: without it the others are nothing to the device.
#[inline(always)]
fn hand_over<F: Family, T: Lessons>((tables, case, errand): (&mut T, &mut Case<F>, &mut Errand), why: u8, asked: bool) {
    tables.count(LessonCount::Unjudged);
    let is_later = matches!(case.network.fragment, Fragment::Later { .. });
    let held = case.group.flags & group_flags::DNS_HOLD != 0 && case.group.enforce != 0 && !is_later;
    errand.what = errand::HAND_OVER;
    errand.why = why;
    errand.asked = u8::from(asked);
    errand.held = u8::from(held);
    if held {
        case.outcome = Outcome::deny(Reason::AnswerHeld);
    }
}
