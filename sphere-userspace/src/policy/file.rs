//! The text of a policy or profile file: a regular file of bounded size, in UTF-8.

use std::{
    fs::{self, FileType, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::diagnostic::{Diagnostic, Place, Severity, Source};

/// Largest file that is read: some ten thousand rules. A larger one is hardly a policy.
const MOST_BYTES: u64 = 1 << 20;

/// Why a file has no text to read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The system said no.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A pipe, a device: reading it might never end.
    #[error("{} is {kind}, not a regular file", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// More than a policy has.
    #[error("{} is larger than {MOST_BYTES} bytes", path.display())]
    Size {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are no text.
    #[error("byte {} is not UTF-8", at.span.start + 1)]
    Encoding {
        /// Where the text ends.
        at: Place,
    },
}

impl FileError {
    /// What to do about it.
    pub(super) const fn remedy(&self) -> &'static str {
        match self {
            Self::Read { .. } => "name an existing file that you may read",
            Self::Kind { .. } => "write the text to a file, and name that",
            Self::Size { .. } => "is it the right file? a policy of that size does not fit into a gateway",
            Self::Encoding { .. } => "save the file as UTF-8",
        }
    }

    /// Where in the file, when it is about a place in it.
    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::Encoding { at } => Some(at),
            Self::Read { .. } | Self::Kind { .. } | Self::Size { .. } => None,
        }
    }
}

impl From<FileError> for Diagnostic {
    fn from(error: FileError) -> Self {
        let (message, remedy, place) = (error.to_string(), error.remedy().to_owned(), error.place().cloned());
        Self { severity: Severity::Error, message, remedy: Some(remedy), place, related: None }
    }
}

/// Reads a file. A byte order mark is left out.
///
/// # Errors
///
/// When it is not readable, not regular, too large or not UTF-8. Nothing but a regular file is opened.
pub(super) fn read(path: &Path) -> Result<Arc<Source>, FileError> {
    text(path, Source::new)
}

/// As [`read`], where nobody has said yet that the text may be shown.
///
/// # Errors
///
/// As [`read`].
pub(super) fn read_unshown(path: &Path) -> Result<Arc<Source>, FileError> {
    text(path, Source::unshown)
}

fn text(path: &Path, source: fn(String, String) -> Arc<Source>) -> Result<Arc<Source>, FileError> {
    let bytes = bytes(path)?;
    let name = path.display().to_string();
    match String::from_utf8(bytes) {
        Ok(text) => match text.strip_prefix('\u{feff}') {
            Some(text) => Ok(source(name, text.to_owned())),
            None => Ok(source(name, text)),
        },
        Err(error) => {
            let start = error.utf8_error().valid_up_to();
            // The lossy text has a place for the bad bytes, and is the same before them.
            let source = source(name, String::from_utf8_lossy(error.as_bytes()).into_owned());
            Err(FileError::Encoding { at: Place { source, span: start..start + '\u{fffd}'.len_utf8() } })
        }
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |cause| FileError::Read { path: path.to_owned(), cause };
    let regular = |metadata: &fs::Metadata| match kind(metadata.file_type()) {
        None if metadata.len() > MOST_BYTES => Err(FileError::Size { path: path.to_owned() }),
        None => Ok(()),
        Some(kind) => Err(FileError::Kind { path: path.to_owned(), kind }),
    };
    // Before it is opened, since opening alone may block or act on a device; and after, should it have been replaced.
    regular(&fs::metadata(path).map_err(failed)?)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    regular(&file.metadata().map_err(failed)?)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(FileError::Size { path: path.to_owned() });
    }
    Ok(bytes)
}

/// What it is, when it is no regular file.
fn kind(found: FileType) -> Option<&'static str> {
    match found {
        found if found.is_file() => None,
        found if found.is_dir() => Some("a directory"),
        found if found.is_fifo() => Some("a pipe"),
        found if found.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}
