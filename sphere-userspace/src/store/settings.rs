//! Where the store is, and how much it may hold.

use std::path::PathBuf;

/// Directory of the store where nothing else is said.
pub const DEFAULT_DIRECTORY: &str = "/var/lib/sphere";

/// What a policy says of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// Its directory, made when it is not there.
    pub directory: PathBuf,
    /// Days that are kept.
    pub keep_days: u32,
    /// Bytes that its files may have together.
    pub keep_bytes: u64,
    /// What happens when the file system has no room.
    pub when_full: WhenFull,
}

impl StoreSettings {
    /// The defaults, for a directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            enabled: true,
            directory: directory.into(),
            keep_days: 30,
            keep_bytes: 1 << 30,
            when_full: WhenFull::DropOldest,
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self::new(DEFAULT_DIRECTORY)
    }
}

/// What happens when the file system has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest file goes.
    DropOldest,
    /// Nothing is written until there is room: the kernel holds the totals meanwhile.
    Pause,
}
