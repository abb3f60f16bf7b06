//! What only the daemon knows: how names stand, and which policy is in force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
}

impl PolicyMarks {
    /// The marks of a policy.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        Self {
            fingerprint: policy_fingerprint(policy),
            interfaces: policy.interfaces.iter().map(|port| port.name.to_string()).collect(),
            names: policy.names().len(),
        }
    }
}

/// Figures of the daemon, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Of the policy in force.
    pub policy: Arc<PolicyMarks>,
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
