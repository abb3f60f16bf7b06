//! The monotonic clock of user space, and waiting for programs that are running now.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::reconcile::Moment;

/// Now.
#[must_use]
pub fn now() -> Moment {
    Moment::new(clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from))
}

/// Returns when every BPF program that was running has ended.
///
/// `MEMBARRIER_CMD_GLOBAL` waits for an RCU grace period (kernel/sched/membarrier.c), and programs are RCU readers.
pub(super) fn wait_for_programs() {
    const GLOBAL: libc::c_long = 1;
    // SAFETY: the call takes no pointers.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0_u32, 0_i32) };
    if result != 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether the kernel was told by an NTP client that its clock is right (adjtimex(2): the clock's state is `TIME_ERROR` as long
/// as `STA_UNSYNC` is set).
///
/// # Errors
///
/// When the kernel does not say.
pub fn is_synchronized() -> std::io::Result<bool> {
    // SAFETY: all zeroes is a valid `timex`, with `modes` 0: nothing is changed.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a `timex` that outlives the call.
    match unsafe { libc::adjtimex(&raw mut state) } {
        libc::TIME_ERROR => Ok(false),
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(true),
    }
}
