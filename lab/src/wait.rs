//! Waiting for a condition, with a deadline: the only place of the lab that sleeps.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(3);

/// Looks at `condition` until it yields something, for at most `limit`.
///
/// # Errors
/// Names `what` when the limit passes first.
pub fn until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = condition() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        thread::sleep(PAUSE);
    }
}

/// Calls `step` with the round's number once per `period`, until it answers `false`.
///
/// Rounds that are late follow at once, so that the average rate holds.
pub fn every(period: Duration, mut step: impl FnMut(u64) -> bool) {
    let started = Instant::now();
    for round in 0_u64.. {
        if !step(round) {
            return;
        }
        let due = started + period * u32::try_from(round + 1).unwrap_or(u32::MAX);
        if let Some(rest) = due.checked_duration_since(Instant::now()) {
            thread::sleep(rest);
        }
    }
}
