//! IP datagrams that come in fragments, put together, bounded; the held first ones wait here for the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use etherparse::IpNumber;
use etherparse::defrag::IpDefragBuf;

use super::frame::Fragment;
use super::{Heard, HeldFrame};
use crate::reconcile::Moment;

/// Datagrams that are kept.
const MAX_DATAGRAMS: usize = 256;
/// Fragments of one datagram: more than 64 KB take at the smallest size that IPv4 allows for a link.
const MAX_FRAGMENTS: usize = 256;
/// How long a datagram may take: what the slowest resolver has sent is then either here or lost.
const AGE: Duration = Duration::from_secs(5);

/// Which datagram: port, device, resolver, identification, and protocol where that counts.
type Key = (u32, (IpAddr, IpAddr), u32, Option<IpNumber>);

/// What came of a fragment.
#[derive(Debug)]
pub(super) enum Added {
    /// Others are missing.
    Waits,
    /// The datagram is whole: its payload, and the frames that waited.
    Whole(Vec<u8>, Vec<HeldFrame>),
    /// It does not fit the others: the frames that waited.
    Broken(Vec<HeldFrame>),
}

#[derive(Debug)]
struct Datagram {
    buffer: IpDefragBuf,
    fragments: usize,
    frames: Vec<HeldFrame>,
    since: Moment,
}

/// The datagrams that are not whole.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    datagrams: HashMap<Key, Datagram>,
}

impl Fragments {
    /// Takes up a fragment.
    pub(super) fn add(
        &mut self,
        (ifindex, between): (u32, (IpAddr, IpAddr)),
        fragment: &Fragment<'_>,
        (frames, at): (Vec<HeldFrame>, Moment),
    ) -> Added {
        // Over IPv6 the fragments may differ in it (RFC 8200 section 4.5).
        let protocol = between.0.is_ipv4().then_some(fragment.protocol);
        let key = (ifindex, between, fragment.identification, protocol);
        let mut datagram = self.datagrams.remove(&key).unwrap_or_else(|| Datagram {
            buffer: IpDefragBuf::new(fragment.protocol, Vec::new(), Vec::new()),
            fragments: 0,
            frames: Vec::new(),
            since: at,
        });
        datagram.fragments += 1;
        datagram.frames.extend(frames);
        let added = datagram.buffer.add(fragment.offset, fragment.more, fragment.bytes);
        if added.is_err() || datagram.fragments > MAX_FRAGMENTS {
            return Added::Broken(datagram.frames);
        }
        if datagram.buffer.is_complete() {
            return Added::Whole(datagram.buffer.take_bufs().0, datagram.frames);
        }
        self.datagrams.insert(key, datagram);
        Added::Waits
    }

    /// Forgets what takes too long, and the oldest where there are too many.
    pub(super) fn sweep(&mut self, now: Moment, heard: &mut Heard) {
        if self.datagrams.values().any(|datagram| now.since(datagram.since) > AGE) {
            let aged = self.datagrams.extract_if(|_, datagram| now.since(datagram.since) > AGE);
            for (_, datagram) in aged {
                heard.lost += 1;
                heard.given_up.extend(datagram.frames);
            }
        }
        while self.datagrams.len() >= MAX_DATAGRAMS {
            let oldest = self.datagrams.iter().min_by_key(|(_, datagram)| datagram.since).map(|(key, _)| *key);
            let Some(datagram) = oldest.and_then(|key| self.datagrams.remove(&key)) else { return };
            heard.lost += 1;
            heard.given_up.extend(datagram.frames);
        }
    }

    /// Held fragments that can wait no longer; their datagrams may still become whole.
    pub(super) fn overdue(&mut self, now: Moment, limit: impl Fn(u32) -> Duration) -> Vec<HeldFrame> {
        let each = self.datagrams.values_mut();
        each.flat_map(|datagram| datagram.frames.extract_if(.., |frame| frame.at + limit(frame.group) <= now)).collect()
    }

    /// When the next of them can wait no longer.
    pub(super) fn next_due(&self, limit: impl Fn(u32) -> Duration) -> Option<Moment> {
        let frames = self.datagrams.values().flat_map(|datagram| &datagram.frames);
        frames.map(|frame| frame.at + limit(frame.group)).min()
    }
}

#[cfg(test)]
impl Fragments {
    /// How many there are.
    pub(super) fn size(&self) -> usize {
        self.datagrams.len()
    }
}
