//! Where records go. Each sink has a thread and a bounded queue of its own: one that stalls, fails or is slow holds up
//! nobody else. What a sink cannot take now is kept as far as its queue reaches, and delivered when it works again; what
//! comes beyond is lost, and counted.

mod backoff;
mod batch;
mod channel;
mod counts;
mod file;
mod journald;
mod otlp;
mod stdout;
mod syslog;
mod tls;
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

pub use counts::{SinkCounts, SinkState};

use super::Record;
use crate::policy::{SinkSettings, SinkTarget};
use batch::Batch;
use worker::Worker;

/// Something that takes records.
trait Output: Send {
    /// Delivers the records of a batch, as many as can be, and takes those away. After a failure it is called again with
    /// the same batch, less what it took away.
    fn deliver(&mut self, batch: &mut Batch) -> io::Result<()>;

    /// The operator asks for new files.
    fn rotate(&mut self) {}
}

/// Every sink.
#[derive(Debug, Default)]
pub struct Sinks {
    sinks: Vec<Sink>,
}

#[derive(Debug)]
struct Sink {
    queue: SyncSender<Item>,
    counts: Arc<SinkCounts>,
    /// The operator asked for new files.
    rotate: Arc<AtomicBool>,
    /// Dropped, it ends the waiting of a sink that is broken.
    _stop: SyncSender<()>,
    ended: Receiver<()>,
}

/// What waits for a sink.
#[derive(Debug)]
enum Item {
    Record(Arc<Record>),
    /// Something else happened: to be looked at.
    Wake,
}

impl Sinks {
    /// Starts the sinks of a policy.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started. (What cannot be opened or reached is tried again and again.)
    pub fn start(wanted: &[SinkSettings]) -> io::Result<Self> {
        let sinks = wanted.iter().map(|settings| Sink::start(settings, output(&settings.target)));
        Ok(Self { sinks: sinks.collect::<Result<_, _>>()? })
    }

    /// Hands a record to every sink; never waits.
    pub fn send(&self, record: &Arc<Record>) {
        for sink in &self.sinks {
            sink.counts.offer();
            match sink.queue.try_send(Item::Record(Arc::clone(record))) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => sink.counts.lose(1),
            }
        }
    }

    /// What became of the records, by sink; to be read at any time.
    #[must_use]
    pub fn counts(&self) -> Vec<Arc<SinkCounts>> {
        self.sinks.iter().map(|sink| Arc::clone(&sink.counts)).collect()
    }

    /// Files with `keep` are put aside, others opened anew.
    pub fn rotate(&self) {
        for sink in &self.sinks {
            sink.rotate.store(true, Ordering::Release);
            // With a full queue the sink has something to do, and will see it.
            drop(sink.queue.try_send(Item::Wake));
        }
    }

    /// Ends the sinks, giving what waits in their queues until the deadline to get out. What does not is lost. Gives back
    /// what became of all records.
    pub fn drain(self, deadline: Duration) -> Vec<SinkState> {
        let until = Instant::now() + deadline;
        let ends: Vec<_> = self.sinks.into_iter().map(|sink| (sink.ended, sink.counts)).collect();
        let wait = |(end, counts): (Receiver<()>, Arc<SinkCounts>)| {
            // Disconnected: the thread has ended. A thread that hangs in a write is left to the end of the process.
            match end.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
                Err(RecvTimeoutError::Timeout) => counts.lose_what_waits(),
            }
            counts.state()
        };
        ends.into_iter().map(wait).collect()
    }
}

fn output(target: &SinkTarget) -> Box<dyn Output> {
    match target {
        SinkTarget::Stdout => Box::new(stdout::Stdout),
        SinkTarget::File(settings) => Box::new(file::Rotating::new(settings.clone())),
        SinkTarget::Journald { socket } => Box::new(journald::Journald::new(socket.clone())),
        SinkTarget::Syslog { server, tls } => Box::new(syslog::Syslog::new(server.clone(), tls.clone())),
        SinkTarget::Otlp { url, tls, authorization } => {
            Box::new(otlp::Otlp::new(url.clone(), tls.clone(), authorization.clone()))
        }
    }
}

impl Sink {
    fn start(settings: &SinkSettings, output: Box<dyn Output>) -> io::Result<Self> {
        let (queue, items) = sync_channel(settings.queue);
        let (stop, stopped) = sync_channel(0);
        let (end, ended) = sync_channel(0);
        let counts = Arc::new(SinkCounts::new(settings.target.to_string(), settings.queue));
        let rotate = Arc::new(AtomicBool::new(false));
        let worker = Worker::new((items, stopped), output, Arc::clone(&counts), Arc::clone(&rotate));
        std::thread::Builder::new().name("sink".to_owned()).spawn(move || {
            worker.run();
            drop(end);
        })?;
        Ok(Self { queue, counts, rotate, _stop: stop, ended })
    }
}

#[cfg(test)]
mod tests;
