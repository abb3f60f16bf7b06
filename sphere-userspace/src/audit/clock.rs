//! Moments of the kernel's clock as moments of the day.

use std::time::{Duration, SystemTime};

/// What the monotonic clock's zero is on the wall clock, as of one moment.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    zero: SystemTime,
}

impl WallClock {
    /// From two readings taken together.
    #[must_use]
    pub fn new(wall: SystemTime, monotonic: Duration) -> Self {
        Self { zero: wall.checked_sub(monotonic).unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    /// Wall-clock time of a monotonic one.
    #[must_use]
    pub fn at(&self, monotonic: Duration) -> SystemTime {
        self.zero.checked_add(monotonic).unwrap_or(self.zero)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_begins_before_the_epoch_is_no_panic() {
        let clock = WallClock::new(SystemTime::UNIX_EPOCH, Duration::from_secs(u64::MAX));
        assert_eq!(clock.at(Duration::MAX), SystemTime::UNIX_EPOCH);
    }
}
