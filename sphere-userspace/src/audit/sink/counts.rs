//! What became of the records of one sink.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Counters of one sink, written by its thread and by whoever hands it records.
#[derive(Debug)]
pub struct SinkCounts {
    name: String,
    /// Records that may wait.
    room: usize,
    offered: AtomicU64,
    delivered: AtomicU64,
    lost: AtomicU64,
    /// Why it does not work now. Held for a moment only, by threads that may wait.
    failure: Mutex<Option<String>>,
}

/// A sink at one moment, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkState {
    /// Kind and place.
    pub sink: String,
    /// Records that were delivered.
    pub delivered: u64,
    /// Records that wait.
    pub waiting: u64,
    /// Records that may wait in the queue.
    #[serde(default)]
    pub room: usize,
    /// Records that were lost: there was no room for them, the receiver refused them, or the daemon ended.
    pub lost: u64,
    /// Why it does not work, while it does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<String>,
}

impl SinkCounts {
    pub(super) fn new(name: String, room: usize) -> Self {
        let [offered, delivered, lost] = [0; 3].map(AtomicU64::new);
        Self { name, room, offered, delivered, lost, failure: Mutex::new(None) }
    }

    /// Kind and place of the sink.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The counters now. Each record is in one of them, or about to be.
    #[must_use]
    pub fn state(&self) -> SinkState {
        // In this order, for what is offered meanwhile must not seem to be less than what became of it.
        let delivered = self.delivered.load(Ordering::Acquire);
        let lost = self.lost.load(Ordering::Acquire);
        let offered = self.offered.load(Ordering::Acquire);
        SinkState {
            sink: self.name.clone(),
            delivered,
            waiting: offered.saturating_sub(delivered + lost),
            room: self.room,
            lost,
            failure: self.failure.lock().map_or(None, |failure| failure.clone()),
        }
    }

    pub(super) fn offer(&self) {
        self.offered.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn deliver(&self, records: u64) {
        self.delivered.fetch_add(records, Ordering::AcqRel);
    }

    pub(super) fn lose(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::AcqRel);
    }

    /// Gives up what waits.
    pub(super) fn lose_what_waits(&self) {
        let waiting = self.state().waiting;
        self.lose(waiting);
    }

    /// Says that the sink works, or why not; gives back whether that is news.
    pub(super) fn set_failure(&self, failure: Option<String>) -> bool {
        let fails = failure.is_some();
        self.failure.lock().is_ok_and(|mut known| std::mem::replace(&mut *known, failure).is_some() != fails)
    }
}
