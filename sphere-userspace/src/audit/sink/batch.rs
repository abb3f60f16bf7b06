//! Records on their way out of a sink.

use std::collections::VecDeque;
use std::sync::Arc;

use super::SinkCounts;
use crate::audit::Record;

/// Records that are delivered together, the oldest first.
#[derive(Debug)]
pub(super) struct Batch {
    records: VecDeque<Arc<Record>>,
    counts: Arc<SinkCounts>,
}

impl Batch {
    /// Records that are delivered together at most.
    pub(super) const MOST: usize = 128;

    pub(super) fn new(counts: Arc<SinkCounts>) -> Self {
        Self { records: VecDeque::with_capacity(Self::MOST), counts }
    }

    pub(super) fn push(&mut self, record: Arc<Record>) {
        self.records.push_back(record);
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().map(AsRef::as_ref)
    }

    pub(super) fn first(&self) -> Option<Arc<Record>> {
        self.records.front().cloned()
    }

    /// Takes away the oldest, which were delivered.
    pub(super) fn delivered(&mut self, records: usize) {
        let records = self.take(records);
        self.counts.deliver(records);
    }

    /// Takes away the oldest, which never will be.
    pub(super) fn lost(&mut self, records: usize) {
        let records = self.take(records);
        self.counts.lose(records);
    }

    fn take(&mut self, records: usize) -> u64 {
        self.records.drain(..records.min(self.records.len())).count() as u64
    }
}
