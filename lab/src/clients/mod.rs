//! The real clients of a device, and what an attempt with one of them shows.

pub mod asker;
pub mod dhcp;
pub mod dial;
pub mod dns;
pub mod http;
pub mod mqtt;
pub mod ntp;
pub mod websocket;

use std::path::Path;
use std::time::Duration;

use crate::process::Finished;

/// How long a client that should get through may take.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// How long a client that should not get through is given before it is ended.
pub const DENIED_PATIENCE: Duration = Duration::from_secs(1);

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Whether the client got what it asked for, verified.
    pub succeeded: bool,
    /// What it got, or its complaint.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
}

impl Attempt {
    /// Judges a client: it must end well, and `verify` must find in its output what was asked for.
    #[must_use]
    pub fn judge(done: &Finished, verify: impl FnOnce(&Finished) -> Option<String>) -> Self {
        let found = if done.succeeded() { verify(done) } else { None };
        let succeeded = found.is_some();
        let detail = found.unwrap_or_else(|| {
            if done.succeeded() { format!("unexpected answer: {}", done.stdout.trim()) } else { done.complaint() }
        });
        Self { succeeded, detail, took: done.took }
    }
}

/// What every client with TLS needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The root certificate of the lab.
    pub root: &'a Path,
    /// How long the client may take.
    pub limit: Duration,
}
