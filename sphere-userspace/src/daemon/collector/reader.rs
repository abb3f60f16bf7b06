//! Which accounts the store has not heard of yet, and which are over.

use std::time::Duration;

use sphere_common::abi::Ticks;

use crate::datapath::{Account, Accounts, DatapathError};
use crate::reconcile::Clock;

/// An account without a packet for so long is over.
const IDLE: Duration = Duration::from_secs(60);
/// How long a program may take from looking at its clock until it has entered a packet: less by far, but the machine
/// that it runs on may itself be stopped for a while.
const SLACK: Duration = Duration::from_secs(1);

/// Where the accounts are.
pub(super) trait Source {
    /// What can go wrong.
    type Error: std::error::Error + 'static;

    /// The kernel's ticks next to the monotonic clock.
    fn clock(&self) -> Result<Clock, Self::Error>;

    /// Denied packets in all.
    fn denied(&self) -> Result<u64, Self::Error>;

    /// Shows every account.
    fn visit(&self, show: impl FnMut(&Account)) -> Result<(), Self::Error>;

    /// Closes accounts, and gives back what they held in the end.
    fn close(&self, idle: &[Account]) -> (Vec<Account>, Result<(), Self::Error>);
}

impl Source for Accounts {
    type Error = DatapathError;

    fn clock(&self) -> Result<Clock, DatapathError> {
        self.clock()
    }

    fn denied(&self) -> Result<u64, DatapathError> {
        self.denied()
    }

    fn visit(&self, show: impl FnMut(&Account)) -> Result<(), DatapathError> {
        self.visit(show)
    }

    fn close(&self, idle: &[Account]) -> (Vec<Account>, Result<(), DatapathError>) {
        self.close(idle)
    }
}

/// What one look at the accounts found.
#[derive(Debug)]
pub(super) struct Reading {
    /// The clock at its beginning.
    pub(super) clock: Clock,
    /// What the store has not heard of.
    pub(super) due: Vec<Account>,
    /// Accounts that are open.
    pub(super) open: u64,
    /// Those that are over.
    idle: Vec<Account>,
    /// Denied packets in all at its beginning.
    denied: u64,
    /// When the next account is over, if no more packets come.
    over: Ticks,
}

/// Reads the accounts.
#[derive(Debug)]
pub(super) struct Reader<S> {
    source: S,
    /// Accounts without a packet since are in the store as they are.
    settled: Ticks,
    /// Denied packets in all when a reading found nothing due. A reading that finds something says nothing: a packet is
    /// counted before it is entered into its account.
    quiet: Option<u64>,
    /// When the next account is over.
    over: Ticks,
}

impl<S: Source> Reader<S> {
    /// One that has read nothing: everything is due.
    pub(super) const fn new(source: S) -> Self {
        Self { source, settled: 0, quiet: None, over: 0 }
    }

    /// The kernel's ticks next to the monotonic clock.
    pub(super) fn clock(&self) -> Result<Clock, S::Error> {
        self.source.clock()
    }

    /// Reads the accounts; [`None`] when nothing has changed.
    pub(super) fn read(&self) -> Result<Option<Reading>, S::Error> {
        // First, so that what comes meanwhile is read the next time.
        let denied = self.source.denied()?;
        let clock = self.source.clock()?;
        let now = clock.anchor_ticks;
        if self.quiet == Some(denied) && now < self.over {
            return Ok(None);
        }
        let lifetime = u64::from(clock.ticks_for(IDLE));
        let mut reading = Reading { clock, due: Vec::new(), open: 0, idle: Vec::new(), denied, over: Ticks::MAX };
        self.source.visit(|account| {
            reading.open += 1;
            if account.value.last >= self.settled {
                reading.due.push(*account);
            }
            let over = account.value.last.saturating_add(lifetime);
            if over <= now {
                reading.idle.push(*account);
            } else {
                reading.over = reading.over.min(over);
            }
        })?;
        Ok(Some(reading))
    }

    /// Takes note that the store has everything of a reading, and closes the accounts that are over. Gives back what
    /// they held in the end, which the store has to have as well.
    pub(super) fn settle(&mut self, reading: &Reading) -> (Vec<Account>, Result<(), S::Error>) {
        let slack = u64::from(reading.clock.ticks_for(SLACK));
        self.settled = reading.clock.anchor_ticks.saturating_sub(slack);
        self.quiet = reading.due.is_empty().then_some(reading.denied);
        self.over = reading.over;
        let (closed, result) = self.source.close(&reading.idle);
        if result.is_err() {
            self.over = 0;
        }
        (closed, result)
    }
}
