//! Brings the kernel's account of denials to disk.
//!
//! Place in the data flow: accounts of the kernel → [`Reader`] (which the store has not heard of yet) → denials with the
//! names of the moment → a bounded queue → [`Keeper`], who owns the store. Two threads of their own: whatever the disk
//! does, neither enforcement nor any other task waits for it.
//!
//! Invariant: an account is closed only when the store has its totals. Totals are absolute, so whatever is not written
//! is handed over again; nothing is lost on the way, and nothing is counted twice.

mod keeper;
mod naming;
mod reader;
mod state;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::keeper::{Batch, Keeper, Report};
use self::naming::{Naming, Times};
use self::reader::{Reader, Source};
pub use self::state::{StoreStanding, StoreState};
use super::core::Core;
use super::run::{chain, spawn};
use crate::audit::Directory;
use crate::datapath::{Account, Kernel, monotonic};
use crate::ladder::Shared;
use crate::reconcile::Clock;
use crate::store::Outcome;

/// How often the accounts are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait after something failed.
const AGAIN: Duration = Duration::from_secs(5);
/// How often old files are looked for when there is nothing to write.
const TIDY: Duration = Duration::from_secs(60);
/// Accounts that are handed over together.
const BATCH: usize = 2048;
/// Batches that wait for the store.
const QUEUE: usize = 4;

/// Starts collecting; gives back where to see how it stands. Without it enforcement goes on.
pub(super) fn start(
    core: &Core<Kernel>,
    directory: &Arc<Directory>,
    tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
    cancel: &CancellationToken,
) -> watch::Receiver<StoreState> {
    let settings = &core.policy().store;
    let (teller, state) = watch::channel(StoreState::new(&settings.directory));
    if !settings.enabled {
        teller.send_modify(|state| state.standing = StoreStanding::Off);
        return state;
    }
    let naming = Naming::new(Arc::clone(directory)).map_err(|error| chain(&error));
    let ready = naming.and_then(|naming| Ok((naming, core.datapath().accounts().map_err(|error| chain(&error))?)));
    let (naming, accounts) = match ready {
        Ok(ready) => ready,
        Err(problem) => {
            tracing::error!(%problem, "denials are not kept on disk");
            teller.send_modify(|state| state.fail(problem));
            return state;
        }
    };
    if let Err(error) = accounts.recount() {
        tracing::warn!(error = %chain(&error), "the room of devices for accounts stays as it was");
    }
    let (queue, batches) = sync_channel(QUEUE);
    let keeper = Keeper::new(settings.clone());
    spawn(tasks, "store", async move { Ok(spawn_blocking(move || keeper.run(&batches)).await?) });
    let collector = Collector::new(accounts, naming, queue, teller).telling(core.ladder().clone());
    let cancel = cancel.clone();
    spawn(tasks, "accounts of denials", async move { Ok(spawn_blocking(move || collector.run(&cancel)).await?) });
    state
}

/// Reads the accounts, and hands them to the store.
#[derive(Debug)]
struct Collector<S> {
    reader: Reader<S>,
    naming: Naming,
    queue: SyncSender<Batch>,
    /// Accounts that were closed, and whose last totals the store does not have yet.
    closed: Vec<Account>,
    tidied: Instant,
    teller: watch::Sender<StoreState>,
    /// Who is told of closed accounts.
    ladder: Shared,
}

impl<S: Source> Collector<S> {
    fn new(source: S, naming: Naming, queue: SyncSender<Batch>, teller: watch::Sender<StoreState>) -> Self {
        Self {
            reader: Reader::new(source),
            naming,
            queue,
            closed: Vec::new(),
            tidied: Instant::now(),
            teller,
            ladder: Shared::default(),
        }
    }

    /// Tells somebody of closed accounts.
    fn telling(self, ladder: Shared) -> Self {
        Self { ladder, ..self }
    }

