//! The daemon's control socket: a Unix socket beside its lock, for root only.
//!
//! One connection is one request: a line of JSON, `{"version":1,"ask":"names"}`, answered by a line of JSON, then the
//! connection ends. Enforcement depends on none of it: who does not get an answer reads the pins.

mod client;
mod server;

use serde::{Deserialize, Serialize};

pub use client::{ControlError, ask};
pub use server::{Answer, Call, Listener};

use crate::daemon::Reading;

/// Version of the requests and their answers.
const VERSION: u32 = 1;
/// Longest request in bytes.
const MAX_REQUEST: u64 = 64 * 1024;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Everything known of names: a [`crate::names::View`].
    Names,
    /// Where devices stand: a [`crate::ladder::Ladder`].
    Ladder,
    /// How the account of denials on disk stands: a [`crate::daemon::StoreState`].
    Store,
    /// What became of records: a list of [`crate::audit::SinkState`].
    Sinks,
    /// To read the policy again: a [`crate::daemon::Reloaded`].
    Reload(Reading),
    /// To go back to a policy, by its number or to the one before: a [`crate::daemon::Reloaded`].
    Rollback {
        /// Its number.
        #[serde(default)]
        to: Option<u64>,
    },
    /// To end a trial: `{"number":N}`.
    Confirm,
    /// The policies that are kept: a list of [`crate::daemon::KeptPolicy`].
    Policies,
}

/// A request as it is sent.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope {
    version: u32,
    #[serde(flatten)]
    request: Request,
}

/// An answer as it is sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reply<T> {
    /// What was asked for.
    Done(T),
    /// Why there is none.
    Refused(String),
}
