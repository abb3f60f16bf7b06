//! What can go wrong with the policies that are kept.

use std::io;
use std::path::PathBuf;

/// Why a policy cannot be kept or gone back to.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The directory or a file in it.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is none of these.
    #[error("{} cannot be read: {why}; remove it to go on without", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another daemon has it.
    #[error("{} is where another daemon keeps its policies: name another directory as `history` in [daemon]", .0.display())]
    Shared(PathBuf),
    /// There is no such policy.
    #[error("no policy {0} is kept: `sphere rollback --list` shows those that are")]
    Absent(u64),
    /// It is in force.
    #[error("policy {0} is in force already")]
    InForce(u64),
    /// There is none to go back to.
    #[error("no policy is kept from before the one in force")]
    NothingBefore,
    /// One at a time.
    #[error("a policy is on trial: end that with `sphere confirm` or `sphere rollback` first")]
    OnTrial,
    /// None is.
    #[error("no policy is on trial: there is nothing to confirm")]
    NotOnTrial,
}