    /// Collects until cancelled, and once more. To be called within the runtime, from a thread that may wait.
    fn run(mut self, cancel: &CancellationToken) {
        let runtime = Handle::current();
        let mut wait = LOOK;
        loop {
            let is_over = runtime.block_on(async { timeout(wait, cancel.cancelled()).await.is_ok() });
            wait = if self.round() { LOOK } else { AGAIN };
            if is_over {
                return;
            }
        }
    }

    /// Looks at the accounts once; says whether the store has all of them.
    fn round(&mut self) -> bool {
        let done = self.collect();
        match &done {
            Ok(true) => self.teller.send_modify(StoreState::complete),
            Ok(false) => {}
            Err(error) => {
                let problem = chain(error);
                if self.teller.borrow().problem.as_ref() != Some(&problem) {
                    tracing::error!(%problem, "the accounts of denials cannot be read");
                }
                self.teller.send_modify(|state| state.fail(problem));
            }
        }
        done.unwrap_or(false)
    }

    fn collect(&mut self) -> Result<bool, S::Error> {
        if !self.closed.is_empty() {
            let (clock, closed) = (self.reader.clock()?, std::mem::take(&mut self.closed));
            if !self.hand_over(&closed, &clock) {
                self.closed = closed;
                return Ok(false);
            }
        }
        let Some(reading) = self.reader.read()? else {
            return Ok(self.tidied.elapsed() < TIDY || self.tidy());
        };
        self.teller.send_modify(|state| state.open_accounts = reading.open);
        if !self.hand_over(&reading.due, &reading.clock) {
            return Ok(false);
        }
        let (closed, result) = self.reader.settle(&reading);
        self.teller.send_modify(|state| state.closed_accounts += closed.len() as u64);
        self.ladder.with(|ladder| ladder.close(&closed));
        // A packet may have come between reading and closing.
        if !self.hand_over(&closed, &reading.clock) {
            self.closed = closed;
            return Ok(false);
        }
        result.map(|()| true)
    }

    /// Hands accounts over; says whether the store has all of them.
    fn hand_over(&mut self, accounts: &[Account], clock: &Clock) -> bool {
        let times = Times::new(clock, SystemTime::now(), monotonic::now());
        let (reply, reports) = channel();
        let mut left = 0;
        for some in accounts.chunks(BATCH) {
            let denials = some.iter().filter_map(|account| self.naming.denial(account, &times)).collect();
            if !self.send(Batch { denials, reply: reply.clone() }) {
                return false;
            }
            left += 1;
            while let Ok(report) = reports.try_recv() {
                if !self.take_up(report) {
                    return false;
                }
                left -= 1;
            }
        }
        drop(reply);
        let unreadable = self.naming.unreadable();
        self.teller.send_modify(|state| state.unreadable = unreadable);
        self.wait_for(&reports, left)
    }

    /// Takes up so many reports; says whether all came and everything is written.
    fn wait_for(&self, reports: &Receiver<Report>, mut left: usize) -> bool {
        for report in reports {
            if !self.take_up(report) {
                return false;
            }
            left -= 1;
        }
        left == 0
    }

    /// Waits for room in the queue; false when the store is gone.
    fn send(&self, batch: Batch) -> bool {
        match self.queue.try_send(batch) {
            Ok(()) => true,
            Err(TrySendError::Full(batch)) => {
                self.teller.send_modify(|state| state.waits += 1);
                self.queue.send(batch).is_ok()
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// Has old files removed.
    fn tidy(&mut self) -> bool {
        self.tidied = Instant::now();
        let (reply, reports) = channel();
        self.send(Batch { denials: Vec::new(), reply }) && self.wait_for(&reports, 1)
    }

    /// Tells how the store stands; says whether it has written.
    fn take_up(&self, report: Report) -> bool {
        let is_written = matches!(report.outcome, Ok(Outcome::Written));
        self.teller.send_modify(|state| state.take_up(report));
        is_written
    }
}

#[cfg(test)]
mod tests;
