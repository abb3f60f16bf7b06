//! Queries over TCP: what a device has sent on a connection, so that each piece is read as its resolver will read it.
//!
//! A resolver puts segments together by their sequence numbers. One that overlaps what went before, or leaves a gap that a
//! later one fills, may say something to the resolver that no segment said here. So a segment counts only where it goes
//! on from the last one: a whole message with its length before it, a length alone, or the message that was announced by
//! one (RFC 1035 section 4.2.2). The last one may be sent again, cut in the same or in fewer pieces.
//!
//! Where the stream begins is learned from the resolver: it acknowledges the SYN that it accepted. A SYN that the device
//! alone has sent says nothing, since it need not have reached the resolver. A resolver that acknowledges another number
//! than before has accepted another connection, however near the number is: one that begins in the middle of what was sent
//! on the last connection would read only the rest of what is said here to be sent again.

use crate::dns::{HEADER_BYTES, MESSAGE_BYTES};

/// A header, and a question about a name of one letter.
const SHORTEST_QUERY_BYTES: u32 = HEADER_BYTES as u32 + 3 + 4;
/// Set in the mark of a flow whose stream is known.
const KNOWN: u64 = 1 << 63;

/// The end of what a device has sent. It is kept as the mark of the connection's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryStream {
    /// Sequence number of the next byte.
    next: u32,
    /// Bytes of the last message with its length, as far as they were sent.
    last: u32,
    /// Bytes of the message that was announced and not yet sent, or 0.
    awaited: u32,
}

/// A segment with something in it.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Sequence number of its first byte.
    pub sequence: u32,
    /// Bytes in it.
    pub bytes: u32,
    /// The number in its first two bytes.
    pub length: u32,
}

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Piece {
    /// It does not go on from the last one.
    Stray,
    /// The length of a message to come.
    Length,
    /// A message, whose length went before it.
    Message,
    /// A message and its length.
    Whole,
}

impl QueryStream {
    /// The stream that a flow's mark stands for; [`None`] when its beginning was not seen.
    #[must_use]
    #[inline(always)]
    pub const fn of_mark(mark: u64) -> Option<Self> {
        if mark & KNOWN == 0 {
            return None;
        }
        Some(Self { next: mark as u32, last: (mark >> 32) as u32 & 0xffff, awaited: (mark >> 48) as u32 & 0x7fff })
    }

    /// The mark that stands for it.
    #[must_use]
    #[inline(always)]
    pub const fn mark(self) -> u64 {
        KNOWN | (self.awaited as u64 & 0x7fff) << 48 | (self.last as u64 & 0xffff) << 32 | self.next as u64
    }

    /// The mark of a flow whose resolver accepts a connection, and acknowledges its beginning: a stream without anything
    /// in it. [`None`] when the flow has the stream that begins there already, and the resolver only says it again.
    #[must_use]
    #[inline(always)]
    pub const fn accepted((mark, begins): (u64, u32), acknowledged: u32) -> Option<u64> {
        if mark & KNOWN != 0 && begins == acknowledged {
            return None;
        }
        Some(Self { next: acknowledged, last: 0, awaited: 0 }.mark())
    }

    /// Takes a segment: says what it is, and goes on behind it.
    #[inline(always)]
    pub const fn take(&mut self, segment: Segment) -> Piece {
        let Segment { sequence, bytes, length } = segment;
        let is_length = bytes == 2 && length >= SHORTEST_QUERY_BYTES && length <= MESSAGE_BYTES as u32;
        let is_whole = bytes > 2 && length == bytes - 2 && length <= MESSAGE_BYTES as u32;
        let goes_on = sequence == self.next;
        if goes_on && self.awaited != 0 {
            if bytes != self.awaited {
                return Piece::Stray;
            }
            self.go_on(sequence, bytes);
            self.last += 2;
            return Piece::Message;
        }
        // What does not go on must have been sent before: the last message, in the same place and of the same length,
        // whatever the pieces.
        let start = self.next.wrapping_sub(self.last);
        let message = if self.awaited != 0 { self.awaited } else { self.last.wrapping_sub(2) };
        let again = self.last != 0 && sequence == start && length == message;
        if is_whole && (goes_on || again) {
            self.go_on(sequence, bytes);
            return Piece::Whole;
        }
        if is_length && goes_on {
            self.go_on(sequence, 2);
            self.awaited = length;
            return Piece::Length;
        }
        if is_length && again {
            return Piece::Length;
        }
        if self.last != 0 && self.awaited == 0 && sequence == start.wrapping_add(2) && bytes == message {
            return Piece::Message;
        }
        Piece::Stray
    }

