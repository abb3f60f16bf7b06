//! When to ask what. A state machine that is told the moment: it neither waits nor asks.
//!
//! Each question is asked again before its answer ends, without an answer in 5 s, then twice that, up to 2 min, and is
//! never asked twice at the same time. Moments are spread, so that names do not come to be asked all at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::outcome::{Answer, Family, Outcome, Question, Resolution};
use crate::{policy::DomainName, reconcile::Moment};

/// The shortest time between two answers to one question: a TTL of 0 must not become a storm.
const SHORTEST: Duration = Duration::from_secs(4);
/// Time until a question of which nothing came is asked again.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest time until a question of which again and again nothing came is asked again.
const LAST_RETRY: Duration = Duration::from_secs(120);
/// How soon everything is asked again once a resolver that was silent answers.
const AFTER_SILENCE: Duration = Duration::from_secs(2);
/// Questions without any answer in a row that make a resolver silent; fewer when there are fewer questions.
const SILENCE: usize = 8;

/// State of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// When to ask; [`None`] while it is asked.
    due: Option<Moment>,
    /// How often in a row nothing came of it.
    failures: u32,
}

/// When to ask what.
#[derive(Clone, Debug)]
pub struct Schedule {
    states: BTreeMap<Question, State>,
    queue: BTreeSet<(Moment, Question)>,
    /// Questions on their way for names that are no longer wanted.
    orphans: BTreeMap<Question, State>,
    /// Questions that no server answered last time.
    unanswered: BTreeSet<Question>,
    /// Questions in a row that no server answered.
    silent: usize,
    ceiling: Duration,
    random: u64,
}

impl Schedule {
    /// Nothing to ask yet. Answers hold at most for `ceiling`; `seed` spreads the moments.
    #[must_use]
    pub const fn new(ceiling: Duration, seed: u64) -> Self {
        Self {
            states: BTreeMap::new(),
            queue: BTreeSet::new(),
            orphans: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            silent: 0,
            ceiling,
            random: seed,
        }
    }

    /// Asks for these names from now on, for new ones at once, and for no others. A question that is being asked for
    /// a name that is no longer wanted comes to its end unheeded.
    pub fn want(&mut self, names: &BTreeSet<DomainName>, ceiling: Duration, now: Moment) {
        self.ceiling = ceiling;
        let unwanted: Vec<Question> =
            self.states.keys().filter(|question| !names.contains(&question.name)).cloned().collect();
        for question in unwanted {
            self.unanswered.remove(&question);
            match self.states.remove(&question) {
                Some(State { due: Some(due), .. }) => {
                    self.queue.remove(&(due, question));
                }
                Some(state) => {
                    self.orphans.insert(question, state);
                }
                None => {}
            }
        }
        for name in names {
            for family in Family::ALL {
                let question = Question { name: name.clone(), family };
                if let Some(state) = self.orphans.remove(&question) {
                    self.states.insert(question, state);
                } else if !self.states.contains_key(&question) {
                    self.put(question, now, 0);
                }
            }
        }
    }

    /// When the next question is due; [`None`] when every question is being asked.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// Takes a question that is due: it is being asked from now on, until [`Self::record`].
    pub fn take(&mut self, now: Moment) -> Option<Question> {
        if self.next_due()? > now {
            return None;
        }
        let (_, question) = self.queue.pop_first()?;
        if let Some(state) = self.states.get_mut(&question) {
            state.due = None;
        }
        Some(question)
    }

    /// Takes up what came of a question that was taken, and decides when it is asked again.
    pub fn record(&mut self, resolution: &Resolution) {
        let Resolution { question, outcome, at } = resolution;
        self.orphans.remove(question);
        self.note_silence(resolution);
        let Some(State { due: None, failures }) = self.states.get(question).copied() else { return };
        let (delay, failures) = match outcome {
            Outcome::Answer(answer) => (self.refresh(answer), 0),
            Outcome::NoData
            | Outcome::NoSuchName
            | Outcome::ServerFailure
            | Outcome::Refused
            | Outcome::Timeout
            | Outcome::Truncated
            | Outcome::Failed(_) => (self.retry(failures), failures.saturating_add(1)),
        };
        self.put(question.clone(), *at + delay, failures);
    }

    /// How many questions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there is nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    fn put(&mut self, question: Question, due: Moment, failures: u32) {
        self.queue.insert((due, question.clone()));
        self.states.insert(question, State { due: Some(due), failures });
    }

    /// Once a silent resolver answers, what it left unanswered is asked soon instead of in two minutes.
    fn note_silence(&mut self, resolution: &Resolution) {
        let Resolution { question, outcome, at } = resolution;
        match outcome {
            Outcome::Timeout | Outcome::Failed(_) => {
                self.silent += 1;
                if self.states.contains_key(question) {
                    self.unanswered.insert(question.clone());
                }
            }
            Outcome::Answer(_)
            | Outcome::NoData
            | Outcome::NoSuchName
            | Outcome::ServerFailure
            | Outcome::Refused
            | Outcome::Truncated => {
                self.unanswered.remove(question);
                let was_silent = self.silent >= SILENCE.min(self.states.len().max(1));
                self.silent = 0;
                if was_silent {
                    self.bring_forward(*at);
                }
            }
        }
    }

    fn bring_forward(&mut self, now: Moment) {
        for question in std::mem::take(&mut self.unanswered) {
            let soon = now + AFTER_SILENCE.mul_f64(self.fraction());
            if let Some(State { due: Some(due), failures }) = self.states.get(&question).copied()
                && soon < due
            {
                self.queue.remove(&(due, question.clone()));
                self.put(question, soon, failures);
            }
        }
    }

    /// Time until an answer is asked for anew: before the first of its records ends, whatever the lease is prolonged
    /// to, because its successor may be needed by then.
    fn refresh(&mut self, answer: &Answer) -> Duration {
        let ttls = answer.records.iter().map(|record| record.ttl).chain(answer.chain_ttl);
        let ttl = ttls.min().unwrap_or_default().min(self.ceiling);
        let part = 0.75 + 0.15 * self.fraction();
        ttl.mul_f64(part).max(SHORTEST)
    }

    fn retry(&mut self, failures: u32) -> Duration {
        let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LAST_RETRY);
        doubled.mul_f64(0.8 + 0.2 * self.fraction())
    }

    /// A number from 0 to below 1 (`SplitMix64`).
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default()) / 4_294_967_296.0
    }
}
