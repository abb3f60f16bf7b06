//! Reads samples as the kernel sends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sphere_common::abi::Event;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use zerocopy::FromBytes;

use super::{Digest, Directory, Record, Sinks, Summary, WallClock};
use crate::datapath::{DatapathError, Ring, monotonic};

/// How long a sample may wait. The programs wake nobody for a few samples, which keeps the deny path cheap; they do
/// when the ring fills.
const LOOK: Duration = Duration::from_millis(100);

/// Where samples go.
#[derive(Debug)]
pub struct Teller {
    /// What makes many like denials one.
    pub digest: Digest,
    /// The names of numbers and addresses.
    pub directory: Arc<Directory>,
    /// Where records are written.
    pub sinks: Sinks,
    /// Says that the operator wants new files.
    pub rotate: Arc<Notify>,
    /// Samples that could not be read, since programs of another version had sent them.
    pub unreadable: Arc<AtomicU64>,
}

/// Reads until cancelled, and once more what waits then.
///
/// # Errors
///
/// When the ring cannot be polled.
pub async fn read_events(
    mut ring: Ring,
    mut teller: Teller,
    cancel: CancellationToken,
) -> Result<Sinks, DatapathError> {
    let rotate = Arc::clone(&teller.rotate);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ended = tokio::select! {
            ready = ring.readable() => {
                ready?;
                false
            }
            _ = look.tick() => false,
            () = rotate.notified() => {
                teller.sinks.rotate();
                false
            }
            () = cancel.cancelled() => true,
        };
        teller.drain(&mut ring);
        if ended {
            return Ok(teller.finish());
        }
        // Leaves the thread to others even while samples keep coming.
        tokio::task::yield_now().await;
    }
}

impl Teller {
    /// Takes what waits in the ring, at most some thousands at a time.
    fn drain(&mut self, ring: &mut Ring) {
        let Self { digest, directory, sinks, unreadable, .. } = self;
        let (now, clock) = now();
        let mut tell = |summary: Summary| tell(&summary, (directory, sinks), clock, unreadable);
        ring.drain(|bytes| match Event::read_from_prefix(bytes) {
            Ok((event, _)) => digest.take(&event, now, &mut tell),
            Err(_) => {
                unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(bytes = bytes.len(), "sample of another version of the programs");
            }
        });
        digest.close(now, tell);
    }

    /// Tells what has been gathered.
    fn finish(self) -> Sinks {
        let Self { digest, directory, sinks, unreadable, .. } = self;
        let (_, clock) = now();
        digest.finish(|summary| tell(&summary, (&directory, &sinks), clock, &unreadable));
        sinks
    }
}

fn now() -> (Duration, WallClock) {
    let monotonic = monotonic::now().since_zero();
    (monotonic, WallClock::new(SystemTime::now(), monotonic))
}

fn tell(summary: &Summary, (directory, sinks): (&Directory, &Sinks), clock: WallClock, unreadable: &AtomicU64) {
    match Record::new(summary, directory, clock) {
        Some(record) => sinks.send(&Arc::new(record)),
        None => {
            unreadable.fetch_add(summary.count, Ordering::Relaxed);
            tracing::warn!(reason = summary.event.reason, "sample of another version of the programs");
        }
    }
}
