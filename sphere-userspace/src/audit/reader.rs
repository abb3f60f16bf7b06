//! Reads samples as the kernel sends them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sphere_common::abi::Event;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use zerocopy::FromBytes;

use super::{Directory, Record, Sinks, WallClock};
use crate::datapath::{DatapathError, Ring, monotonic};

/// How long a sample may wait. The programs wake nobody for a few samples, which keeps the deny path cheap; they do
/// when the ring fills.
const LOOK: Duration = Duration::from_millis(100);

/// Reads until cancelled, and once more what waits then.
///
/// # Errors
///
/// When the ring cannot be polled.
pub async fn read_events(
    mut ring: Ring,
    directory: Arc<Directory>,
    sinks: Sinks,
    cancel: CancellationToken,
) -> Result<Sinks, DatapathError> {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ended = tokio::select! {
            ready = ring.readable() => {
                ready?;
                false
            }
            _ = look.tick() => false,
            () = cancel.cancelled() => true,
        };
        drain(&mut ring, &directory, &sinks);
        if ended {
            return Ok(sinks);
        }
        // Leaves the thread to others even while samples keep coming.
        tokio::task::yield_now().await;
    }
}

/// Takes what waits in the ring, at most some thousands at a time.
fn drain(ring: &mut Ring, directory: &Directory, sinks: &Sinks) {
    let clock = WallClock::new(SystemTime::now(), monotonic::now().since_zero());
    ring.drain(|bytes| {
        let record = Event::read_from_prefix(bytes).ok().and_then(|(event, _)| Record::new(&event, directory, clock));
        match record.as_ref().map(Record::line) {
            Some(Ok(line)) => sinks.send(&line.into()),
            Some(Err(error)) => tracing::warn!(%error, "record cannot be written as JSON"),
            None => tracing::warn!(bytes = bytes.len(), "sample of another version of the programs"),
        }
    });
}
