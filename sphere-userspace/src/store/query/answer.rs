//! What the store answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Fields;
use super::kinds::KindPart;

/// What came to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// When the first came, in milliseconds since the epoch.
    pub first_ms: i64,
    /// When the last came, in milliseconds since the epoch.
    pub last_ms: i64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { packets: 0, bytes: 0, first_ms: i64::MAX, last_ms: i64::MIN }
    }
}

impl Sum {
    /// Adds what came to something else.
    pub(super) fn add(&mut self, other: &Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
    }

    /// When the first came.
    #[must_use]
    pub fn first(&self) -> SystemTime {
        time(self.first_ms)
    }

    /// When the last came.
    #[must_use]
    pub fn last(&self) -> SystemTime {
        time(self.last_ms)
    }
}

/// What came to a line, and the names that its other side had at last, by their number in the question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) sum: Sum,
    pub(super) names: u32,
}

impl Came {
    pub(super) fn add(&mut self, other: &Self) {
        if other.names != 0 && (self.names == 0 || other.sum.last_ms >= self.sum.last_ms) {
            self.names = other.names;
        }
        self.sum.add(&other.sum);
    }
}

/// A time that is written in milliseconds.
pub(super) fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A line of an answer. What it is not made of is absent, and so is what an account of other destinations has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its hour or day begins.
    pub time: Option<SystemTime>,
    /// The device.
    pub device: Option<IpAddr>,
    /// The other side.
    pub peer: Option<IpAddr>,
    /// Names of the other side, with spaces between them; empty when none is known. Where they do not make the line, those
    /// that it had at last.
    pub names: Option<Arc<str>>,
    /// Group, protocol, port, direction, verdict, reason.
    pub kind: Arc<KindPart>,
    /// What came to it.
    pub sum: Sum,
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What its lines are made of.
    pub by: Fields,
    /// The lines with the most packets, the largest first.
    pub lines: Vec<Line>,
    /// How many lines there are with those that were not wanted.
    pub lines_in_all: u64,
    /// The packets of all of them.
    pub packets_in_all: u64,
    /// Files that could not be read, and why: what they have is not in the answer.
    pub left_out: Vec<String>,
    /// Whole hours from which and up to which the store has something, as their beginnings; absent when it is empty.
    pub has: Option<(SystemTime, SystemTime)>,
}
