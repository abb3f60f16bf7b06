//! Names that devices may ask for, and what their answers open: the tables of learning.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Ticks, assert_size};
use crate::name::KEY_BYTES;

/// Services that one name can open; a name with more is refused by the daemon.
pub const MAX_SERVICES: usize = 8;
/// Bytes of a name that a sighting keeps.
pub const SIGHTING_NAME_BYTES: usize = 120;

/// Group of prefix entries that no answer may open: special-purpose ranges and the gateway's own addresses.
pub const REFUSED: u32 = 1 << 30;

/// Bits of [`NameValue::flags`], and of the prefix entries under [`REFUSED`].
pub mod name_flags {
    /// On a name: answers in private ranges count. On a refused prefix: it is such a range.
    pub const PRIVATE: u32 = 1 << 0;
    /// Devices may ask for any record type of this name, not only addresses.
    pub const ANY_TYPE: u32 = 1 << 1;
    /// On a refused prefix: it is an exception within a wider one, and not refused.
    pub const OPEN: u32 = 1 << 2;
}

/// Bits of [`super::SubnetValue::flags`].
pub mod group_flags {
    /// Devices of the group may ask only for names in the table.
    pub const DNS_POLICY: u8 = 1 << 0;
    /// A denied query is dropped; otherwise it is answered REFUSED.
    pub const DNS_DROP: u8 = 1 << 1;
    /// An answer that the programs cannot judge is held for the daemon.
    pub const DNS_HOLD: u8 = 1 << 2;
}

/// Key of the name trie, without the trie's prefix length: all of the group and as much of the name as counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NameKeyData {
    /// Group number, network byte order.
    pub group_be: [u8; 4],
    /// Reversed name, see [`crate::name::rule_key`].
    pub name: [u8; KEY_BYTES],
}
assert_size!(NameKeyData, 252);

/// One service that an answer opens at its addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Service {
    /// Rule number.
    pub rule: u32,
    /// Port, network byte order; 0 for every port.
    pub port_be: [u8; 2],
    /// IP protocol number; 1 stands for ICMP of either family.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}
assert_size!(Service, 8);

/// What a name opens, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NameValue {
    /// The services; [`NameValue::services_len`] of them are used.
    pub services: [Service; MAX_SERVICES],
    /// Used services.
    pub services_len: u32,
    /// [`name_flags`].
    pub flags: u32,
    /// Shortest life of an answer in ticks.
    pub floor: u32,
    /// Longest life of an answer in ticks.
    pub ceiling: u32,
    /// Added to every life, in ticks.
    pub grace: u32,
    /// Zero.
    pub pad: u32,
}
assert_size!(NameValue, 88);

/// Key of a sighting: an address that an answer gave to a group, for a name of this rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SightingKey {
    /// The address (IPv4 as `::ffff:a.b.c.d`).
    pub address: [u8; 16],
    /// Group number.
    pub group: u32,
    /// Number of the first rule of the name.
    pub rule: u32,
}
assert_size!(SightingKey, 24);

/// When and by whom an address was seen in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SightingValue {
    /// Tick at which its lease ends, grace included.
    pub expires: Ticks,
    /// Tick of the answer.
    pub seen: Ticks,
    /// Address of the device that asked.
    pub device: [u8; 16],
    /// Time to live in the answer, seconds.
    pub ttl: u32,
    /// Bytes of `name`.
    pub name_bytes: u32,
    /// The asked name: lower-case text, cut to what fits, the rest undefined.
    pub name: [u8; SIGHTING_NAME_BYTES],
}
assert_size!(SightingValue, 160);

/// What happened to queries and answers: index into the lesson counters. The first ones are counted by the programs, the
/// others by the daemon, about answers that the programs could not judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum LessonCount {
    /// Queries for allowed names.
    Query = 0,
    /// Answers that were walked to their end.
    Answer = 1,
    /// Addresses learned or prolonged.
    Address = 2,
    /// Addresses refused for their range.
    Refused = 3,
    /// Addresses not learned because the group had its share.
    Quota = 4,
    /// Answers that could not be judged: too long, too many records, over TCP.
    Unjudged = 5,
    /// Unjudged answers that could not be handed to the daemon.
    UnjudgedLost = 6,
    /// Addresses learned that could not be noted for people: no room among the sightings.
    Unsighted = 7,
    /// Answers that the daemon learned from.
    Learned = 8,
    /// Answers that it read, and from which there was nothing to learn.
    Ignored = 9,
    /// Answers that it could not read: malformed, or a part of them never came.
    Unread = 10,
    /// Answers that the device had not asked for.
    Unasked = 11,
    /// Answers that it did not learn from in time.
    Late = 12,
    /// Frames that were held, and then sent on.
    Released = 13,
    /// Frames that were held, and then dropped.
    Dropped = 14,
}

impl LessonCount {
    /// Every count, in the order of its number.
    pub const ALL: [Self; 15] = [
        Self::Query,
        Self::Answer,
        Self::Address,
        Self::Refused,
        Self::Quota,
        Self::Unjudged,
        Self::UnjudgedLost,
        Self::Unsighted,
        Self::Learned,
        Self::Ignored,
        Self::Unread,
        Self::Unasked,
        Self::Late,
        Self::Released,
        Self::Dropped,
    ];

    /// Whether the daemon counts it, and not the programs.
    #[must_use]
    pub const fn is_of_daemon(self) -> bool {
        self as u32 >= Self::Learned as u32
    }

    /// Word for people and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Query => "queries",
            Self::Answer => "answers",
            Self::Address => "addresses",
            Self::Refused => "refused-addresses",
            Self::Quota => "over-quota",
            Self::Unjudged => "unjudged",
            Self::UnjudgedLost => "unjudged-lost",
            Self::Unsighted => "unsighted",
            Self::Learned => "learned",
            Self::Ignored => "ignored",
            Self::Unread => "unread",
            Self::Unasked => "unasked",
            Self::Late => "late",
            Self::Released => "released",
            Self::Dropped => "dropped",
        }
    }
}
