//! Time as the kernel tables know it: monotonic moments, and the ticks that stand for them.
//!
//! Wall-clock time never appears here: expiry must survive a boot at 1970 and a clock that jumps.

use std::{ops::Add, time::Duration};

use sphere_common::abi::{NEVER, Ticks};

/// A moment of the monotonic clock (`CLOCK_MONOTONIC`), as the time since its zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The moment that is `since_zero` after the clock's zero.
    #[must_use]
    pub const fn new(since_zero: Duration) -> Self {
        Self(since_zero)
    }

    /// Time since the clock's zero.
    #[must_use]
    pub const fn since_zero(self) -> Duration {
        self.0
    }

    /// Time since an earlier moment; zero when it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment that was `duration` ago; the clock's zero when that is before it.
    #[must_use]
    pub const fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// How moments and kernel ticks go together: one pair read at the same time, and the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Ticks per second of `bpf_jiffies64`; not zero.
    pub ticks_per_second: u32,
    /// A moment.
    pub anchor: Moment,
    /// The kernel's ticks at that moment, the configured offset included.
    pub anchor_ticks: Ticks,
}

impl Clock {
    /// The first tick that is not before the moment; never [`NEVER`].
    #[must_use]
    pub fn ticks_at(&self, moment: Moment) -> Ticks {
        let ahead = self.ticks_in(moment.since(self.anchor), u128::div_ceil);
        let behind = self.ticks_in(self.anchor.since(moment), |nanos, unit| nanos / unit);
        self.anchor_ticks.saturating_add(ahead).saturating_sub(behind).min(NEVER - 1)
    }

    /// The moment of a tick.
    #[must_use]
    pub fn moment_of(&self, ticks: Ticks) -> Moment {
        let ahead = self.duration_of(ticks.saturating_sub(self.anchor_ticks));
        let behind = self.duration_of(self.anchor_ticks.saturating_sub(ticks));
        (self.anchor + ahead).before(behind)
    }

    /// Ticks of a duration, rounded up, at most what a table field of 32 bits holds.
    #[must_use]
    pub fn ticks_for(&self, duration: Duration) -> u32 {
        u32::try_from(self.ticks_in(duration, u128::div_ceil)).unwrap_or(u32::MAX)
    }

    fn ticks_in(&self, duration: Duration, divide: impl Fn(u128, u128) -> u128) -> Ticks {
        let scaled = duration.as_nanos().saturating_mul(u128::from(self.ticks_per_second));
        Ticks::try_from(divide(scaled, NANOS_PER_SECOND)).unwrap_or(Ticks::MAX)
    }

    fn duration_of(&self, ticks: Ticks) -> Duration {
        let rate = u64::from(self.ticks_per_second.max(1));
        let nanos = u128::from(ticks % rate) * NANOS_PER_SECOND / u128::from(rate);
        Duration::from_secs(ticks / rate) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ticks_and_moments_go_both_ways(
            rate in 1_u32..=10_000,
            anchor in 0_u64..1 << 40,
            anchor_ticks in 0_u64..1 << 60,
            ticks in 0_u64..1 << 60,
        ) {
            let clock = Clock {
                ticks_per_second: rate,
                anchor: Moment::new(Duration::from_secs(1 << 62) + Duration::from_millis(anchor)),
                anchor_ticks,
            };
            let there = clock.ticks_at(clock.moment_of(ticks));
            prop_assert!(there.abs_diff(ticks) <= 1, "{ticks} became {there}");
        }

        #[test]
        fn a_later_moment_never_has_an_earlier_tick(a in 0_u64..1 << 50, b in 0_u64..1 << 50, rate in 1_u32..2_000) {
            let clock = Clock {
                ticks_per_second: rate,
                anchor: Moment::new(Duration::from_nanos(1 << 49)),
                anchor_ticks: 1 << 40,
            };
            let (early, late) = (a.min(b), a.max(b));
            let tick = |nanos| clock.ticks_at(Moment::new(Duration::from_nanos(nanos)));
            prop_assert!(tick(early) <= tick(late));
        }
    }

    #[test]
    fn a_far_moment_is_not_never() {
        let clock = Clock { ticks_per_second: 250, anchor: Moment::default(), anchor_ticks: 0 };
        assert_eq!(clock.ticks_at(Moment::new(Duration::MAX)), NEVER - 1);
    }
}
