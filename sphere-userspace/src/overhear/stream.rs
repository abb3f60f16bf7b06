//! One TCP connection from a resolver to a device, as a stream of messages (RFC 1035 section 4.2.2).
//!
//! Only segments with something to say are seen, so a stream begins in its middle: the first segment of a connection
//! begins with the length of a message. Where it comes late, what came before it does not look like the beginning of
//! an answer, and waits for it. What cannot be continued for a while is forgotten, and the next segment begins anew;
//! so does one that is far from the others, for it belongs to the next connection of the same ports.
//!
//! A segment that was held may be sent again, since it was dropped or because its sender is impatient, alone or together
//! with what stands beside it. Whichever way, it is judged like the first one: by every message that it has a part in.

use std::time::Duration;

use super::past::{self, Past};
use crate::reconcile::Moment;

/// Bytes before a message: its length.
pub(super) const LENGTH_BYTES: usize = 2;
/// Bytes from which it can be told whether an answer begins with them: length, identifier, flags, questions.
const OPENING_BYTES: usize = 8;
/// Bytes that may wait for what stands before them: twice the longest message, and its length.
const MAX_PARKED_BYTES: usize = 2 * (LENGTH_BYTES + u16::MAX as usize);
/// Segments that may wait.
const MAX_PARKED: usize = 256;
/// Sequence numbers this far from what is expected belong to another connection: no resolver has so much on its way.
const FAR: u32 = 1 << 20;
/// How long segments may wait for what stands before them.
const STALL: Duration = Duration::from_secs(5);

/// A part of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// Sequence number of its first byte.
    pub(super) sequence: u32,
    /// The part.
    pub(super) bytes: &'a [u8],
    /// Whether it was held back.
    pub(super) is_held: bool,
}

/// What a segment brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Brought {
    /// Messages that are whole with it, or that it was a part of when it came before.
    pub(super) messages: Vec<Vec<u8>>,
    /// Whether nothing tells which messages the segment, which was held, is a part of: it came in the middle of a
    /// connection that is not known, or again after too long or with another text.
    pub(super) is_unjoined: bool,
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// Sequence number of the next byte, once it is known where a message begins.
    next: Option<u32>,
    /// The message that has begun, its length before it.
    begun: Vec<u8>,
    /// The messages before it, where segments are held.
    past: Past,
    /// Segments that came too early, with their sequence numbers.
    parked: Vec<(u32, Vec<u8>)>,
    /// When it last came further.
    pub(super) progressed: Moment,
}

impl Stream {
    /// A stream of which nothing is known.
    pub(super) const fn new(now: Moment) -> Self {
        Self { next: None, begun: Vec::new(), past: Past::new(), parked: Vec::new(), progressed: now }
    }

