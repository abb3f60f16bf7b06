//! Denials that are alike become two lines: the first is told at once, what follows it within a window is told as one
//! when the window ends.
//!
//! Pure: the shell says what time it is. Invariant: the counts of everything that is told add up to the samples taken,
//! whatever their order; at most `MOST` windows are open at a time, and the oldest ends early for a new one.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use sphere_common::abi::Event;

use super::Summary;

/// Windows that are open at a time. A scan opens one for each port that it tries.
const MOST: usize = 4096;

/// The open windows.
#[derive(Debug)]
pub struct Digest {
    window: Duration,
    open: HashMap<Likeness, Option<Summary>>,
    /// The same windows, in the order in which they end.
    ends: VecDeque<(Duration, Likeness)>,
}

/// What denials must have in common to be told in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Likeness {
    group: u32,
    verdict: u8,
    reason: u8,
    direction: u8,
    protocol: u8,
    device: [u8; 16],
    peer: [u8; 16],
    peer_port_be: [u8; 2],
}

impl From<&Event> for Likeness {
    fn from(event: &Event) -> Self {
        let Event { group, verdict, reason, direction, protocol, device, peer, peer_port_be, .. } = *event;
        Self { group, verdict, reason, direction, protocol, device, peer, peer_port_be }
    }
}

impl Digest {
    /// Tells what follows within `window` as one; a window of zero tells every sample.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { window, open: HashMap::new(), ends: VecDeque::new() }
    }

    /// Takes a sample. `now` never goes back.
    pub fn take(&mut self, event: &Event, now: Duration, mut tell: impl FnMut(Summary)) {
        if self.window.is_zero() {
            return tell(Summary::of(event));
        }
        self.close(now, &mut tell);
        let likeness = Likeness::from(event);
        match self.open.get_mut(&likeness) {
            Some(Some(summary)) => summary.add(event),
            Some(nothing) => *nothing = Some(Summary::of(event)),
            None => {
                if self.ends.len() >= MOST {
                    self.close_oldest(&mut tell);
                }
                tell(Summary::of(event));
                self.open.insert(likeness, None);
                self.ends.push_back((now + self.window, likeness));
            }
        }
    }

    /// Tells what windows have gathered that are over.
    pub fn close(&mut self, now: Duration, mut tell: impl FnMut(Summary)) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            self.close_oldest(&mut tell);
        }
    }

    /// Tells what is left.
    pub fn finish(mut self, mut tell: impl FnMut(Summary)) {
        while !self.ends.is_empty() {
            self.close_oldest(&mut tell);
        }
    }

    fn close_oldest(&mut self, tell: &mut impl FnMut(Summary)) {
        let oldest = self.ends.pop_front().and_then(|(_, likeness)| self.open.remove(&likeness));
        if let Some(Some(summary)) = oldest {
            tell(summary);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::FromZeros as _;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn event(device: u32, second: u64) -> Event {
        let mut event = Event::new_zeroed();
        event.device[12..].copy_from_slice(&device.to_be_bytes());
        event.monotonic_ns = second * 1_000_000_000;
        event.frame_bytes = 100;
        event
    }

    #[test]
    fn a_thousand_like_denials_are_two_lines() {
        let (mut digest, mut told) = (Digest::new(WINDOW), Vec::new());
        for _ in 0..1_000 {
            digest.take(&event(1, 1), Duration::from_secs(1), |summary| told.push(summary.count));
        }
        assert_eq!(told, [1]);
        digest.close(Duration::from_secs(10), |summary| told.push(summary.count));
        assert_eq!(told, [1], "the window is not over");
        digest.close(Duration::from_secs(11), |summary| told.push(summary.count));
        assert_eq!(told, [1, 999]);
        digest.take(&event(1, 12), Duration::from_secs(12), |summary| told.push(summary.count));
        assert_eq!(told, [1, 999, 1], "the next one is told at once again");
        digest.finish(|summary| told.push(summary.count));
        assert_eq!(told, [1, 999, 1]);
    }

    #[test]
    fn what_differs_in_its_device_is_told_apart() {
        let (mut digest, mut told) = (Digest::new(WINDOW), 0);
        for device in 0..5 {
            digest.take(&event(device, 1), Duration::from_secs(1), |_| told += 1);
        }
        assert_eq!(told, 5);
    }

    #[test]
    fn without_a_window_every_sample_is_a_line() {
        let (mut digest, mut told) = (Digest::new(Duration::ZERO), 0);
        for _ in 0..5 {
            digest.take(&event(1, 1), Duration::from_secs(1), |_| told += 1);
        }
        assert_eq!(told, 5);
    }

    #[test]
    fn windows_are_bounded_and_what_the_oldest_gathered_is_told() {
        let (mut digest, mut told) = (Digest::new(WINDOW), 0);
        let devices = u32::try_from(MOST).unwrap_or(u32::MAX) * 3;
        for device in 0..devices {
            for _ in 0..2 {
                digest.take(&event(device, 1), Duration::from_secs(1), |summary| told += summary.count);
                assert!(digest.open.len() <= MOST && digest.ends.len() == digest.open.len());
            }
        }
        digest.finish(|summary| told += summary.count);
        assert_eq!(told, u64::from(devices) * 2);
    }

    proptest! {
        #[test]
        fn counts_and_bytes_of_what_is_told_add_up(
            steps in prop::collection::vec((0..20_u32, 0..5_u64, any::<u8>()), 0..500),
            window in 0..30_u64,
        ) {
            let mut digest = Digest::new(Duration::from_secs(window));
            let (mut now, mut count, mut bytes, mut fed) = (0, 0, 0, 0);
            let mut add = |summary: Summary| {
                assert!(summary.first_ns <= summary.last_ns);
                count += summary.count;
                bytes += summary.bytes;
            };
            for (device, later, size) in &steps {
                now += later;
                let sample = Event { frame_bytes: u32::from(*size), ..event(*device, now) };
                digest.take(&sample, Duration::from_secs(now), &mut add);
                fed += u64::from(*size);
            }
            digest.finish(&mut add);
            prop_assert_eq!((count, bytes), (steps.len() as u64, fed));
        }
    }
}
