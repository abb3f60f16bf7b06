//! The thread of a sink: takes records out of its queue, delivers them, and waits when that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use super::backoff::Backoff;
use super::{Batch, Item, Output, SinkCounts};

pub(super) struct Worker {
    items: Receiver<Item>,
    /// Disconnected when the sink is to end.
    stopped: Receiver<()>,
    output: Box<dyn Output>,
    counts: Arc<SinkCounts>,
    rotate: Arc<AtomicBool>,
    backoff: Backoff,
}

impl Worker {
    pub(super) fn new(
        (items, stopped): (Receiver<Item>, Receiver<()>),
        output: Box<dyn Output>,
        counts: Arc<SinkCounts>,
        rotate: Arc<AtomicBool>,
    ) -> Self {
        Self { items, stopped, output, counts, rotate, backoff: Backoff::new() }
    }

    /// Works until the sink is to end and its queue is empty, or cannot be emptied.
    pub(super) fn run(mut self) {
        let mut batch = Batch::new(Arc::clone(&self.counts));
        while let Ok(first) = self.items.recv() {
            let waiting = self.items.try_iter().take(Batch::MOST - 1);
            for item in std::iter::once(first).chain(waiting) {
                match item {
                    Item::Record(record) => batch.push(record),
                    Item::Wake => {}
                }
            }
            if self.rotate.swap(false, Ordering::AcqRel) {
                self.output.rotate();
            }
            if !self.deliver(&mut batch) {
                self.counts.lose_what_waits();
                return;
            }
        }
    }

    /// Delivers a batch, however long that takes; false when it was given up, for the sink is to end.
    fn deliver(&mut self, batch: &mut Batch) -> bool {
        let mut is_last = false;
        while !batch.is_empty() {
            let before = batch.len();
            let delivered = self.output.deliver(batch);
            if batch.len() < before {
                self.backoff.reset();
            }
            match delivered {
                Ok(()) => self.tell_success(),
                Err(_) if is_last => return false,
                Err(error) => {
                    self.tell_failure(&error);
                    let wait = self.stopped.recv_timeout(self.backoff.wait());
                    // One more try: it may work by now.
                    is_last = wait == Err(RecvTimeoutError::Disconnected);
                }
            }
        }
        true
    }

    fn tell_success(&self) {
        if self.counts.set_failure(None) {
            let state = self.counts.state();
            tracing::info!(sink = state.sink, lost = state.lost, "sink works again");
        }
    }

    fn tell_failure(&self, error: &std::io::Error) {
        if self.counts.set_failure(Some(error.to_string())) {
            let sink = self.counts.name();
            tracing::warn!(sink, %error, "sink does not work: records wait, as many as its queue holds");
        }
    }
}
