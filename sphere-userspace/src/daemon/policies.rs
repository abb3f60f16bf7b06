//! Which policy is in force: what the files say, what was gone back to, or what is on trial.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Settings;
use super::core::Core;
use super::news::tell_warnings;
use super::reload::Read;
use super::run::chain;
use crate::datapath::Datapath;
use crate::history::{Beginning, Entry, History, HistoryError};
use crate::policy::{self, Difference, Policy, PolicyErrors, Texts};

/// How long until a policy that could not be gone back to is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Permissions that are told of each kind and group; how many there are is told in any case.
const MOST_TOLD: usize = 1000;

/// How the policy is to be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Go back after so many milliseconds, unless it is confirmed.
    #[serde(default)]
    pub confirm_ms: Option<u64>,
}

/// What came of another policy: schema `sphere.reload/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    schema: String,
    /// Whether it is in force now.
    pub applied: bool,
    /// Its number, when it is in force and kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub number: Option<u64>,
    /// Milliseconds until it is gone back from, unless it is confirmed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trial_ms: Option<u64>,
    /// Milliseconds that the tables took.
    pub took_ms: u64,
    /// What newly passes and newly fails.
    pub difference: Difference,
    /// What is worth a word.
    pub warnings: Vec<String>,
    /// Why the old one stays; without any, the new one is valid.
    pub errors: Vec<String>,
}

impl Reloaded {
    fn new(difference: Difference) -> Self {
        Self {
            schema: "sphere.reload/1".to_owned(),
            applied: false,
            number: None,
            trial_ms: None,
            took_ms: 0,
            difference,
            warnings: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn refused(errors: Vec<String>) -> Self {
        Self { errors, ..Self::new(Difference::default()) }
    }
}

/// A policy that is kept: an element of schema `sphere.policies/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPolicy {
    /// Its number.
    pub number: u64,
    /// When it was put in force first (RFC 3339).
    pub since: String,
    /// The policy file.
    pub config: PathBuf,
    /// Whether it is in force.
    pub in_force: bool,
    /// Milliseconds until it is gone back from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trial_ms: Option<u64>,
}

/// What is kept, and what is on trial.
#[derive(Debug)]
pub(super) struct Policies {
    config: PathBuf,
    /// Or why nothing is kept.
    history: Result<History, String>,
    /// When the trial of what is in force ends.
    trial_ends: Option<Instant>,
    /// What the files say, until it is in force.
    begins: Option<Texts>,
    /// Number of the policy that is kept and began in place of what the files say.
    kept: Option<u64>,
    /// Where they are kept.
    place: PathBuf,
}

impl Policies {
    /// Finds out which policy begins, where the files say this one.
    ///
    /// # Errors
    ///
    /// What is wrong with the files, when nothing that is kept is to begin in their place.
    pub(super) fn open(
        settings: &Settings,
        read: Result<(Policy, Texts), PolicyErrors>,
    ) -> Result<(Self, Policy), PolicyErrors> {
        let daemon = match &read {
            Ok((policy, _)) => policy.daemon.clone(),
            Err(errors) => errors.daemon(),
        };
        let mut history = History::open(&daemon.history_of(&settings.pin_root), daemon.keep_policies);
        let now = SystemTime::now();
        let beginning = match (&mut history, &read) {
            (Ok(history), read) => history.begin(read.as_ref().ok().map(|(_, texts)| texts), now),
            (Err(_), _) => Ok(Beginning::Files),
        };
        let mut policies = Self {
            config: settings.config.clone(),
            place: daemon.history_of(&settings.pin_root),
            history: history.map_err(|error| unkept(&error)),
            trial_ends: None,
            begins: None,
            kept: None,
        };
        let begun = match beginning {
            Ok(Beginning::Files) => None,
            Ok(Beginning::GoneBack(entry)) => {
                let number = entry.number;
                let config = policies.config.display();
                tracing::warn!(number, %config, "the file says what was gone back from: the kept policy stays in force");
                policies.read(&entry)
            }
            Ok(Beginning::OnTrial(entry, trial)) => {
                let (number, left) = (entry.number, trial.left(SystemTime::now()));
                tracing::warn!(number, ?left, "the policy is on trial until it is confirmed");
                policies.trial_ends = Some(Instant::now() + left);
                policies.read(&entry)
            }
            Ok(Beginning::TrialEnded(entry)) => {
                let number = entry.number;
                tracing::warn!(number, "a trial ended without being confirmed: the policy before it begins");
                policies.read(&entry)
            }
            Err(error) => {
                policies.history = Err(unkept(&error));
                None
            }
        };
        match (begun, read) {
            (Some((number, policy)), read) => {
                for error in read.err().iter().flat_map(said) {
                    tracing::error!("{error}");
                }
                policies.kept = Some(number);
                Ok((policies, policy))
            }
            (None, Ok((policy, texts))) => {
                policies.begins = Some(texts);
                Ok((policies, policy))
            }
            (None, Err(errors)) => Err(errors),
        }
    }

