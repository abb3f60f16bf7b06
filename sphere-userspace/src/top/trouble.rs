//! Names that do not resolve as they should.

use std::net::IpAddr;

use super::sample::Sample;
use crate::names::{NameView, QuestionView};

/// Outcomes of a question that are as they should be: many names have addresses in one family only.
const FINE: [&str; 2] = ["answer", "nodata"];

/// How bad it is; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No address of it is open.
    Closed,
    /// All its addresses have outlived their answers, and end when the grace period does.
    Grace,
    /// The last question failed, and earlier answers hold.
    Failing,
}

impl Severity {
    /// Word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "no address",
            Self::Grace => "grace",
            Self::Failing => "failing",
        }
    }
}

/// A name in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The name.
    pub name: String,
    /// Groups with a rule for it.
    pub groups: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// Addresses of it that are open.
    pub addresses: usize,
    /// Seconds until the last of them is no longer allowed.
    pub ends_in_seconds: Option<u64>,
    /// What came of the questions: `A servfail for 12s`.
    pub questions: Vec<Asked>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `A` or `AAAA`.
    pub family: String,
    /// `nxdomain`, `timeout`, …
    pub outcome: String,
    /// Seconds that it has come out like this.
    pub for_seconds: u64,
}

/// The names that rules allow and that are in trouble, the worst first.
pub(super) fn names(sample: &Sample) -> Vec<Trouble> {
    let now_ms = u64::try_from(sample.at.since_zero().as_millis()).unwrap_or(u64::MAX);
    let named = sample.names.names.iter().filter(|(name, known)| !known.groups.is_empty() && is_one_name(name));
    let mut names: Vec<Trouble> = named.filter_map(|(name, known)| trouble(name, known, now_ms)).collect();
    names.sort_by(|a, b| (a.severity, a.ends_in_seconds, &a.name).cmp(&(b.severity, b.ends_in_seconds, &b.name)));
    names
}

/// Patterns have no addresses of their own, and addresses need no answer.
fn is_one_name(name: &str) -> bool {
    !name.starts_with("*.") && name.parse::<IpAddr>().is_err()
}

fn trouble(name: &str, known: &NameView, now_ms: u64) -> Option<Trouble> {
    let open: Vec<_> = known.leases.iter().filter(|lease| lease.ends_ms > now_ms).collect();
    let is_live = open.iter().any(|lease| lease.live_until_ms > now_ms);
    let fails = |question: &&QuestionView| !FINE.contains(&question.outcome.as_str());
    let has_failed = known.questions.iter().any(|question| fails(&question));
    let severity = match (open.is_empty(), is_live) {
        (true, _) => Severity::Closed,
        // Between the end of an answer and the next one, which comes at once, nothing is wrong.
        (false, false) if has_failed || known.questions.is_empty() => Severity::Grace,
        _ if has_failed => Severity::Failing,
        _ => return None,
    };
    let asked = |question: &QuestionView| Asked {
        family: question.family.clone(),
        outcome: question.outcome.clone(),
        for_seconds: now_ms.saturating_sub(question.since_ms) / 1000,
    };
    let is_told = |question: &&QuestionView| severity == Severity::Closed || fails(question);
    Some(Trouble {
        name: name.to_owned(),
        groups: known.groups.iter().cloned().collect(),
        severity,
        addresses: open.len(),
        ends_in_seconds: open.iter().map(|lease| (lease.ends_ms - now_ms) / 1000).max(),
        questions: known.questions.iter().filter(is_told).map(asked).collect(),
    })
}
