//! The kernel's tick rate, which nothing reports to user space: found from two readings of its two clocks.
//!
//! `jiffies` starts at 2^32 - 300 s worth of ticks at boot (`INITIAL_JIFFIES`, include/linux/jiffies.h), so one reading
//! next to the monotonic clock tells the rate among the usual ones, except around five minutes after boot, when all of
//! them agree. Then, and for other rates, two readings some time apart decide.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use sphere_common::abi::{self, Clock as Reading};

use super::error::DatapathError;
use super::maps::Maps;
use super::{config, sys};
use crate::reconcile::{Clock, Moment};

/// Rates that kernels are built with.
const RATES: [u32; 4] = [100, 250, 300, 1000];
const NANOS: u64 = 1_000_000_000;

/// How far apart two readings must be to tell the usual rates from each other.
const APART: Duration = Duration::from_millis(250);

/// The programs' ticks, which have the offset of the configuration in force, next to the monotonic clock.
pub(super) fn now(program: BorrowedFd<'_>, maps: &Maps, rate: u32) -> Result<Clock, DatapathError> {
    let reading = read(program, maps)?;
    Ok(Clock {
        ticks_per_second: rate,
        anchor: Moment::new(Duration::from_nanos(reading.monotonic_ns)),
        anchor_ticks: reading.jiffies.wrapping_add(config::in_force(maps)?.clock_offset),
    })
}

/// Reads both clocks.
fn read(program: BorrowedFd<'_>, maps: &Maps) -> Result<Reading, DatapathError> {
    sys::test_run(program).map_err(|source| DatapathError::Map {
        map: abi::map::CLOCK,
        operation: "test run",
        source,
    })?;
    Ok(maps.clock.lookup(&0)?.unwrap_or_default())
}

/// The tick rate: as the configuration in force says (same boot, same kernel), else found.
pub(super) fn find_rate(program: BorrowedFd<'_>, maps: &Maps) -> Result<u32, DatapathError> {
    let known = config::in_force(maps)?.ticks_per_second;
    if known > 0 {
        return Ok(known);
    }
    let first = read(program, maps)?;
    if let Some(rate) = rate_from_boot(first) {
        return Ok(rate);
    }
    std::thread::sleep(APART);
    let second = read(program, maps)?;
    rate_between(first, second).ok_or_else(|| DatapathError::Clock { detail: format!("{first:?}, then {second:?}") })
}

/// The rate that one reading allows, when only one does.
#[must_use]
fn rate_from_boot(reading: Reading) -> Option<u32> {
    let error = |rate: u32| {
        let start = (1_u64 << 32) - 300 * u64::from(rate);
        let ticks = reading.jiffies.wrapping_sub(start).cast_signed();
        // Nanoseconds since boot as this rate would have it, against what the monotonic clock says.
        let since_boot = i128::from(ticks) * i128::from(NANOS) / i128::from(rate);
        (since_boot - i128::from(reading.monotonic_ns)).unsigned_abs()
    };
    // The two clocks start within a second of each other and drift apart by less than 1 in 1,000.
    let tolerance = u128::from(NANOS + reading.monotonic_ns / 1_000);
    let mut fitting = RATES.into_iter().filter(|rate| error(*rate) <= tolerance);
    let rate = fitting.next()?;
    fitting.next().is_none().then_some(rate)
}

/// The rate that two readings tell: a usual one when one is near, else what was measured.
#[must_use]
fn rate_between(first: Reading, second: Reading) -> Option<u32> {
    let nanos = second.monotonic_ns.checked_sub(first.monotonic_ns).filter(|nanos| *nanos > 0)?;
    let ticks = second.jiffies.checked_sub(first.jiffies).filter(|ticks| *ticks > 0)?;
    let measured = u32::try_from(u128::from(ticks) * u128::from(NANOS) / u128::from(nanos)).ok()?;
    let usual = RATES.into_iter().min_by_key(|rate| rate.abs_diff(measured))?;
    // Both ends of the interval are off by up to one tick.
    let tolerance = usual / 100 + u32::try_from(2 * NANOS / nanos).unwrap_or(u32::MAX).saturating_add(1);
    Some(if usual.abs_diff(measured) <= tolerance { usual } else { measured })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn reading(rate: u32, uptime: f64) -> Reading {
        let jiffies = (1_u64 << 32) - 300 * u64::from(rate) + (uptime * f64::from(rate)) as u64;
        Reading { jiffies, monotonic_ns: (uptime * 1e9) as u64 }
    }

    #[test]
    fn one_reading_tells_the_usual_rates() {
        for rate in RATES {
            for uptime in [1.5, 4.0, 60.0, 250.0, 330.0, 3_600.0, 1e6, 1e8] {
                assert_eq!(rate_from_boot(reading(rate, uptime)), Some(rate), "{rate} at {uptime}");
            }
        }
    }

    #[test]
    fn five_minutes_after_boot_one_reading_tells_nothing() {
        assert_eq!(rate_from_boot(reading(250, 300.1)), None);
    }

    #[test]
    fn two_readings_tell_usual_and_odd_rates() {
        for rate in [100, 250, 300, 1000, 24, 512] {
            let first = reading(rate, 299.87);
            let second = reading(rate, 299.87 + APART.as_secs_f64());
            let found = rate_between(first, second).unwrap();
            assert!(found.abs_diff(rate) <= 8, "{rate} was taken for {found}");
        }
        assert_eq!(rate_between(reading(250, 300.0), reading(250, 300.0)), None);
    }
}