    /// Whether a part of a message waits for the others.
    pub(super) fn is_pending(&self) -> bool {
        !self.begun.is_empty() || !self.parked.is_empty()
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.begun.len() + self.past.bytes() + self.parked.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    /// Whether a segment cannot be joined to what is known.
    pub(super) fn is_foreign(&self, Segment { sequence, bytes, .. }: Segment<'_>, now: Moment) -> bool {
        let far = |from: u32| {
            let distance = sequence.wrapping_sub(from);
            distance > FAR && distance < FAR.wrapping_neg()
        };
        let parked: usize = self.parked.iter().map(|(_, bytes)| bytes.len()).sum();
        self.next.or(self.parked.first().map(|(sequence, _)| *sequence)).is_some_and(far)
            || (!self.parked.is_empty() && now.since(self.progressed) > STALL)
            || parked + bytes.len() > MAX_PARKED_BYTES
            || self.parked.len() >= MAX_PARKED
    }

    /// Takes up a segment.
    pub(super) fn push(&mut self, segment: Segment<'_>, now: Moment) -> Brought {
        let Segment { sequence, bytes, is_held } = segment;
        if bytes.is_empty() {
            return Brought::default();
        }
        let again = if is_held { self.again(segment) } else { Some(Vec::new()) };
        self.parked.push((sequence, bytes.to_vec()));
        if self.next.is_none() {
            let (first, opening) = self.opening();
            self.next = opens_answer(&opening).then_some(first);
            if self.next.is_none() {
                return Brought { messages: Vec::new(), is_unjoined: is_held && !may_open_answer(&opening) };
            }
        }
        let Some(mut next) = self.next else { return Brought::default() };
        let before = next;
        while let Some(bytes) = take_at(&mut self.parked, next) {
            next = next.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            self.begun.extend(bytes);
        }
        self.next = Some(next);
        if next != before {
            self.progressed = now;
        }
        let is_unjoined = again.is_none();
        let messages = again.unwrap_or_default().into_iter().chain(self.whole_messages(is_held)).collect();
        Brought { messages, is_unjoined }
    }

    /// The messages that a segment was a part of when it came before; [`None`] when that is not known.
    fn again(&self, Segment { sequence, bytes, .. }: Segment<'_>) -> Option<Vec<Vec<u8>>> {
        let Some(next) = self.next else { return Some(Vec::new()) };
        let behind = usize::try_from(next.wrapping_sub(sequence).cast_signed()).unwrap_or(0);
        if behind == 0 {
            return Some(Vec::new());
        }
        let known = bytes.get(..behind).unwrap_or(bytes);
        if let Some(from) = self.begun.len().checked_sub(behind) {
            // A part of the message that is not whole yet.
            return self.begun.get(from..).is_some_and(|begun| begun.starts_with(known)).then(Vec::new);
        }
        self.past.messages_of(known, behind - self.begun.len(), &self.begun)
    }

    /// The first sequence number that is known, and the bytes from there on, as far as they show whether an answer begins
    /// there.
    fn opening(&self) -> (u32, Vec<u8>) {
        let Some((reference, _)) = self.parked.first() else { return (0, Vec::new()) };
        let distance = |sequence: u32| sequence.wrapping_sub(*reference).cast_signed();
        let each = self.parked.iter().map(|(sequence, _)| *sequence);
        let first = each.min_by_key(|sequence| distance(*sequence)).unwrap_or(*reference);
        let (mut parked, mut next, mut opening) = (self.parked.clone(), first, Vec::new());
        while opening.len() < OPENING_BYTES
            && let Some(bytes) = take_at(&mut parked, next)
        {
            next = next.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            opening.extend(bytes);
        }
        (first, opening)
    }

    fn whole_messages(&mut self, is_held: bool) -> Vec<Vec<u8>> {
        let (mut messages, mut at) = (Vec::new(), 0);
        while let Some(message) = past::message_at(&self.begun, at) {
            messages.push(message.to_vec());
            at += LENGTH_BYTES + message.len();
        }
        let whole = self.begun.drain(..at);
        if is_held {
            self.past.extend(whole.as_slice());
        } else if at > 0 {
            // What follows would not stand where it stood in the stream.
            self.past = Past::new();
        }
        messages
    }
}

/// Takes out the bytes at a sequence number; segments that end before it go too.
fn take_at(parked: &mut Vec<(u32, Vec<u8>)>, at: u32) -> Option<Vec<u8>> {
    let mut index = 0;
    while let Some((sequence, bytes)) = parked.get_mut(index) {
        let behind = at.wrapping_sub(*sequence);
        // What begins behind the place looks as if it began very far before it.
        if behind > FAR * 2 {
            index += 1;
            continue;
        }
        let behind = usize::try_from(behind).unwrap_or(usize::MAX);
        let (_, mut bytes) = (*sequence, std::mem::take(bytes));
        parked.swap_remove(index);
        if behind < bytes.len() {
            return Some(bytes.split_off(behind));
        }
    }
    None
}

/// Whether these bytes are the length of a message and the beginning of an answer to one question.
fn opens_answer(bytes: &[u8]) -> bool {
    bytes.len() >= OPENING_BYTES && may_open_answer(bytes)
}

/// Whether an answer to one question can begin with these bytes, its length before it: there may be few of them.
fn may_open_answer(bytes: &[u8]) -> bool {
    // A header and the shortest question.
    let is_long_enough = bytes.first_chunk().is_none_or(|length| u16::from_be_bytes(*length) >= 17);
    let is_answer = bytes.get(4).is_none_or(|flags| flags & 0xf8 == 0x80);
    let questions = bytes.get(6..).unwrap_or_default();
    is_long_enough && is_answer && questions.iter().zip([0, 1]).all(|(byte, expected)| *byte == expected)
}
