//! The policies that were in force, kept on disk with every text that they were read from, so that one can go back.
//!
//! Place in the data flow: a policy that is read → [`History`] (what is kept, which one is in force, whether it is on trial)
//! → the policy that begins. Invariants: a file has its name only when it is whole; at any moment, also after a crash, the
//! state names policies that are there. Nothing here puts a policy in force.

mod error;
mod files;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use error::HistoryError;
use files::Directory;

use crate::policy::Texts;

/// A policy that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    schema: String,
    /// Its number: later ones have higher numbers.
    pub number: u64,
    /// When it was put in force first (RFC 3339).
    pub since: String,
    /// What was in force before it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<u64>,
    /// The policy file.
    pub config: PathBuf,
    /// The texts that it was read from.
    pub texts: Texts,
}

/// A policy on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The policy to go back to.
    pub fallback: u64,
    /// When that is, in milliseconds since the epoch.
    pub until_ms: u64,
    /// How long the trial is, in milliseconds: a clock that is set meanwhile makes it no longer.
    pub span_ms: u64,
}

impl Trial {
    /// How much of it is left.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Duration {
        Duration::from_millis(self.until_ms.saturating_sub(millis(now)).min(self.span_ms))
    }
}

/// Which policy is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    schema: String,
    /// Its number; 0: none was kept yet.
    in_force: u64,
    /// A policy that was gone back from: as long as the files say it, they are not put in force again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    gone_back_from: Option<u64>,
    /// Absent: what is in force stays.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    trial: Option<Trial>,
}

impl State {
    /// Nothing was kept yet.
    fn new() -> Self {
        Self { schema: STATE_SCHEMA.to_owned(), in_force: 0, gone_back_from: None, trial: None }
    }
}

/// What begins when the daemon starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// What the files say.
    Files,
    /// A policy that was kept: the files say what was gone back from.
    GoneBack(Entry),
    /// The policy that is on trial.
    OnTrial(Entry, Trial),
    /// The policy before the one whose trial ended while no daemon ran.
    TrialEnded(Entry),
}

/// The policies that are kept.
#[derive(Debug)]
pub struct History {
    directory: Directory,
    state: State,
    keep: usize,
    /// Whether the state is on disk too.
    is_noted: bool,
    /// What is in force could not be kept: what was in force before it.
    unkept_after: Option<u64>,
}

const STATE_SCHEMA: &str = "sphere.policy-state/1";
const ENTRY_SCHEMA: &str = "sphere.policy-kept/1";

impl History {
    /// Opens the directory, and makes it when it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be made or read.
    pub fn open(directory: &Path, keep: usize) -> Result<Self, HistoryError> {
        let directory = Directory::open(directory)?;
        let state = directory.state::<State>()?.unwrap_or_else(State::new);
        Ok(Self { directory, state, keep, is_noted: true, unkept_after: None })
    }

    /// Whether something else may begin than what the files say: a look that takes no lock and changes nothing.
    #[must_use]
    pub fn has_other_beginning(directory: &Path) -> bool {
        let state = files::state_in::<State>(directory).ok().flatten();
        state.is_some_and(|state| state.trial.is_some() || state.gone_back_from.is_some())
    }

    /// What is to begin, where the files say these texts, or nothing that could.
    ///
    /// # Errors
    ///
    /// When what is kept cannot be read.
    pub fn begin(&mut self, texts: Option<&Texts>, now: SystemTime) -> Result<Beginning, HistoryError> {
        let State { in_force, gone_back_from, trial, .. } = self.state;
        if let Some(trial) = trial {
            if trial.left(now).is_zero() {
                let entry = self.directory.entry(trial.fallback)?;
                // It ends even where that cannot be written: then it ends again at the next start.
                self.note(State { in_force: trial.fallback, gone_back_from: Some(in_force), ..State::new() });
                return Ok(Beginning::TrialEnded(entry));
            }
            return Ok(Beginning::OnTrial(self.directory.entry(in_force)?, trial));
        }
        let Some(number) = gone_back_from else { return Ok(Beginning::Files) };
        match texts {
            Some(texts) if self.directory.entry(number)?.texts != *texts => Ok(Beginning::Files),
            _ => Ok(Beginning::GoneBack(self.directory.entry(in_force)?)),
        }
    }

    /// Notes that what the files say is in force. Gives back its number.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then it has no number.
    pub fn take_up(&mut self, config: &Path, texts: &Texts, now: SystemTime) -> Result<u64, HistoryError> {
        let before = self.last_kept();
        let taken = self.keep_texts(config, texts, now).and_then(|number| {
            let state = State { in_force: number, ..State::new() };
            // Most starts find what is noted already.
            if state != self.state {
                self.write(state)?;
            }
            Ok(number)
        });
        match taken {
            Ok(number) => {
                self.unkept_after = None;
                self.remove_old();
                Ok(number)
            }
            Err(error) => {
                (self.state, self.is_noted) = (State::new(), false);
                self.unkept_after = before;
                Err(error)
            }
        }
    }

    /// The last policy in force that is kept.
    fn last_kept(&self) -> Option<u64> {
        Some(self.state.in_force).filter(|number| *number > 0).or(self.unkept_after)
    }