    /// The last message begins here and has so many bytes as yet, and nothing else is awaited.
    #[inline(always)]
    const fn go_on(&mut self, sequence: u32, bytes: u32) {
        *self = Self { next: sequence.wrapping_add(bytes), last: bytes, awaited: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGINS: u32 = u32::MAX - 20;

    fn stream() -> QueryStream {
        QueryStream::of_mark(QueryStream::accepted((0, BEGINS), BEGINS).unwrap_or_default()).unwrap_or(QueryStream {
            next: 0,
            last: 9,
            awaited: 9,
        })
    }

    const fn segment(offset: u32, bytes: u32, length: u32) -> Segment {
        Segment { sequence: BEGINS.wrapping_add(offset), bytes, length }
    }

    #[test]
    fn messages_follow_one_another() {
        let mut stream = stream();
        assert_eq!(stream.take(segment(0, 42, 40)), Piece::Whole);
        assert_eq!(stream.take(segment(42, 2, 30)), Piece::Length);
        assert_eq!(stream.take(segment(44, 30, 0xabcd)), Piece::Message);
        assert_eq!(stream.take(segment(74, 42, 40)), Piece::Whole);
    }

    #[test]
    fn the_last_message_may_be_sent_again_in_the_same_or_in_fewer_pieces() {
        let mut stream = stream();
        assert_eq!(stream.take(segment(0, 2, 30)), Piece::Length);
        assert_eq!(stream.take(segment(0, 2, 30)), Piece::Length);
        assert_eq!(stream.take(segment(0, 32, 30)), Piece::Whole);
        assert_eq!(stream.take(segment(2, 30, 7)), Piece::Message);
        assert_eq!(stream.take(segment(0, 2, 30)), Piece::Length);
        assert_eq!(stream.take(segment(32, 42, 40)), Piece::Whole);
    }

    #[test]
    fn nothing_overlaps_or_leaves_a_gap() {
        let mut stream = stream();
        assert_eq!(stream.take(segment(0, 42, 40)), Piece::Whole);
        for stray in [
            segment(0, 50, 48),
            segment(0, 32, 30),
            segment(2, 41, 9),
            segment(10, 42, 40),
            segment(43, 42, 40),
            segment(42, 42, 41),
            segment(42, 2, 3),
            segment(42, 2, 4000),
            segment(42, 1, 0),
            segment(0, 2, 30),
        ] {
            assert_eq!(stream.take(stray), Piece::Stray, "{stray:?}");
        }
        assert_eq!(stream.take(segment(42, 2, 30)), Piece::Length);
        assert_eq!(stream.take(segment(44, 31, 30)), Piece::Stray);
        assert_eq!(stream.take(segment(44, 29, 30)), Piece::Stray);
        assert_eq!(stream.take(segment(42, 2, 31)), Piece::Stray);
    }

    #[test]
    fn a_mark_keeps_the_stream_and_a_resolver_begins_it_once() {
        let mut stream = stream();
        assert_eq!(stream.take(segment(0, 2, 2048)), Piece::Length);
        assert_eq!(QueryStream::of_mark(stream.mark()), Some(stream));
        assert_eq!(QueryStream::of_mark(0), None);
        let known = (stream.mark(), BEGINS);
        assert_eq!(QueryStream::accepted(known, BEGINS), None, "said again");
        for offset in [1, 2, 2049, 1 << 30, u32::MAX] {
            let acknowledged = BEGINS.wrapping_add(offset);
            let begun = QueryStream::accepted(known, acknowledged).and_then(QueryStream::of_mark);
            assert_eq!(begun, Some(QueryStream { next: acknowledged, last: 0, awaited: 0 }), "another connection");
        }
    }
}
