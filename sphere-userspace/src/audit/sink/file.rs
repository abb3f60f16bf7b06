//! A file of JSON lines, put aside by the daemon or by others.
//!
//! Others may rename or remove it at any time: it is opened again when its path leads to another file, or to none. The
//! daemon itself puts it aside when it has grown, or when asked to, as `path.1`, the one before that as `path.2`, and so
//! on. Lines are whole in every file, whatever fails.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use super::{Batch, Output};
use crate::policy::RecordFile;

/// Records name devices and what they did: the owner's group may read them, the world may not.
const MODE: u32 = 0o640;

#[derive(Debug)]
pub(super) struct Rotating {
    settings: RecordFile,
    file: Option<File>,
    /// The operator asked for a new file.
    is_due: bool,
}

impl Rotating {
    pub(super) fn new(settings: RecordFile) -> Self {
        Self { settings, file: None, is_due: false }
    }

    /// Opens the file, unless it is the one that is open; gives it back with its size.
    fn open(&mut self) -> io::Result<(&File, u64)> {
        let identity = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
        let current = fs::metadata(&self.settings.path).ok().map(|metadata| identity(&metadata));
        let held = self.file.as_ref().and_then(|file| file.metadata().ok()).map(|metadata| identity(&metadata));
        if held.is_none() || held != current {
            self.file = None;
            let mut options = OpenOptions::new();
            self.file = Some(options.create(true).append(true).mode(MODE).open(&self.settings.path)?);
        }
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok((file, file.metadata()?.len()))
    }

    /// Puts the file aside where there is one, and the oldest away.
    fn put_aside(&mut self) -> io::Result<()> {
        self.file = None;
        let Some(keep) = self.settings.keep else { return Ok(()) };
        for number in (0..keep).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Path of a file that was put aside; 0 is the file itself.
    fn numbered(&self, number: u32) -> PathBuf {
        let mut path = OsString::from(&self.settings.path);
        if number > 0 {
            path.push(format!(".{number}"));
        }
        path.into()
    }

    /// Lines that go into a file of this size, one at least where it is empty.
    fn room(&self, size: u64, lines: &[String]) -> usize {
        let Some(most) = self.settings.rotate_bytes else { return lines.len() };
        let mut end = size;
        let fits = lines.iter().take_while(|line| {
            end += line.len() as u64;
            end <= most
        });
        fits.count().max(usize::from(size == 0))
    }
}

impl Output for Rotating {
    fn deliver(&mut self, batch: &mut Batch) -> io::Result<()> {
        let lines =
            batch.iter().map(|record| record.line().map_err(io::Error::from)).collect::<io::Result<Vec<_>>>()?;
        let mut lines = lines.as_slice();
        while !lines.is_empty() {
            if self.is_due {
                self.put_aside()?;
                self.is_due = false;
            }
            let (_, size) = self.open()?;
            let room = self.room(size, lines).min(lines.len());
            let (now, later) = lines.split_at(room);
            let (file, _) = self.open()?;
            let (written, failure) = append(file, size, now);
            batch.delivered(written);
            failure?;
            lines = later;
            if !lines.is_empty() {
                self.is_due = true;
            }
        }
        Ok(())
    }

    fn rotate(&mut self) {
        // Where it fails, the next record tries again, and says why.
        self.is_due = self.put_aside().is_err();
    }
}

/// Appends lines to a file of this size; says how many are in it. A line that went in only in part is cut off again.
fn append(mut file: &File, size: u64, lines: &[String]) -> (usize, io::Result<()>) {
    let text = lines.concat();
    let mut rest = text.as_bytes();
    let failure = loop {
        match file.write(rest) {
            _ if rest.is_empty() => return (lines.len(), Ok(())),
            Ok(0) => break io::ErrorKind::WriteZero.into(),
            Ok(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
    };
    let written = text.len() - rest.len();
    let (mut whole, mut end) = (0, 0);
    for line in lines {
        if end + line.len() > written {
            break;
        }
        end += line.len();
        whole += 1;
    }
    if end < written {
        // What is no regular file cannot be cut; there is nothing to be done about it.
        drop(file.set_len(size + end as u64));
    }
    (whole, Err(failure))
}
