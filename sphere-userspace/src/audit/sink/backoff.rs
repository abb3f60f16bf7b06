//! How long a sink that failed is left alone.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(8);

/// Waits that double, each cut by a random part of up to a half: sinks of many gateways that lost one receiver do not
/// return to it at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    random: RandomState,
    drawn: u64,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST, random: RandomState::new(), drawn: 0 }
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(LONGEST);
        self.drawn += 1;
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(self.drawn);
        let [part, ..] = hasher.finish().to_ne_bytes();
        full - full / 2 * u32::from(part) / u32::from(u8::MAX)
    }

    /// It worked: the next failure is the first again.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::new();
        let waits: Vec<Duration> = (0..100).map(|_| backoff.wait()).collect();
        assert!((FIRST / 2..=FIRST).contains(&waits[0]), "{waits:?}");
        assert!(waits[50..].iter().all(|wait| (LONGEST / 2..=LONGEST).contains(wait)), "{waits:?}");
        let different: BTreeSet<_> = waits[50..].iter().collect();
        assert!(different.len() > 10, "{waits:?}");
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }
}
