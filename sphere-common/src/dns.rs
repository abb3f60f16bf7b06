//! DNS messages (RFC 1035), as far as a gateway must read them: the question, and the addresses of an answer.
//!
//! A message is walked in small steps whose state lies where the caller keeps it. The kernel takes the steps in a
//! `bpf_loop` over a copy of the message, the host in an ordinary loop; both see the same bytes and the same end.

use crate::name::{NameBuffer, Taken};

/// Bytes of a message that are read; a power of two. Longer messages are not judged here.
pub const MESSAGE_BYTES: usize = 2048;
/// Bytes of the header (RFC 1035 section 4.1.1).
pub const HEADER_BYTES: usize = 12;
/// Records of an answer section that are walked.
pub const MAX_RECORDS: u16 = 64;
/// Steps in which an answer section is walked: one a label or pointer, one a record, one a service that an address
/// opens and one to end it.
pub const MAX_STEPS: u32 = 1024;
/// Steps in which a question is read: one a byte.
pub const MAX_NAME_STEPS: u32 = 256;

/// Address record (RFC 1035).
pub const TYPE_A: u16 = 1;
/// IPv6 address record (RFC 3596).
pub const TYPE_AAAA: u16 = 28;
/// The Internet.
pub const CLASS_IN: u16 = 1;

/// A message in memory.
pub trait Message {
    /// Bytes of it that are there.
    fn bytes(&self) -> usize;
    /// The byte at `at`; anything beyond the end.
    fn byte(&self, at: usize) -> u8;

    /// Two bytes at `at` as a number.
    #[inline(always)]
    fn number16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    /// Four bytes at `at` as a number.
    #[inline(always)]
    fn number32(&self, at: usize) -> u32 {
        u32::from_be_bytes([self.byte(at), self.byte(at + 1), self.byte(at + 2), self.byte(at + 3)])
    }
}

impl Message for [u8] {
    fn bytes(&self) -> usize {
        self.len()
    }
    fn byte(&self, at: usize) -> u8 {
        self.get(at).copied().unwrap_or(0)
    }
}

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// Transaction identifier, as it lies in memory.
    pub id_be: u16,
    /// Flags and response code.
    pub flags: u16,
    /// Entries in the question section.
    pub questions: u16,
    /// Records in the answer section.
    pub answers: u16,
}

impl Header {
    const RESPONSE: u16 = 0x8000;
    const OPCODE: u16 = 0x7800;
    const TRUNCATED: u16 = 0x0200;
    const RCODE: u16 = 0x000f;

    /// Reads the header; `None` when it is cut off.
    #[must_use]
    #[inline(always)]
    pub fn parse<M: Message + ?Sized>(message: &M) -> Option<Self> {
        if message.bytes() < HEADER_BYTES {
            return None;
        }
        Some(Self {
            id_be: u16::from_ne_bytes([message.byte(0), message.byte(1)]),
            flags: message.number16(2),
            questions: message.number16(4),
            answers: message.number16(6),
        })
    }

    /// A standard query with one question and no answer.
    #[must_use]
    #[inline(always)]
    pub const fn is_query(&self) -> bool {
        self.flags & (Self::RESPONSE | Self::OPCODE) == 0 && self.questions == 1 && self.answers == 0
    }

    /// An answer to a standard query with one question.
    #[must_use]
    #[inline(always)]
    pub const fn is_answer(&self) -> bool {
        self.flags & (Self::RESPONSE | Self::OPCODE) == Self::RESPONSE && self.questions == 1
    }

    /// The answer was cut to fit a datagram: it must be asked for again over TCP (RFC 2181 section 9).
    #[must_use]
    #[inline(always)]
    pub const fn is_truncated(&self) -> bool {
        self.flags & Self::TRUNCATED != 0
    }

    /// No error.
    #[must_use]
    #[inline(always)]
    pub const fn is_noerror(&self) -> bool {
        self.flags & Self::RCODE == 0
    }
}

/// Reading the question: one byte a step.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct QuestionWalk {
    /// Offset of the next byte.
    pub at: u32,
    /// What became of the last one.
    pub taken: Taken,
    /// The name.
    pub name: NameBuffer,
}

impl QuestionWalk {
    /// Before the first step.
    pub const START: Self = Self { at: HEADER_BYTES as u32, taken: Taken::More, name: NameBuffer::EMPTY };

