//! What only the daemon knows: how names stand, and which policy is in force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::policy::Policy;
use crate::reconcile::{Leases, Moment, Standings};
use crate::render::policy_fingerprint;
use crate::resolve::{Family, Outcome};

/// What is worked out of a policy once, when it comes into force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyMarks {
    /// Its fingerprint.
    pub fingerprint: String,
    /// Its device ports.
    pub interfaces: Vec<String>,
    /// Names that the daemon asks for.
    pub names: usize,
    /// Addresses that each group may learn.
    pub learn: Vec<(String, u32)>,
    /// Bytes that the store may take, if there is one.
    pub store_bytes: Option<u64>,
}

/// How the policy came into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLoads {
    /// When the policy in force was loaded.
    pub at: SystemTime,
    /// How often one was loaded since the daemon started, at its start too.
    pub loaded: u64,
    /// How often one was refused.
    pub refused: u64,
    /// Whether the one that was read last is in force.
    pub is_current: bool,
}

impl PolicyLoads {
    /// The first one was loaded.
    #[must_use]
    pub const fn first(at: SystemTime) -> Self {
        Self { at, loaded: 1, refused: 0, is_current: true }
    }

    /// Another one came into force.
    pub const fn load(&mut self, at: SystemTime) {
        (self.at, self.is_current) = (at, true);
        self.loaded += 1;
    }

    /// Another one was refused.
    pub const fn refuse(&mut self) {
        self.is_current = false;
        self.refused += 1;
    }
}

impl PolicyMarks {
    /// The marks of a policy.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        Self {
            fingerprint: policy_fingerprint(policy),
            interfaces: policy.interfaces.iter().map(|port| port.name.to_string()).collect(),
            names: policy.names().len(),
            learn: policy.groups.iter().map(|group| (group.name.to_string(), group.learn)).collect(),
            store_bytes: policy.store.enabled.then_some(policy.store.keep_bytes),
        }
    }
}

/// Figures of the daemon, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Of the policy in force.
    pub policy: Arc<PolicyMarks>,
    /// How it came into force.
    pub loads: Option<PolicyLoads>,
    /// Questions by what came of them last.
    pub questions: BTreeMap<(Family, &'static str), u64>,
    /// Questions that came to an end since the start, by what came of them.
    pub outcomes: BTreeMap<(Family, &'static str), u64>,
    /// Names that have no answer with addresses, of either family.
    pub failing: Vec<String>,
    /// How long ago names were last answered with addresses.
    pub ages: Vec<(String, Family, Duration)>,
    /// Leases by their source.
    pub leases: BTreeMap<&'static str, u64>,
}

impl Figures {
    /// What the daemon knows now.
    #[must_use]
    pub fn new(policy: Arc<PolicyMarks>, standings: &Standings, leases: &Leases, now: Moment) -> Self {
        let mut figures = Self { policy, outcomes: standings.totals().clone(), ..Self::default() };
        for family in Family::ALL {
            figures.questions.insert((family, "unasked"), figures.policy.names as u64);
        }
        let mut answered: BTreeMap<&str, bool> = BTreeMap::new();
        for (question, standing) in standings.iter() {
            let (name, family) = (question.name.as_str(), question.family);
            *figures.questions.entry((family, standing.outcome.word())).or_default() += 1;
            if let Some(unasked) = figures.questions.get_mut(&(family, "unasked")) {
                *unasked = unasked.saturating_sub(1);
            }
            *answered.entry(name).or_default() |= matches!(standing.outcome, Outcome::Answer(_));
            if let Some(at) = standing.answered {
                figures.ages.push((name.to_owned(), family, now.since(at)));
            }
        }
        let failing = answered.into_iter().filter(|(_, is_answered)| !is_answered);
        figures.failing = failing.map(|(name, _)| name.to_owned()).collect();
        for (_, _, lease) in leases.iter() {
            *figures.leases.entry(lease.source.word()).or_default() += 1;
        }
        figures
    }
}
