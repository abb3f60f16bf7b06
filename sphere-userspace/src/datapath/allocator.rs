//! Keeps the C library's allocator small. It is here because nothing outside the data plane's directory is unsafe.

/// Arenas that threads share. Without a bound each thread gets one of its own, and what it frees serves no other: under a
/// flood that is a tenth of the daemon's memory.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Bounds the number of arenas (mallopt(3)); to be called before there are threads.
pub fn share_arenas() {
    // SAFETY: it only sets a number that the allocator reads.
    #[cfg(target_env = "gnu")]
    if unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) } == 0 {
        tracing::debug!("the allocator keeps an arena for each thread");
    }
}
