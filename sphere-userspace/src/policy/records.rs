//! What a policy says about records: how like ones are gathered, and the sinks that they go to.

use std::{fmt, path::PathBuf, time::Duration};

/// Records, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSettings {
    /// How long denials like one that was just recorded are gathered into one record; zero: each is a record of its own.
    pub window: Duration,
    /// Where records go; empty: nowhere.
    pub sinks: Vec<SinkSettings>,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self { window: Duration::from_secs(10), sinks: vec![SinkSettings::new(SinkTarget::Stdout)] }
    }
}

/// A sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSettings {
    /// Where its records go.
    pub target: SinkTarget,
    /// Records that wait while it cannot take them; what comes beyond is lost.
    pub queue: usize,
}

impl SinkSettings {
    /// Records that wait, unless the policy says otherwise.
    pub const QUEUE: usize = 4096;

    /// A sink with the default queue.
    #[must_use]
    pub const fn new(target: SinkTarget) -> Self {
        Self { target, queue: Self::QUEUE }
    }
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    /// Standard output of the daemon, as JSON lines.
    Stdout,
    /// A file, as JSON lines.
    File(RecordFile),
}

impl fmt::Display for SinkTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("stdout"),
            Self::File(file) => write!(formatter, "file {}", file.path.display()),
        }
    }
}

/// A file of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFile {
    /// Its path.
    pub path: PathBuf,
    /// Size in bytes above which it is put aside and a new one begun.
    pub rotate_bytes: Option<u64>,
    /// Files put aside that are kept; `None`: others put it aside, it is only opened anew.
    pub keep: Option<u32>,
}

impl RecordFile {
    /// Files put aside that are kept, unless the policy says otherwise.
    pub const KEEP: u32 = 5;
}
