//! Every TCP connection that answers come over, bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::stream::{Brought, Segment, Stream};
use crate::reconcile::Moment;

/// Streams that are kept.
const MAX_STREAMS: usize = 1024;
/// Bytes that they may keep together.
const MAX_BYTES: usize = 32 << 20;
/// How long a stream is kept that does not come further.
const IDLE: Duration = Duration::from_secs(60);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Interface index of the device port.
    pub(super) ifindex: u32,
    /// The device.
    pub(super) device: IpAddr,
    /// The resolver.
    pub(super) resolver: IpAddr,
    /// Port of the device.
    pub(super) device_port: u16,
}

/// What a segment brought.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    /// Messages that it is a part of.
    pub(super) brought: Brought,
    /// Streams that were given up for it in the middle of a message.
    pub(super) lost: u64,
}

/// The streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: HashMap<Key, Stream>,
    bytes: usize,
    looked: Moment,
}

impl Streams {
    /// Takes up a segment.
    pub(super) fn push(&mut self, key: Key, segment: Segment<'_>, now: Moment) -> Pushed {
        let mut pushed = Pushed::default();
        let mut stream = self.take(&key).unwrap_or_else(|| Stream::new(now));
        if stream.is_foreign(segment, now) {
            pushed.lost += u64::from(stream.is_pending());
            stream = Stream::new(now);
        }
        pushed.brought = stream.push(segment, now);
        while self.streams.len() >= MAX_STREAMS || self.bytes + stream.bytes() > MAX_BYTES {
            let Some(idlest) = self.streams.iter().min_by_key(|(_, stream)| stream.progressed) else { break };
            let idlest = *idlest.0;
            pushed.lost += u64::from(self.take(&idlest).is_some_and(|stream| stream.is_pending()));
        }
        self.bytes += stream.bytes();
        self.streams.insert(key, stream);
        pushed
    }

    /// Forgets what does not come further; gives back how many streams that were in the middle of a message.
    pub(super) fn sweep(&mut self, now: Moment) -> u64 {
        if now.since(self.looked) < LOOK {
            return 0;
        }
        self.looked = now;
        let idle = self.streams.iter().filter(|(_, stream)| now.since(stream.progressed) > IDLE);
        let idle: Vec<Key> = idle.map(|(key, _)| *key).collect();
        let taken = idle.iter().filter_map(|key| self.take(key));
        taken.map(|stream| u64::from(stream.is_pending())).sum()
    }

    fn take(&mut self, key: &Key) -> Option<Stream> {
        let stream = self.streams.remove(key)?;
        self.bytes -= stream.bytes();
        Some(stream)
    }
}

#[cfg(test)]
impl Streams {
    /// How many there are, and the bytes that they keep.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.streams.len(), self.streams.values().map(Stream::bytes).sum())
    }
}
