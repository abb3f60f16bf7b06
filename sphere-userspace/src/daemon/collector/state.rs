//! How the account of denials on disk stands, as plain data that goes through the control socket.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::keeper::Report;
use crate::store::{DeniedByGroup, Outcome};

/// How the store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreStanding {
    /// The policy wants none.
    Off,
    /// Nothing was written yet.
    Starting,
    /// What is denied is written.
    Written,
    /// There is no room, somebody holds the file, or the clock is not set: the problem says which.
    Paused,
    /// It cannot be read or written.
    Failing,
}

impl StoreStanding {
    /// Every standing.
    pub const ALL: [Self; 5] = [Self::Off, Self::Starting, Self::Written, Self::Paused, Self::Failing];

    /// Its word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Written => "written",
            Self::Paused => "paused",
            Self::Failing => "failing",
        }
    }
}

/// The account of denials on disk, since the daemon started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreState {
    /// How it stands.
    pub standing: StoreStanding,
    /// Where it is.
    pub directory: PathBuf,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<String>,
    /// When it last had everything that the kernel had counted (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub complete_at: Option<String>,
    /// Bytes that its files take.
    pub bytes: u64,
    /// Accounts that were open in the kernel when they were last read.
    pub open_accounts: u64,
    /// Accounts that were closed after they were written.
    pub closed_accounts: u64,
    /// Accounts that were written; one that goes on counts each time.
    pub written: u64,
    /// Accounts that could not be written when they were handed over, and were handed over again later.
    pub paused: u64,
    /// Batches of accounts that had to wait because the store was busy.
    pub waits: u64,
    /// Accounts that could not be read, since other programs had written them.
    pub unreadable: u64,
    /// Files that went because of their age.
    pub aged_files: u64,
    /// Files that went because there was no room for them.
    pub dropped_files: u64,
    /// Files that could not be read.
    pub damaged_files: u64,
    /// What was written, by group: for the metrics, not for the control socket.
    #[serde(skip)]
    pub denied: DeniedByGroup,
}

impl StoreState {
    /// Of a store that was not opened yet.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            standing: StoreStanding::Starting,
            directory: directory.to_owned(),
            problem: None,
            complete_at: None,
            bytes: 0,
            open_accounts: 0,
            closed_accounts: 0,
            written: 0,
            paused: 0,
            waits: 0,
            unreadable: 0,
            aged_files: 0,
            dropped_files: 0,
            damaged_files: 0,
            denied: DeniedByGroup::default(),
        }
    }

    /// It has everything.
    pub(super) fn complete(&mut self) {
        self.standing = StoreStanding::Written;
        self.problem = None;
        self.complete_at = Some(humantime::format_rfc3339_millis(SystemTime::now()).to_string());
    }

    /// Something is wrong.
    pub(super) fn fail(&mut self, problem: String) {
        self.standing = StoreStanding::Failing;
        self.problem = Some(problem);
    }

    /// Takes up what the store says.
    pub(super) fn take_up(&mut self, report: Report) {
        let Report { outcome, pause, stats, denied, bytes } = report;
        match outcome {
            Ok(Outcome::Written) => {}
            Ok(Outcome::Paused) => {
                self.standing = StoreStanding::Paused;
                self.problem = pause;
            }
            Err(problem) => self.fail(problem),
        }
        self.bytes = bytes;
        self.denied = denied;
        self.written = stats.written;
        self.paused = stats.paused;
        self.aged_files = stats.aged_files;
        self.dropped_files = stats.dropped_files;
        self.damaged_files = stats.damaged_files;
    }
}