    /// Notes that what the files say is about to be in force on trial. Gives back its number.
    ///
    /// # Errors
    ///
    /// When a policy is on trial already, when there is none to go back to, or when it cannot be written.
    pub fn try_out(
        &mut self,
        config: &Path,
        texts: &Texts,
        (now, span): (SystemTime, Duration),
    ) -> Result<u64, HistoryError> {
        if self.state.trial.is_some() {
            return Err(HistoryError::OnTrial);
        }
        let fallback = self.state.in_force;
        if fallback == 0 {
            // What is in force could not be kept: one could not go back to it.
            return Err(HistoryError::NothingBefore);
        }
        let number = self.keep_texts(config, texts, now)?;
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let trial = Trial { fallback, until_ms: millis(now).saturating_add(span_ms), span_ms };
        // Nothing is to be tried where nothing differs.
        let trial = Some(trial).filter(|_| number != fallback);
        self.write(State { in_force: number, trial, ..State::new() })?;
        self.remove_old();
        Ok(number)
    }

    /// Ends a trial: what is in force stays.
    ///
    /// # Errors
    ///
    /// When none is on trial, or it cannot be written.
    pub fn confirm(&mut self) -> Result<u64, HistoryError> {
        if self.state.trial.is_none() {
            return Err(HistoryError::NotOnTrial);
        }
        self.write(State { trial: None, ..self.state.clone() })?;
        Ok(self.state.in_force)
    }

    /// Goes back to a policy: this one, else that before the trial, else the one before what is in force.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read. That it cannot be noted is no error: see [`Self::is_noted`].
    pub fn go_back(&mut self, to: Option<u64>) -> Result<Entry, HistoryError> {
        let in_force = self.state.in_force;
        let number = match (to, self.state.trial) {
            (Some(number), _) => number,
            (None, Some(trial)) => trial.fallback,
            (None, None) if in_force == 0 => self.unkept_after.ok_or(HistoryError::NothingBefore)?,
            (None, None) => self.directory.entry(in_force)?.before.ok_or(HistoryError::NothingBefore)?,
        };
        if number == in_force {
            return Err(HistoryError::InForce(number));
        }
        let entry = self.directory.entry(number)?;
        // What the files say now stays gone back from, however often one goes back.
        let gone_back_from = self.state.gone_back_from.or(Some(in_force)).filter(|from| *from != number && *from > 0);
        // Whoever goes back must not be kept from it by a disk.
        self.note(State { in_force: number, gone_back_from, ..State::new() });
        Ok(entry)
    }

    /// Whether what is in force is noted on disk too.
    #[must_use]
    pub const fn is_noted(&self) -> bool {
        self.is_noted
    }

    /// Takes back what was noted of a policy that could not be put in force.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn undo(&mut self, noted: Noted) -> Result<(), HistoryError> {
        self.note(noted.state);
        for number in self.directory.numbers()?.into_iter().filter(|number| *number > noted.last) {
            self.directory.remove(number);
        }
        Ok(())
    }

    /// What is noted now, for [`Self::undo`].
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn noted(&self) -> Result<Noted, HistoryError> {
        Ok(Noted { state: self.state.clone(), last: self.directory.numbers()?.last().copied().unwrap_or(0) })
    }

    /// Number of the policy in force; 0 when none was kept.
    #[must_use]
    pub fn in_force(&self) -> u64 {
        self.state.in_force
    }

    /// The trial of what is in force.
    #[must_use]
    pub fn trial(&self) -> Option<Trial> {
        self.state.trial
    }

    /// The policies that are kept, the oldest first.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, HistoryError> {
        let entry = |number| match self.directory.entry(number) {
            Ok(entry) => Some(entry),
            Err(error) => {
                tracing::warn!(%error, "a policy that was kept cannot be read");
                None
            }
        };
        Ok(self.directory.numbers()?.into_iter().filter_map(entry).collect())
    }

    /// Keeps texts, unless they are those of what is in force. Gives back their number.
    fn keep_texts(&self, config: &Path, texts: &Texts, now: SystemTime) -> Result<u64, HistoryError> {
        let in_force = self.state.in_force;
        if in_force > 0 && self.directory.entry(in_force).is_ok_and(|entry| entry.texts == *texts) {
            return Ok(in_force);
        }
        let number = self.directory.numbers()?.last().copied().unwrap_or(0).max(in_force) + 1;
        let entry = Entry {
            schema: ENTRY_SCHEMA.to_owned(),
            number,
            before: self.last_kept(),
            since: humantime::format_rfc3339_seconds(now).to_string(),
            config: config.to_owned(),
            texts: texts.clone(),
        };
        self.directory.put_entry(&entry)?;
        Ok(number)
    }

    /// Notes a state, on disk too where that is possible.
    fn note(&mut self, state: State) {
        if let Err(error) = self.write(state.clone()) {
            tracing::error!(%error, "what is in force is not noted: a daemon that starts would not know of it");
            (self.state, self.is_noted) = (state, false);
        }
    }

    fn write(&mut self, state: State) -> Result<(), HistoryError> {
        self.directory.put_state(&state)?;
        (self.state, self.is_noted) = (state, true);
        Ok(())
    }

    /// Removes the oldest beyond those that are to be kept. What cannot be removed stays.
    fn remove_old(&self) {
        let State { in_force, gone_back_from, trial, .. } = self.state;
        let before = self.directory.entry(in_force).ok().and_then(|entry| entry.before);
        let needed = [Some(in_force), before, gone_back_from, trial.map(|trial| trial.fallback)];
        let Ok(numbers) = self.directory.numbers() else { return };
        let excess = numbers.len().saturating_sub(self.keep);
        for number in numbers.into_iter().filter(|number| !needed.contains(&Some(*number))).take(excess) {
            self.directory.remove(number);
        }
    }
}

/// What was noted at a moment.
#[derive(Clone, Debug)]
pub struct Noted {
    state: State,
    /// Number of the last policy that is kept.
    last: u64,
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