    /// What to say of an error that keeps the policy from beginning which is kept: the file does not have it.
    pub(super) fn about_begin(&self) -> String {
        match self.kept {
            Some(number) => format!(
                "policy {number} is to begin, which was gone back to and is kept in {}; nothing was changed. Mend what is \
                 wrong, or change {} and remove that directory",
                self.place.display(),
                self.config.display()
            ),
            None => "nothing was changed".to_owned(),
        }
    }

    /// Notes that the policy that begins is in force.
    pub(super) fn begun(&mut self) {
        if let Some(texts) = self.begins.take() {
            self.keep(&texts);
        }
    }

    /// When the trial of what is in force ends.
    pub(super) const fn trial_ends(&self) -> Option<Instant> {
        self.trial_ends
    }

    /// Puts the policy in force that was read again; the old one stays when that is not possible. The two are compared for
    /// who asked and says how; a signal has nobody who reads on.
    pub(super) fn take_over<D: Datapath>(
        &mut self,
        read: Read,
        core: &mut Core<D>,
        asked: Option<Reading>,
    ) -> Reloaded {
        let how = asked.unwrap_or_default();
        let read = read.unwrap_or_else(|| Err(vec!["reading the policy failed: the log says more".to_owned()]));
        let (policy, texts) = match read {
            Ok(read) => read,
            Err(errors) if how.dry_run => return Reloaded::refused(errors),
            Err(errors) => return refused(core, errors),
        };
        let difference = asked.map(|_| difference(core.policy(), &policy)).unwrap_or_default();
        let mut reloaded = Reloaded::new(difference);
        reloaded.warnings = policy.warnings.iter().map(ToString::to_string).collect();
        if how.dry_run {
            return reloaded;
        }
        match self.replace(core, policy, (&texts, how.confirm_ms.map(Duration::from_millis))) {
            Ok(took_ms) => {
                let mut reloaded = self.applied(reloaded, took_ms);
                if how.confirm_ms.is_some() && reloaded.trial_ms.is_none() {
                    let words = "nothing differs from what is in force: there is nothing to try, and no trial began";
                    reloaded.warnings.push(words.to_owned());
                }
                reloaded
            }
            Err(error) => refused(core, vec![error]),
        }
    }

    /// Goes back to a policy that is kept.
    pub(super) fn go_back<D: Datapath>(&mut self, core: &mut Core<D>, to: Option<u64>) -> Reloaded {
        let gone = self.history.as_mut().map_err(|why| why.clone()).and_then(|history| {
            let noted = history.noted().map_err(|error| error.to_string())?;
            let entry = history.go_back(to).map_err(|error| error.to_string())?;
            let begun = Instant::now();
            let policy = policy::load_kept(&entry.config, &entry.texts).map_err(|errors| said(&errors).join("\n"));
            let done = policy.and_then(|policy| {
                let reloaded = Reloaded::new(difference(core.policy(), &policy));
                core.reload(policy).map(|()| reloaded).map_err(|error| chain(&error))
            });
            if done.is_err() {
                history.undo(noted).map_err(|error| error.to_string())?;
            }
            done.map(|reloaded| (reloaded, millis(begun.elapsed())))
        });
        match gone {
            Ok((reloaded, took_ms)) => {
                self.trial_ends = None;
                core.loads.load(SystemTime::now());
                self.applied(reloaded, took_ms)
            }
            Err(error) => Reloaded::refused(vec![error]),
        }
    }

    /// Ends a trial that nobody confirmed.
    pub(super) fn end_trial<D: Datapath>(&mut self, core: &mut Core<D>) {
        let reloaded = self.go_back(core, None);
        if reloaded.applied {
            let number = reloaded.number;
            tracing::warn!(number, "the policy was not confirmed in time: the one before it is in force again");
        } else {
            for error in &reloaded.errors {
                tracing::error!(error, "the policy was not confirmed in time, and could not be gone back from");
            }
            self.trial_ends = Some(Instant::now() + AGAIN);
        }
    }

    /// Ends a trial: what is in force stays. Gives back its number.
    pub(super) fn confirm(&mut self) -> Result<u64, String> {
        let number = self.history.as_mut().map_err(|why| why.clone())?.confirm().map_err(|error| error.to_string())?;
        self.trial_ends = None;
        tracing::info!(number, "the policy is confirmed");
        Ok(number)
    }

