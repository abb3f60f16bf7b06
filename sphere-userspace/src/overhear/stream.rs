//! One TCP connection from a resolver to a device, as a stream of messages (RFC 1035 section 4.2.2).
//!
//! Only segments with something to say are seen, so a stream begins in its middle: the first segment of a connection
//! begins with the length of a message. Where it comes late, what came before it does not look like the beginning of
//! an answer, and waits for it. What cannot be continued for a while is forgotten, and the next segment begins anew;
//! so does one that is far from the others, for it belongs to the next connection of the same ports.

use std::time::Duration;

use crate::reconcile::Moment;

/// Bytes before a message: its length.
const LENGTH_BYTES: usize = 2;
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

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// Sequence number of the next byte, once it is known where a message begins.
    next: Option<u32>,
    /// The message that has begun, its length before it.
    begun: Vec<u8>,
    /// Segments that came too early, with their sequence numbers.
    parked: Vec<(u32, Vec<u8>)>,
    /// When it last came further.
    pub(super) progressed: Moment,
}

impl Stream {
    /// A stream of which nothing is known.
    pub(super) const fn new(now: Moment) -> Self {
        Self { next: None, begun: Vec::new(), parked: Vec::new(), progressed: now }
    }

    /// Whether a part of a message waits for the others.
    pub(super) fn is_pending(&self) -> bool {
        !self.begun.is_empty() || !self.parked.is_empty()
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.begun.len() + self.parked.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    /// Whether a segment cannot be joined to what is known.
    pub(super) fn is_foreign(&self, (sequence, bytes): (u32, &[u8]), now: Moment) -> bool {
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

    /// Takes up a segment; gives back the messages that are whole with it.
    pub(super) fn push(&mut self, (sequence, bytes): (u32, &[u8]), now: Moment) -> Vec<Vec<u8>> {
        if bytes.is_empty() {
            return Vec::new();
        }
        self.parked.push((sequence, bytes.to_vec()));
        if self.next.is_none() {
            self.next = self.beginning();
        }
        let Some(mut next) = self.next else { return Vec::new() };
        let before = next;
        while let Some(bytes) = take_at(&mut self.parked, next) {
            next = next.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            self.begun.extend(bytes);
        }
        self.next = Some(next);
        if next != before {
            self.progressed = now;
        }
        self.whole_messages()
    }

    /// The first sequence number that is known, if an answer begins there.
    fn beginning(&self) -> Option<u32> {
        let (reference, _) = *self.parked.first()?;
        let distance = |sequence: u32| sequence.wrapping_sub(reference).cast_signed();
        let first = self.parked.iter().map(|(sequence, _)| *sequence).min_by_key(|sequence| distance(*sequence))?;
        let (mut parked, mut next, mut opening) = (self.parked.clone(), first, Vec::new());
        while opening.len() < OPENING_BYTES
            && let Some(bytes) = take_at(&mut parked, next)
        {
            next = next.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            opening.extend(bytes);
        }
        opens_answer(&opening).then_some(first)
    }

    fn whole_messages(&mut self) -> Vec<Vec<u8>> {
        let (mut messages, mut at) = (Vec::new(), 0);
        while let Some((length, rest)) = self.begun.get(at..).and_then(|rest| rest.split_first_chunk::<LENGTH_BYTES>())
            && let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*length)))
        {
            messages.push(message.to_vec());
            at += LENGTH_BYTES + message.len();
        }
        self.begun.drain(..at);
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
    let Some(&[high, low, _, _, flags, _, q_high, q_low]) = bytes.first_chunk::<OPENING_BYTES>() else { return false };
    // A header and the shortest question.
    let long_enough = u16::from_be_bytes([high, low]) >= 17;
    long_enough && flags & 0xf8 == 0x80 && [q_high, q_low] == [0, 1]
}
