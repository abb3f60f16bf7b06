//! Owns the store: opens it, writes what comes, and says what became of it.

use std::sync::mpsc::{Receiver, Sender};
use std::time::SystemTime;

use super::chain;
use crate::store::{Denial, DeniedByGroup, Outcome, Store, StoreError, StoreSettings, StoreStats};

/// Denials for the store, and where it says what became of them. None: nothing is to be written, old files may go.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) denials: Vec<Denial>,
    pub(super) reply: Sender<Report>,
}

/// What became of a batch, and how the store stands.
#[derive(Debug)]
pub(super) struct Report {
    /// What became of the batch; or what is wrong, for people.
    pub(super) outcome: Result<Outcome, String>,
    /// Why nothing is written at the moment, with [`Outcome::Paused`].
    pub(super) pause: Option<String>,
    pub(super) stats: StoreStats,
    /// What was written so far, by group.
    pub(super) denied: DeniedByGroup,
    /// Bytes that the files take.
    pub(super) bytes: u64,
}

/// The owner of the store.
#[derive(Debug)]
pub(super) struct Keeper {
    settings: StoreSettings,
    /// None: it could not be opened yet.
    store: Option<Store>,
    problem: Option<String>,
}

impl Keeper {
    /// Of a store that is opened with the first batch.
    pub(super) const fn new(settings: StoreSettings) -> Self {
        Self { settings, store: None, problem: None }
    }

    /// Writes until no more batches can come.
    pub(super) fn run(mut self, batches: &Receiver<Batch>) {
        for Batch { denials, reply } in batches {
            let report = self.report(&denials);
            // Who handed it over may no longer wait for it.
            drop(reply.send(report));
        }
    }

    fn report(&mut self, denials: &[Denial]) -> Report {
        let outcome = self.write(denials, SystemTime::now()).map_err(|error| chain(&error));
        let problem = outcome.as_ref().err();
        if self.problem.as_ref() != problem {
            match problem {
                Some(problem) => tracing::error!(%problem, "the store cannot be written; the kernel keeps the totals"),
                None => tracing::info!("the store can be written again"),
            }
            self.problem = problem.cloned();
        }
        let (stats, denied, bytes) = match &self.store {
            Some(store) => (store.stats(), store.denied().clone(), store.bytes().unwrap_or_default()),
            None => (StoreStats::default(), DeniedByGroup::default(), 0),
        };
        let pause = self.store.as_ref().and_then(|store| store.pause_reason().map(str::to_owned));
        Report { outcome, pause, stats, denied, bytes }
    }

    fn write(&mut self, denials: &[Denial], now: SystemTime) -> Result<Outcome, StoreError> {
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(Store::open(self.settings.clone())?),
        };
        if denials.is_empty() {
            store.tidy(now);
            return Ok(Outcome::Written);
        }
        store.ingest(denials, now)
    }
}