    /// What is kept, the oldest first.
    pub(super) fn kept(&self) -> Result<Vec<KeptPolicy>, String> {
        let history = self.history.as_ref().map_err(Clone::clone)?;
        let trial_ms = history.trial().map(|trial| millis(trial.left(SystemTime::now())));
        let kept = |entry: Entry| {
            let in_force = entry.number == history.in_force();
            let Entry { number, since, config, .. } = entry;
            KeptPolicy { number, since, config, in_force, trial_ms: trial_ms.filter(|_| in_force) }
        };
        Ok(history.entries().map_err(|error| error.to_string())?.into_iter().map(kept).collect())
    }

    /// Puts a policy in force that was read from these texts; gives back the milliseconds that took.
    fn replace<D: Datapath>(
        &mut self,
        core: &mut Core<D>,
        policy: Policy,
        (texts, trial): (&Texts, Option<Duration>),
    ) -> Result<u64, String> {
        let told = |error: HistoryError| error.to_string();
        // Before it is in force: who is killed in between goes back all the same.
        let noted = match (&mut self.history, trial) {
            (Ok(history), Some(span)) => {
                let noted = history.noted().map_err(told)?;
                history.try_out(&self.config, texts, (SystemTime::now(), span)).map_err(told)?;
                Some(noted)
            }
            (Ok(history), None) if history.trial().is_some() => return Err(told(HistoryError::OnTrial)),
            (Err(why), Some(_)) => return Err(why.clone()),
            (Ok(_) | Err(_), None) => None,
        };
        let begun = Instant::now();
        if let Err(error) = core.reload(policy) {
            if let (Ok(history), Some(noted)) = (&mut self.history, noted) {
                history.undo(noted).map_err(told)?;
            }
            return Err(chain(&error));
        }
        let took_ms = millis(begun.elapsed());
        core.loads.load(SystemTime::now());
        tell_warnings(core.policy());
        if trial.is_none() {
            self.keep(texts);
        }
        self.trial_ends = self
            .history
            .as_ref()
            .ok()
            .and_then(History::trial)
            .map(|trial| Instant::now() + trial.left(SystemTime::now()));
        Ok(took_ms)
    }

    fn applied(&self, reloaded: Reloaded, took_ms: u64) -> Reloaded {
        let history = self.history.as_ref().ok();
        let number = history.map(History::in_force).filter(|number| *number > 0);
        let trial_ms = self.trial_ends.map(|ends| millis(ends.saturating_duration_since(Instant::now())));
        let mut reloaded = Reloaded { applied: true, number, trial_ms, took_ms, ..reloaded };
        match &self.history {
            Err(why) => reloaded.warnings.push(why.clone()),
            Ok(history) if number.is_none() || !history.is_noted() => {
                let place = self.place.display();
                reloaded.warnings.push(format!("what is in force could not be noted in {place}: the log says why"));
            }
            Ok(_) => {}
        }
        reloaded
    }

    /// Keeps what is in force. That it cannot be kept is told, and changes nothing else.
    fn keep(&mut self, texts: &Texts) {
        if let Ok(history) = &mut self.history
            && let Err(error) = history.take_up(&self.config, texts, SystemTime::now())
        {
            tracing::warn!(%error, "the policy in force is not kept: one cannot go back to it");
        }
    }

    /// A policy that was kept; [`None`] when this program cannot read it any more.
    fn read(&self, entry: &Entry) -> Option<(u64, Policy)> {
        policy::load_kept(&entry.config, &entry.texts)
            .map(|policy| (entry.number, policy))
            .inspect_err(|errors| {
                for error in said(errors) {
                    tracing::error!(number = entry.number, error, "the kept policy cannot be read: the file begins");
                }
            })
            .ok()
    }
}

/// What differs, in words that a person can read through.
fn difference(old: &Policy, new: &Policy) -> Difference {
    Difference::between(old, new).shortened(MOST_TOLD)
}

/// Why nothing is kept, told once.
fn unkept(error: &HistoryError) -> String {
    tracing::warn!(%error, "policies are not kept: one cannot go back");
    format!("policies are not kept: {error}")
}

/// Counts and tells that a policy was refused.
fn refused<D>(core: &mut Core<D>, errors: Vec<String>) -> Reloaded {
    core.loads.refuse();
    for error in &errors {
        tracing::error!("{error}");
    }
    tracing::error!("the old policy stays in force");
    Reloaded::refused(errors)
}

/// Everything that is wrong, each as it is shown.
pub(super) fn said(errors: &PolicyErrors) -> Vec<String> {
    errors.diagnostics().iter().map(ToString::to_string).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
