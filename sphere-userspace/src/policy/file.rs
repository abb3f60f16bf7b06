//! The text of a policy, of a profile, of what is imported: a regular file of bounded size, in UTF-8.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::{self, FileType, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::diagnostic::{Diagnostic, Place, Severity, Source};

/// Largest policy or profile that is read: some hundred thousand rules. A larger one is hardly a policy.
const MOST_BYTES: u64 = 8 << 20;

/// Why a file has no text to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
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
    /// More than such a file has.
    #[error("{} is larger than {most} bytes", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// How many it may have.
        most: u64,
    },
    /// Bytes that are no text.
    #[error("byte {byte} is not UTF-8")]
    Encoding {
        /// Which one, from 1, in the file.
        byte: usize,
        /// Where the text ends.
        at: Place,
    },
}

impl FileError {
    /// What to do about it.
    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::Read { .. } => "name an existing file that you may read",
            Self::Kind { .. } => "write the text to a file, and name that",
            Self::Size { .. } => "is it the right file? what one of that size says does not fit into a gateway",
            Self::Encoding { .. } => "save the file as UTF-8",
        }
    }

    /// Where in the file, when it is about a place in it.
    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Self::Encoding { at, .. } => Some(at),
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

/// The texts that a policy was read from, by the paths that they were read at.
pub type Texts = BTreeMap<PathBuf, String>;

/// The files that a policy is read from: those on disk, or the texts that were kept of an earlier reading. Each text that
/// is read is noted.
#[derive(Debug, Default)]
pub(super) struct Files<'a> {
    kept: Option<&'a Texts>,
    noted: RefCell<Texts>,
}

impl<'a> Files<'a> {
    /// Those that were kept, and no others.
    pub(super) fn kept(texts: &'a Texts) -> Self {
        Self { kept: Some(texts), noted: RefCell::default() }
    }

    /// Reads a file. A byte order mark is left out.
    ///
    /// # Errors
    ///
    /// When it is not readable, not regular, too large or not UTF-8. Nothing but a regular file is opened.
    pub(super) fn read(&self, path: &Path) -> Result<Arc<Source>, FileError> {
        self.source(path, Source::new)
    }

    /// As [`Self::read`], where nobody has said yet that the text may be shown.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub(super) fn read_unshown(&self, path: &Path) -> Result<Arc<Source>, FileError> {
        self.source(path, Source::unshown)
    }

    /// What was read.
    pub(super) fn into_noted(self) -> Texts {
        self.noted.into_inner()
    }

    fn source(&self, path: &Path, source: fn(String, String) -> Arc<Source>) -> Result<Arc<Source>, FileError> {
        let Some(kept) = self.kept else {
            let found = text((path, MOST_BYTES), source)?;
            self.noted.borrow_mut().insert(path.to_owned(), found.text().to_owned());
            return Ok(found);
        };
        let text = kept.get(path).ok_or_else(|| FileError::Read {
            path: path.to_owned(),
            cause: io::Error::new(io::ErrorKind::NotFound, "it was not kept with the policy"),
        })?;
        Ok(source(path.display().to_string(), text.clone()))
    }
}

/// Reads a file of at most so many bytes, which is no part of a policy. A byte order mark is left out.
///
/// # Errors
///
/// As [`Files::read`].
pub(crate) fn read_within(path: &Path, most: u64) -> Result<Arc<Source>, FileError> {
    text((path, most), Source::new)
}

fn text((path, most): (&Path, u64), source: fn(String, String) -> Arc<Source>) -> Result<Arc<Source>, FileError> {
    let bytes = bytes(path, most)?;
    let name = path.display().to_string();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(source(name, text)),
        Err(error) => {
            let before = error.utf8_error().valid_up_to();
            // The lossy text has a place for the bad bytes, and is the same before them.
            let source = source(name, String::from_utf8_lossy(error.as_bytes()).into_owned());
            let mark = if source.has_mark() { '\u{feff}'.len_utf8() } else { 0 };
            let start = before.saturating_sub(mark);
            let at = Place { source, span: start..start + '\u{fffd}'.len_utf8() };
            Err(FileError::Encoding { byte: before + 1, at })
        }
    }
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let failed = |cause| FileError::Read { path: path.to_owned(), cause };
    let regular = |metadata: &fs::Metadata| match kind(metadata.file_type()) {
        None if metadata.len() > most => Err(FileError::Size { path: path.to_owned(), most }),
        None => Ok(()),
        Some(kind) => Err(FileError::Kind { path: path.to_owned(), kind }),
    };
    // Before it is opened, since opening alone may block or act on a device; and after, should it have been replaced.
    regular(&fs::metadata(path).map_err(failed)?)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    regular(&file.metadata().map_err(failed)?)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(FileError::Size { path: path.to_owned(), most });
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
