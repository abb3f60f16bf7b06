//! DNS between a device and its resolver: which names it may ask for, and what their answers open.
//!
//! A query is read before it leaves: its name must be in the table of names. It is noted as a flow of its own kind, so
//! that its answer can be told from a forged one. The answer is read on its way to the device, and the addresses in it
//! are in the endpoint table before it goes on. Only the asked name counts, which stands in the question; aliases in
//! between may lead anywhere.

use super::case::Case;
use super::policy::Outcome;
use super::{Context, flows};
use crate::abi::{
    FlowState, LessonCount, NameValue, REFUSED, Service, SightingKey, SightingValue, Ticks, flow_kind, group_flags,
    name_flags,
};
use crate::dns::{
    AnswerWalk, CLASS_IN, Found, Header, MAX_RECORDS, MESSAGE_BYTES, Message, QuestionWalk, TYPE_A, TYPE_AAAA,
};
use crate::family::{Family, V4, V6};
use crate::packet::transport::UDP;
use crate::packet::{Packet, icmp};
use crate::tables::{FamilyTables, Lessons, Tables};
use crate::verdict::{Direction, Reason};

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
    /// 1 when the answer section was walked to its end.
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
            ended: 0,
            bytes: 0,
            message: [0; MESSAGE_BYTES],
        }
    }
}

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

    /// Takes one step through the answers, and learns the address that it comes upon. False when there is none left to
    /// take.
    #[inline(always)]
    pub fn answer_step<T: Tables + Lessons>(&mut self, tables: &mut T) -> bool {
        let step = self.answers.step(&Text(&self.message, self.bytes));
        match step.found {
            Found::Nothing => true,
            Found::Ipv4 => {
                let at = step.at as usize;
                let text = Text(&self.message, self.bytes);
                let address = [text.byte(at), text.byte(at + 1), text.byte(at + 2), text.byte(at + 3)];
                self.learn::<V4, T>(tables, u32::from_ne_bytes(address), step.ttl);
                true
            }
            Found::Ipv6 => {
                let text = Text(&self.message, self.bytes);
                let address = [word(&text, step.at as usize), word(&text, step.at as usize + 8)];
                self.learn::<V6, T>(tables, address, step.ttl);
                true
            }
            Found::End => {
                self.ended = 1;
                false
            }
            Found::Malformed => false,
        }
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

    /// Opens the services of the asked name at an address.
    #[inline(always)]
    fn learn<F: Family, T: Tables + FamilyTables<F> + Lessons>(
        &mut self,
        tables: &mut T,
        address: F::Address,
        ttl: u32,
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
        let expires = self.now + life + u64::from(self.name.grace);
        let mut known = false;
        let mut index = 0;
        while let Some(service) = self.name.services.get(index)
            && index < self.name.services_len as usize
        {
            index += 1;
            let Service { rule, port_be, protocol, .. } = *service;
            let protocol = if protocol == icmp::ICMP { F::ICMP } else { protocol };
            let key = F::endpoint_key(self.group, address, protocol, u16::from_ne_bytes(port_be));
            known |= FamilyTables::<F>::learn_endpoint(tables, &key, self.group, (rule, expires));
        }
        if !known {
            return;
        }
        tables.count(LessonCount::Address);
        let rule = self.name.services.first().map_or(0, |service| service.rule);
        let key = SightingKey { address: zerocopy::transmute!(F::mapped(address)), group: self.group, rule };
        tables.sight(&key, self, (expires, ttl));
    }

    /// Writes a sighting of this lesson.
    #[inline(always)]
    pub fn sighting(&self, (expires, ttl): (Ticks, u32), sighting: &mut SightingValue) {
        sighting.expires = expires;
        sighting.seen = self.now;
        sighting.device = zerocopy::transmute!(self.device);
        sighting.ttl = ttl;
        sighting.name_bytes = self.question.name.bytes;
        for (to, from) in sighting.name.iter_mut().zip(&self.question.name.text) {
            *to = *from;
        }
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

/// Reads the DNS message of a packet that would pass, and decides whether it still does.
// A function of its own: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn judge<F: Family, P: Packet, T: Tables + FamilyTables<F> + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&mut Case<F>, &mut Lesson),
    direction: Direction,
) {
    match direction {
        Direction::Ingress => {
            let denied = query::<F, P, T>((packet, tables), context, (case, lesson));
            if denied != Reason::Endpoint {
                case.outcome = Outcome::deny(denied);
            }
        }
        Direction::Egress => {
            let denied = answer::<F, P, T>((packet, tables), context, (case, lesson));
            if denied != Reason::Endpoint {
                case.outcome = Outcome::deny(denied);
            }
        }
    }
}

/// Reads header and question. `None` when they cannot be read.
#[inline(always)]
fn read<F: Family, P: Packet, T: Tables + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&Case<F>, &mut Lesson),
) -> Option<Header> {
    let header_bytes = u32::from(case.transport.header_bytes);
    let payload = case.network.payload_bytes;
    if payload <= header_bytes || payload - header_bytes > MESSAGE_BYTES as u32 {
        return None;
    }
    let bytes = payload - header_bytes;
    let at = case.network.payload() + header_bytes as usize;
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

/// Judges a query. [`Reason::Endpoint`] when it may leave.
#[inline(always)]
fn query<F: Family, P: Packet, T: Tables + FamilyTables<F> + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&mut Case<F>, &mut Lesson),
) -> Reason {
    let Some(header) = read::<F, P, T>((packet, tables), context, (case, lesson)) else {
        return Reason::QueryMalformed;
    };
    let Some((kind, class)) = lesson.question.kind(&Text(&lesson.message, lesson.bytes)) else {
        return Reason::QueryMalformed;
    };
    if !header.is_query() || class != CLASS_IN {
        return Reason::QueryMalformed;
    }
    if !tables.find_name(lesson) {
        return if case.group.flags & group_flags::DNS_POLICY == 0 { Reason::Endpoint } else { Reason::QueryName };
    }
    let is_address = matches!(kind, TYPE_A | TYPE_AAAA);
    if !is_address && lesson.name.flags & name_flags::ANY_TYPE == 0 && case.group.flags & group_flags::DNS_POLICY != 0 {
        return Reason::QueryType;
    }
    tables.count(LessonCount::Query);
    let ports = (case.flow.device_port_be, header.id_be);
    case.set_flow(UDP, ports, flow_kind::QUERY);
    let pass = case.open(context, (FlowState::Opening, 0), case.outcome);
    case.known.mark = lesson.question.name.hash;
    match flows::open::<F, P, T>(packet, tables, context, case) {
        flows::Opened::Yes => Reason::Endpoint,
        opened => {
            let _: Outcome = pass;
            opened.denial().reason
        }
    }
}

