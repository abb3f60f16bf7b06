//! A DNS message being read: its question, its answers, and what the addresses in them open.
//!
//! `query` judges what a device asks, `answer` what it is told. Only the asked name counts, which stands
//! in the question; aliases in between may lead anywhere.

use super::Context;
use super::case::Case;
use crate::abi::{LessonCount, NameValue, REFUSED, Service, SightingKey, SightingValue, Ticks, name_flags};
use crate::dns::{AnswerWalk, Found, Header, MESSAGE_BYTES, Message, QuestionWalk};
use crate::family::{Family, V4, V6};
use crate::packet::{Packet, icmp};
use crate::tables::{FamilyTables, Lessons, Tables};

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
    walks: u32,
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
    /// Type and class of the question. [`None`] when it could not be read to its end.
    #[inline(always)]
    pub(super) fn asks(&self) -> Option<(u16, u16)> {
        self.question.kind(&Text(&self.message, self.bytes))
    }

    /// What ties an answer to its query beside ports and identifier; see [`query_mark`].
    #[inline(always)]
    pub(super) const fn mark(&self, kind: u16) -> u64 {
        query_mark(self.question.name.hash, kind)
    }

    /// Makes ready to walk so many records behind the question.
    #[inline(always)]
    pub(super) fn expect(&mut self, answers: u16) {
        self.answers = AnswerWalk::start(self.question.at, answers);
        self.family = NO_ADDRESS;
        self.ended = 0;
        self.walks = 1;
    }

    /// Walks nothing unless told to.
    #[inline(always)]
    pub(super) const fn rest(&mut self) {
        self.walks = 0;
    }

    /// Whether there are answers to walk, or were.
    #[inline(always)]
    pub(super) const fn walks(&self) -> bool {
        self.walks != 0
    }

    /// Whether they were walked to their end.
    #[inline(always)]
    pub(super) const fn ended(&self) -> bool {
        self.ended != 0
    }

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
pub(super) fn read<F: Family, P: Packet, T: Tables + Lessons>(
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

/// What ties an answer to its query beside ports and identifier: the asked name, by its hash, and the asked type.
#[must_use]
#[inline(always)]
pub const fn query_mark(name_hash: u64, kind: u16) -> u64 {
    name_hash ^ ((kind as u64) << 48)
}
