//! The file system that the machine starts from: a cpio archive in the format "newc" (Linux,
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! Files lie at the paths that they have on the host wherever something may ask for them by path.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Kinds and permissions, as in `st_mode`.
const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const TERMINAL: u32 = 0o020_600;
/// Major and minor number of `/dev/console`.
const CONSOLE: (u32, u32) = (5, 1);
const END: &str = "TRAILER!!!";

enum Entry {
    Directory,
    /// A file of the host, and everything may be executed.
    Copy(PathBuf),
    Text(String),
    Console,
}

/// What will be in the archive, by absolute path. Parents sort before what is in them.
#[derive(Default)]
pub(super) struct Archive {
    entries: BTreeMap<PathBuf, Entry>,
}

impl Archive {
    /// An empty directory, with its parents.
    pub(super) fn directory(&mut self, path: impl AsRef<Path>) {
        for directory in path.as_ref().ancestors().filter(|path| path.file_name().is_some()) {
            self.entries.entry(directory.to_owned()).or_insert(Entry::Directory);
        }
    }

    /// A file of the host at the path `to`.
    pub(super) fn copy(&mut self, from: impl Into<PathBuf>, to: impl AsRef<Path>) {
        self.put(to.as_ref(), Entry::Copy(from.into()));
    }

    /// An executable text.
    pub(super) fn text(&mut self, path: impl AsRef<Path>, text: String) {
        self.put(path.as_ref(), Entry::Text(text));
    }

    /// `/dev/console`, without which the kernel starts the first program with no standard streams.
    pub(super) fn console(&mut self) {
        self.put(Path::new("/dev/console"), Entry::Console);
    }

    fn put(&mut self, path: &Path, entry: Entry) {
        if let Some(parent) = path.parent() {
            self.directory(parent);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// Writes the archive to a file.
    pub(super) fn write_to(&self, path: &Path) -> Result<()> {
        let context = || format!("cannot write {}", path.display());
        let mut out = BufWriter::new(File::create(path).with_context(context)?);
        self.write(&mut out)?;
        out.flush().with_context(context)
    }

    fn write(&self, out: &mut impl Write) -> Result<()> {
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            // Names have no leading slash.
            let path = path.strip_prefix("/").unwrap_or(path);
            let name = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
            match entry {
                Entry::Directory => member(out, &Header { number, name, mode: DIRECTORY, device: (0, 0) }, &[])?,
                Entry::Console => member(out, &Header { number, name, mode: TERMINAL, device: CONSOLE }, &[])?,
                Entry::Text(text) => {
                    member(out, &Header { number, name, mode: PROGRAM, device: (0, 0) }, text.as_bytes())?;
                }
                Entry::Copy(from) => {
                    let contents = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
                    member(out, &Header { number, name, mode: PROGRAM, device: (0, 0) }, &contents)?;
                }
            }
        }
        member(out, &Header { number: 0, name: END, mode: 0, device: (0, 0) }, &[])?;
        Ok(())
    }
}

struct Header<'a> {
    /// Names the inode: two entries of the same number would be one file.
    number: u32,
    name: &'a str,
    mode: u32,
    device: (u32, u32),
}

/// One member: header, name and contents, each padded to four bytes. Everything belongs to root.
fn member(out: &mut impl Write, header: &Header<'_>, contents: &[u8]) -> io::Result<()> {
    let Header { number, name, mode, device: (major, minor) } = *header;
    let size = u32::try_from(contents.len()).map_err(io::Error::other)?;
    let name_size = u32::try_from(name.len() + 1).map_err(io::Error::other)?;
    write!(out, "070701")?;
    // Inode, mode, user, group, links, time, size, device of the file system (2), device (2), size of the name, sum.
    for field in [number, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0] {
        write!(out, "{field:08X}")?;
    }
    out.write_all(name.as_bytes())?;
    // The name's end is a zero byte; the header has 110 bytes.
    out.write_all(&[0; 4][..1 + padding(110 + name.len() + 1)])?;
    out.write_all(contents)?;
    out.write_all(&[0; 4][..padding(contents.len())])
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use super::{Archive, END};

    #[test]
    fn parents_come_first_and_members_are_aligned() {
        let mut archive = Archive::default();
        archive.text("/a/b/script", "hello".to_owned());
        archive.console();
        let mut bytes = Vec::new();
        archive.write(&mut bytes).unwrap();
        let (mut at, mut names, mut contents) = (0, Vec::new(), Vec::new());
        let number = |at: usize| usize::from_str_radix(std::str::from_utf8(&bytes[at..at + 8]).unwrap(), 16).unwrap();
        while at < bytes.len() {
            assert_eq!(&bytes[at..at + 6], b"070701", "a header begins at {at}");
            let (size, name_size) = (number(at + 54), number(at + 94));
            names.push(std::str::from_utf8(&bytes[at + 110..at + 110 + name_size - 1]).unwrap());
            assert_eq!(bytes[at + 110 + name_size - 1], 0);
            let start = (at + 110 + name_size).next_multiple_of(4);
            contents.extend_from_slice(&bytes[start..start + size]);
            at = (start + size).next_multiple_of(4);
        }
        assert_eq!(names, ["a", "a/b", "a/b/script", "dev", "dev/console", END]);
        assert_eq!(contents, b"hello");
    }
}
