//! What is remembered of one device.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sphere_common::verdict::{Reason, Verdict};

use crate::policy::Step;

/// Refused names that lead to no step, of each device.
const NAMES: usize = 4;
/// How long a denied question may come after an answer: devices that have two resolvers ask both.
const BESIDE_MS: u64 = 2_000;
/// How long an answer may take.
const PATIENCE_MS: u64 = 5_000;

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trail {
    pub(super) group: u32,
    pub(super) mac: Option<[u8; 6]>,
    pub(super) seen_ms: u64,
    pub(super) marks: BTreeMap<Step, Mark>,
    /// Names that were refused and lead to no step, the latest last.
    pub(super) refused: Vec<(String, u64)>,
    /// The resolver that it asked last of those that are not approved.
    pub(super) stranger: Option<(IpAddr, u64)>,
    /// Packets of accounts that were closed.
    pub(super) closed_packets: u64,
}

/// What is known of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) success_ms: Option<u64>,
    pub(super) attempt_ms: Option<u64>,
    /// When the first of the attempts was made that nobody has answered yet.
    pub(super) waits_since_ms: Option<u64>,
    pub(super) denial: Option<Denial>,
}

/// The latest denial of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Denial {
    pub(super) at_ms: u64,
    /// Whether it was dropped, and not only recorded.
    pub(super) is_enforced: bool,
    pub(super) reason: u8,
    pub(super) peer: IpAddr,
    pub(super) service: (u8, u16),
    pub(super) name: Option<String>,
    /// What the signpost says would have to change.
    pub(super) remedy: Option<String>,
}

/// How a device stands at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing was seen.
    Unseen,
    /// It was taken.
    Done,
    /// It must have been taken: the device has come further.
    Implied,
    /// The gateway would have stopped it.
    WouldBlock,
    /// The gateway stops it.
    Blocked,
    /// The gateway let it through, and nobody answered.
    Unanswered,
}

impl State {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::Done => "done",
            Self::Implied => "implied",
            Self::WouldBlock => "would-block",
            Self::Blocked => "blocked",
            Self::Unanswered => "unanswered",
        }
    }
}

impl Trail {
    pub(super) fn seen(&mut self, group: u32, at_ms: u64) {
        if at_ms >= self.seen_ms {
            (self.group, self.seen_ms) = (group, at_ms);
        }
    }

    pub(super) fn ask_stranger(&mut self, resolver: IpAddr, at_ms: u64) {
        if self.stranger.is_none_or(|(_, last)| last <= at_ms) {
            self.stranger = Some((resolver, at_ms));
        }
    }

    pub(super) fn refused(&mut self, name: String, at_ms: u64) {
        self.refused.retain(|(known, _)| *known != name);
        if self.refused.len() >= NAMES {
            self.refused.remove(0);
        }
        self.refused.push((name, at_ms));
    }

    pub(super) fn got_somewhere(&self) -> bool {
        self.marks.values().any(|mark| mark.success_ms.is_some())
    }

    /// How the device stands at a step.
    pub(super) fn state(&self, step: Step, now_ms: u64) -> State {
        let state = self.marks.get(&step).map_or(State::Unseen, |mark| mark.state(step, now_ms));
        // A device that sends from an address of its subnet has one. How it came by it, nobody has seen.
        if step == Step::Dhcp && state == State::Unseen { State::Implied } else { state }
    }
}

impl Mark {
    /// Takes up what flows tell.
    pub(super) fn tried(&mut self, answered_ms: Option<u64>, unanswered_ms: Option<u64>, opened_ms: u64) {
        self.success_ms = self.success_ms.max(answered_ms);
        self.attempt_ms = self.attempt_ms.max(Some(opened_ms));
        self.waits_since_ms = match (self.waits_since_ms, unanswered_ms) {
            _ if self.success_ms.is_some() => None,
            (Some(first), Some(other)) => Some(first.min(other)),
            (first, other) => first.or(other),
        };
    }

    pub(super) fn denied(&mut self, denial: Denial) {
        self.attempt_ms = self.attempt_ms.max(Some(denial.at_ms));
        if self.denial.as_ref().is_none_or(|last| last.at_ms <= denial.at_ms) {
            self.denial = Some(denial);
        }
    }

    fn state(&self, step: Step, now_ms: u64) -> State {
        let beside = if step == Step::Dns { BESIDE_MS } else { 0 };
        let since = self.success_ms.map(|at| at + beside);
        match (&self.denial, self.success_ms, self.waits_since_ms) {
            (Some(denial), ..) if since < Some(denial.at_ms) => {
                if denial.is_enforced {
                    State::Blocked
                } else {
                    State::WouldBlock
                }
            }
            (_, Some(_), _) => State::Done,
            (_, None, Some(since)) if since + PATIENCE_MS < now_ms => State::Unanswered,
            (_, None, _) => State::Unseen,
        }
    }
}

impl Denial {
    pub(super) fn new(at_ms: u64, (reason, verdict): (Reason, Verdict), (peer, service): (IpAddr, (u8, u16))) -> Self {
        let is_enforced = verdict == Verdict::Deny;
        Self { at_ms, is_enforced, reason: reason as u8, peer, service, name: None, remedy: None }
    }
}
