//! Exact totals.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::assert_size;
use crate::verdict::{Direction, Reason, Verdict};

/// Packets and bytes (frame length, without the frame check sequence).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}
assert_size!(Counter, 16);

/// Reasons there is room for, in each direction and verdict.
const REASON_SLOTS: u32 = 64;
/// Verdicts there is room for.
const VERDICT_SLOTS: u32 = 4;
/// Entries of the counter array.
pub const COUNTER_SLOTS: u32 = 2 * VERDICT_SLOTS * REASON_SLOTS;

/// Where the total of a direction, verdict and reason stands in the counter array; below [`COUNTER_SLOTS`].
#[must_use]
#[inline(always)]
pub const fn counter_index(direction: Direction, verdict: Verdict, reason: Reason) -> u32 {
    (direction as u32 * VERDICT_SLOTS + verdict as u32) * REASON_SLOTS + (reason as u32 & (REASON_SLOTS - 1))
}