/// Judges an answer, and learns from it. [`Reason::Endpoint`] when it may be delivered.
#[inline(always)]
fn answer<F: Family, P: Packet, T: Tables + FamilyTables<F> + Lessons>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    (case, lesson): (&mut Case<F>, &mut Lesson),
) -> Reason {
    let Some(header) = read::<F, P, T>((packet, tables), context, (case, lesson)) else {
        tables.count(LessonCount::Unjudged);
        return Reason::Endpoint;
    };
    let kind = lesson.question.kind(&Text(&lesson.message, lesson.bytes));
    let ports = (case.flow.device_port_be, header.id_be);
    case.set_flow(UDP, ports, flow_kind::QUERY);
    let asked = flows::find::<F, T>(tables, context, case) && case.known.mark == lesson.question.name.hash;
    if !header.is_answer() || kind.is_none() || !asked {
        // A query for a name without a rule left no mark where names are not policed.
        let policed = case.group.flags & group_flags::DNS_POLICY != 0;
        return if policed { Reason::AnswerUnasked } else { Reason::Endpoint };
    }
    // A truncated answer is no answer: the device asks again over TCP (RFC 2181 section 9).
    if !header.is_noerror() || header.is_truncated() || !tables.find_name(lesson) {
        return Reason::Endpoint;
    }
    if header.answers > MAX_RECORDS {
        tables.count(LessonCount::Unjudged);
        return Reason::Endpoint;
    }
    lesson.answers = AnswerWalk::start(lesson.question.at, header.answers);
    lesson.ended = 0;
    tables.walk_answers(lesson);
    tables.count(if lesson.ended == 0 { LessonCount::Unjudged } else { LessonCount::Answer });
    Reason::Endpoint
}