    /// Begins anew; `seed` keys the name's hash.
    #[inline(always)]
    pub fn clear(&mut self, seed: u64) {
        self.at = HEADER_BYTES as u32;
        self.taken = Taken::More;
        self.name.clear(seed);
    }

    /// Takes one step. False when there is none left to take.
    #[inline(always)]
    #[must_use]
    pub fn step<M: Message + ?Sized>(&mut self, message: &M) -> bool {
        let at = self.at as usize;
        if at >= message.bytes() {
            self.taken = Taken::Refused;
            return false;
        }
        self.at += 1;
        self.taken = self.name.push(message.byte(at));
        matches!(self.taken, Taken::More)
    }

    /// Type and class of the question, once its name is whole; `None` when it is not, or they are cut off.
    #[must_use]
    #[inline(always)]
    pub fn kind<M: Message + ?Sized>(&self, message: &M) -> Option<(u16, u16)> {
        let at = self.at as usize;
        if !matches!(self.taken, Taken::End) || self.name.bytes == 0 || at + 4 > message.bytes() {
            return None;
        }
        Some((message.number16(at), message.number16(at + 2)))
    }
}

/// Walking the answer section: one label, pointer or record a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct AnswerWalk {
    /// Offset of what comes next.
    pub at: u32,
    /// Records that are left.
    pub left: u32,
    /// 1 while the owner's name of a record is being skipped.
    pub in_name: u32,
    /// Zero.
    pub pad: u32,
}

/// What a step of the answer walk came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Step {
    /// What it is.
    pub found: Found,
    /// Offset of an address in the message.
    pub at: u32,
    /// Time to live of the record in seconds.
    pub ttl: u32,
}

/// Kinds of [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Found {
    /// Nothing of interest; the walk goes on.
    Nothing,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// The end of the section.
    End,
    /// A record is cut off or malformed.
    Malformed,
}

impl AnswerWalk {
    /// Before the first record, which stands behind the question's type and class.
    #[must_use]
    #[inline(always)]
    pub const fn start(behind_name: u32, records: u16) -> Self {
        Self { at: behind_name + 4, left: records as u32, in_name: 1, pad: 0 }
    }

    /// Takes one step.
    #[inline(always)]
    pub fn step<M: Message + ?Sized>(&mut self, message: &M) -> Step {
        if self.left == 0 {
            return Step { found: Found::End, at: 0, ttl: 0 };
        }
        let at = self.at as usize;
        if at >= message.bytes() {
            return Step { found: Found::Malformed, at: 0, ttl: 0 };
        }
        if self.in_name != 0 { self.skip(message, at) } else { self.record(message, at) }
    }

    /// Skips one label of the owner's name, or its end. Pointers are not followed: only the asked name counts, which
    /// stands in the question.
    #[inline(always)]
    fn skip<M: Message + ?Sized>(&mut self, message: &M, at: usize) -> Step {
        let byte = message.byte(at);
        let found = match byte {
            0 => {
                self.at += 1;
                self.in_name = 0;
                Found::Nothing
            }
            0xc0..=0xff => {
                self.at += 2;
                self.in_name = 0;
                Found::Nothing
            }
            1..=63 => {
                self.at += 1 + u32::from(byte);
                Found::Nothing
            }
            64..=0xbf => Found::Malformed,
        };
        Step { found, at: 0, ttl: 0 }
    }

    /// Reads type, class, time to live and length of a record, and steps over its data.
    #[inline(always)]
    fn record<M: Message + ?Sized>(&mut self, message: &M, at: usize) -> Step {
        if at + 10 > message.bytes() {
            return Step { found: Found::Malformed, at: 0, ttl: 0 };
        }
        let (kind, class) = (message.number16(at), message.number16(at + 2));
        let (ttl, length) = (message.number32(at + 4), message.number16(at + 8));
        let data = at + 10;
        if data + usize::from(length) > message.bytes() {
            return Step { found: Found::Malformed, at: 0, ttl: 0 };
        }
        self.at = data as u32 + u32::from(length);
        self.left -= 1;
        self.in_name = 1;
        let found = match (kind, length) {
            _ if class != CLASS_IN => Found::Nothing,
            (TYPE_A, 4) => Found::Ipv4,
            (TYPE_AAAA, 16) => Found::Ipv6,
            (TYPE_A | TYPE_AAAA, _) => Found::Malformed,
            _ => Found::Nothing,
        };
        // The most significant bit set means zero (RFC 2181 section 8).
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        Step { found, at: data as u32, ttl }
    }
}
