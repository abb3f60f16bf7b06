//! The kernel's two clocks, read together: from them the daemon learns the tick rate.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::assert_size;

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Clock {
    /// `bpf_jiffies64`. It starts at 2^32 - 300 s worth of ticks at boot (`INITIAL_JIFFIES`).
    pub jiffies: u64,
    /// `bpf_ktime_get_ns`: nanoseconds of the monotonic clock.
    pub monotonic_ns: u64,
}
assert_size!(Clock, 16);
