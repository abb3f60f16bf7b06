//! How each question stands: what came of it last, since when, how often. A name that does not resolve is never
//! passed over in silence.

use std::collections::{BTreeMap, BTreeSet};

use super::clock::Moment;
use crate::{
    policy::DomainName,
    resolve::{Family, Outcome, Question, Resolution},
};

/// How one question stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What came of it last.
    pub outcome: Outcome,
    /// Since when every outcome has been of this kind.
    pub since: Moment,
    /// When it was asked last.
    pub at: Moment,
    /// How many outcomes of this kind there were in a row.
    pub times: u32,
    /// When it was last answered with addresses.
    pub answered: Option<Moment>,
}

/// A question that came out otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Word of the outcome before; [`None`] for the first.
    pub from: Option<&'static str>,
    /// Word of the outcome now.
    pub to: &'static str,
    /// Whether addresses were known before, and are now kept for their grace only.
    pub is_loss: bool,
}

/// How every question stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    by_question: BTreeMap<Question, Standing>,
    totals: BTreeMap<(Family, &'static str), u64>,
}

impl Standings {
    /// Takes up what came of a question; says so when it came out otherwise than before.
    pub fn record(&mut self, resolution: &Resolution) -> Option<Turn> {
        let Resolution { question, outcome, at } = resolution;
        let is_answer = matches!(outcome, Outcome::Answer(_));
        let before = self.by_question.get(question);
        let same = before.filter(|standing| standing.outcome.word() == outcome.word());
        let standing = Standing {
            outcome: outcome.clone(),
            since: same.map_or(*at, |standing| standing.since),
            at: *at,
            times: same.map_or(1, |standing| standing.times.saturating_add(1)),
            answered: if is_answer { Some(*at) } else { before.and_then(|standing| standing.answered) },
        };
        let turn = same.is_none().then(|| Turn {
            from: before.map(|standing| standing.outcome.word()),
            to: outcome.word(),
            is_loss: !is_answer && standing.answered.is_some(),
        });
        self.by_question.insert(question.clone(), standing);
        *self.totals.entry((question.family, outcome.word())).or_default() += 1;
        turn
    }

    /// Forgets names that `wanted` lacks.
    pub fn keep(&mut self, wanted: &BTreeSet<DomainName>) {
        self.by_question.retain(|question, _| wanted.contains(&question.name));
    }

    /// How a question stands; [`None`] before it came to an end for the first time.
    #[must_use]
    pub fn of(&self, question: &Question) -> Option<&Standing> {
        self.by_question.get(question)
    }

    /// How many questions came to an end so far, by what came of them; names that are forgotten included.
    #[must_use]
    pub fn totals(&self) -> &BTreeMap<(Family, &'static str), u64> {
        &self.totals
    }

    /// Every question that came to an end.
    pub fn iter(&self) -> impl Iterator<Item = (&Question, &Standing)> {
        self.by_question.iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use std::time::Duration;

    use super::*;
    use crate::resolve::{AddressRecord, Answer, Family};

    fn resolution(outcome: Outcome, second: u64) -> Resolution {
        let question = Question { name: DomainName::parse("a.example.com").unwrap(), family: Family::V4 };
        Resolution { question, outcome, at: Moment::new(Duration::from_secs(second)) }
    }

    #[test]
    fn each_change_of_outcome_is_told_once() {
        let record = AddressRecord { address: "20.0.0.1".parse().unwrap(), ttl: Duration::from_secs(5) };
        let answer = Outcome::Answer(Answer { records: vec![record], chain: Vec::new(), chain_ttl: None });
        let mut standings = Standings::default();
        let turns: Vec<_> = [
            Outcome::Timeout,
            Outcome::Timeout,
            answer.clone(),
            answer,
            Outcome::NoSuchName,
            Outcome::ServerFailure,
            Outcome::ServerFailure,
        ]
        .into_iter()
        .zip(0..)
        .map(|(outcome, second)| standings.record(&resolution(outcome, second)).map(|turn| (turn.to, turn.is_loss)))
        .collect();
        assert_eq!(
            turns,
            [
                Some(("timeout", false)),
                None,
                Some(("answer", false)),
                None,
                Some(("nxdomain", true)),
                Some(("servfail", true)),
                None
            ]
        );
        let standing = standings.of(&resolution(Outcome::Timeout, 0).question).unwrap();
        assert_eq!(standings.totals().get(&(Family::V4, "servfail")), Some(&2));
        assert_eq!((standing.times, standing.since), (2, Moment::new(Duration::from_secs(5))));
        assert_eq!(standing.answered, Some(Moment::new(Duration::from_secs(3))));
    }
}
