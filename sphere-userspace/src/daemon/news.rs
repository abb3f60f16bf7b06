//! What the operator is told of names and tables: each change once, and what happens to many names in one line.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::Policy;
use crate::reconcile::{Changeset, Desired, Refusal, Turn};
use crate::resolve::{Outcome, Question, Resolution};

/// Warnings about a policy that are told.
const WARNINGS: usize = 200;
/// Questions that one line names; the level `debug` tells all of them.
const NAMED: usize = 3;

/// What a change of outcomes means to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Addresses that were known are now kept for their grace only.
    Lost,
    /// No address is known.
    Unresolved,
    /// There are addresses again.
    Back,
}

/// What is to be told, and what was told already.
#[derive(Debug, Default)]
pub(super) struct News {
    turns: BTreeMap<(Kind, &'static str), BTreeSet<Question>>,
    refusals: BTreeSet<Refusal>,
    is_crowded: bool,
}

impl News {
    /// Notes that a name resolves otherwise than before. Gives back whether that deserves a word.
    pub(super) fn note(&mut self, resolution: &Resolution, turn: &Turn) -> bool {
        let question = &resolution.question;
        tracing::debug!(%question, outcome = turn.to, before = turn.from, "name resolves otherwise");
        let kind = match &resolution.outcome {
            Outcome::Answer(_) if turn.from.is_some() => Kind::Back,
            Outcome::Answer(_) => return false,
            _ if turn.is_loss => Kind::Lost,
            // Most names have addresses of one family only.
            Outcome::NoData => return false,
            _ => Kind::Unresolved,
        };
        // Only the last turn of a question counts.
        for questions in self.turns.values_mut() {
            questions.remove(question);
        }
        self.turns.entry((kind, turn.to)).or_default().insert(question.clone());
        true
    }

    /// Tells what was noted, and what of the desired tables deserves a word.
    pub(super) fn tell(&mut self, desired: &Desired, changes: &Changeset) {
        for ((kind, outcome), questions) in std::mem::take(&mut self.turns) {
            if !questions.is_empty() {
                tell_turns(kind, outcome, &questions);
            }
        }
        for Refusal { name, address, group, why } in desired.refusals.difference(&self.refusals) {
            tracing::warn!(%name, %address, %group, why = why.word(), "address of an answer refused");
        }
        self.refusals.clone_from(&desired.refusals);
        let is_crowded = desired.crowded_out > 0;
        if is_crowded && !self.is_crowded {
            let addresses = desired.crowded_out;
            tracing::warn!(addresses, "no room for every address: raise `endpoints` in [limits]");
        }
        self.is_crowded = is_crowded;
        if changes.early_removals > 0 {
            let removals = changes.early_removals;
            tracing::warn!(removals, "a table has no room for old and new at once: raise its limit in [limits]");
        }
    }
}

/// Tells what is worth a word about a policy that is put in force, each on a line of its own.
pub(super) fn tell_warnings(policy: &Policy) {
    for warning in policy.warnings.iter().take(WARNINGS) {
        tracing::warn!("{warning}");
    }
    if policy.warnings.len() > WARNINGS {
        let more = policy.warnings.len() - WARNINGS;
        tracing::warn!(more, "warnings about the policy that are not told: see `sphere check`");
    }
}

fn tell_turns(kind: Kind, outcome: &'static str, questions: &BTreeSet<Question>) {
    let (count, names) = (questions.len(), listed(questions));
    match kind {
        Kind::Lost => tracing::warn!(count, outcome, names, "no longer resolved; known addresses stay for their grace"),
        Kind::Unresolved => tracing::warn!(count, outcome, names, "not resolved; asked again"),
        Kind::Back => tracing::info!(count, names, "resolved again"),
    }
}

/// The first of the questions, and how many more there are.
fn listed(questions: &BTreeSet<Question>) -> String {
    let named: Vec<String> = questions.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match questions.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    named.join(", ") + &more
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::DomainName;
    use crate::reconcile::{Moment, Standings};
    use crate::resolve::{AddressRecord, Answer, Family};

    fn resolution(name: &str, outcome: Outcome) -> Resolution {
        let question = Question { name: DomainName::parse(name).unwrap(), family: Family::V4 };
        Resolution { question, outcome, at: Moment::default() }
    }

    #[test]
    fn only_the_last_turn_of_a_name_is_told_and_a_first_answer_is_no_news() {
        let record = AddressRecord { address: "20.0.0.1".parse().unwrap(), ttl: Duration::from_secs(5) };
        let answer = Outcome::Answer(Answer { records: vec![record], chain: Vec::new(), chain_ttl: None });
        let (mut news, mut standings) = (News::default(), Standings::default());
        let mut note = |name, outcome: &Outcome| {
            let resolution = resolution(name, outcome.clone());
            standings.record(&resolution).is_some_and(|turn| news.note(&resolution, &turn))
        };
        assert!(!note("a.example", &answer));
        assert!(!note("b.example", &Outcome::NoData));
        assert!(note("a.example", &Outcome::Timeout));
        assert!(!note("a.example", &Outcome::Timeout));
        assert!(note("c.example", &Outcome::Timeout));
        assert!(note("a.example", &answer));
        let told: Vec<_> = news.turns.into_iter().filter(|(_, questions)| !questions.is_empty()).collect();
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].0, listed(&told[0].1)), ((Kind::Unresolved, "timeout"), "c.example A".to_owned()));
        assert_eq!((told[1].0, listed(&told[1].1)), ((Kind::Back, "answer"), "a.example A".to_owned()));
    }

    #[test]
    fn many_names_are_counted_rather_than_named() {
        let names = (0..9).map(|n| resolution(&format!("n{n}.example"), Outcome::Timeout).question);
        assert_eq!(listed(&names.collect()), "n0.example A, n1.example A, n2.example A and 6 more");
    }
}
