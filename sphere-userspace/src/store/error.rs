//! What can go wrong with the store.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its directory.
    #[error("cannot {operation} the store's directory {}", path.display())]
    Directory {
        /// What was tried.
        operation: &'static str,
        /// The directory, or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One of its files.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// There is none.
    #[error("no store at {}: the daemon makes one where its policy says; name its directory with --store", .0.display())]
    Absent(PathBuf),
    /// Its directory or a file may not be read.
    #[error("{} may not be read: ask as root, or as a member of the group that the directory belongs to", .0.display())]
    Closed(PathBuf),
    /// Something else in the place of one of its files.
    #[error("{} is no file of the store: {what}", path.display())]
    Foreign {
        /// What is there.
        path: PathBuf,
        /// Why it is none.
        what: &'static str,
    },
    /// A file of another version.
    #[error("{} has schema version {version}, and this program knows {}", path.display(), super::schema::VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
}

impl StoreError {
    /// For `map_err`.
    pub(super) fn file<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(rusqlite::Error) -> Self + 'a {
        move |source| Self::File { operation, path: path.to_owned(), source }
    }

    /// For `map_err`.
    pub(super) fn directory<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Directory { operation, path: path.to_owned(), source }
    }

    /// It, and what led to it.
    pub(super) fn whole(&self) -> String {
        std::error::Error::source(self).map_or_else(|| self.to_string(), |source| format!("{self}: {source}"))
    }

    /// For `map_err`, when the directory or a file in it is to be read.
    pub(super) fn reading<'a>(path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Absent(path.to_owned()),
            io::ErrorKind::PermissionDenied => Self::Closed(path.to_owned()),
            _ => Self::Directory { operation: "read", path: path.to_owned(), source },
        }
    }

    /// Whether the file system has no room.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Directory { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            Self::File { source: rusqlite::Error::SqliteFailure(failure, _), path, .. } => match failure.code {
                ErrorCode::DiskFull => true,
                ErrorCode::SystemIoFailure if failure.extended_code == SQLITE_IOERR_SHMSIZE => true,
                // A file that cannot be made or grown: SQLite does not say why.
                ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => path.parent().is_some_and(is_without_room),
                _ => false,
            },
            Self::File { .. } | Self::Foreign { .. } | Self::Version { .. } | Self::Absent(_) | Self::Closed(_) => {
                false
            }
        }
    }

    /// Whether it concerns one file, and what the others have can be told without it.
    pub(super) fn is_of_one_file(&self) -> bool {
        self.is_unusable() || self.is_busy()
    }

    /// A word for what is wrong with a file that is left out.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Foreign { .. } => "foreign",
            Self::Version { .. } => "other version",
            error if error.is_busy() => "in use",
            _ => "damaged",
        }
    }

    /// The file that it is about.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Directory { path, .. }
            | Self::File { path, .. }
            | Self::Foreign { path, .. }
            | Self::Version { path, .. }
            | Self::Absent(path)
            | Self::Closed(path) => path,
        }
    }

    /// Whether somebody else holds the file.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::File { source: rusqlite::Error::SqliteFailure(failure, _), .. }
            if matches!(failure.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether the file is none that can be written: damaged, foreign, or of another version.
    pub(super) fn is_unusable(&self) -> bool {
        match self {
            Self::Version { .. } | Self::Foreign { .. } => true,
            Self::File { source: rusqlite::Error::SqliteFailure(failure, _), .. } => {
                matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            }
            Self::File { .. } | Self::Directory { .. } | Self::Absent(_) | Self::Closed(_) => false,
        }
    }
}

/// Whether a file system has neither blocks nor inodes left.
fn is_without_room(directory: &Path) -> bool {
    nix::sys::statvfs::statvfs(directory)
        .is_ok_and(|system| system.blocks_available() < 16 || (system.files() > 0 && system.files_available() == 0))
}
