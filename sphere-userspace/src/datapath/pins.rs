//! The pin directory: where the data plane lives when no daemon does.
//!
//! ```text
//! <pin root>/v<ABI>/maps/<MAP>               programs/<program>
//!                  /links/<interface>-ingress, <interface>-egress
//!                  /build -> fingerprint of the object that `programs` came from
//! ```
//!
//! A directory is replaced as a whole: its successor is filled beside it (`maps-new`), then the two change places. A
//! tc filter of kernels before 6.6 cannot be pinned: a symbolic link `-> clsact:<ifindex>` stands for it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{RenameFlags, renameat2};
use nix::sys::statfs::{FsType, statfs};
use sphere_common::abi;

use super::error::DatapathError;
use super::{link_name, sys};

/// `BPF_FS_MAGIC`.
const BPFFS: i64 = 0xcafe_4a11;

/// A part of the tree that is replaced as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The maps.
    Maps,
    /// The programs.
    Programs,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Maps => "maps",
            Self::Programs => "programs",
        }
    }
}

/// The side of a port that a link guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the devices.
    Ingress,
    /// To the devices.
    Egress,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    fn word(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// The pin directory of one data plane.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
    version: u32,
}

impl Pins {
    /// The pins under a root, for the layout of this daemon.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), version: abi::VERSION }
    }

    /// The pins under a root that has some.
    ///
    /// # Errors
    ///
    /// [`DatapathError::NotPinned`] when it has none.
    pub fn existing(root: &Path) -> Result<Self, DatapathError> {
        let pins = Self::new(root);
        if pins.exist() { Ok(pins) } else { Err(DatapathError::NotPinned { pin_root: root.to_owned() }) }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The tree of this layout.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.root.join(format!("v{}", self.version))
    }

    /// The pins of other layouts under the same root, oldest first.
    #[must_use]
    pub fn others(&self) -> Vec<Self> {
        let versions = names(&self.root).into_iter().filter_map(|name| name.strip_prefix('v')?.parse::<u32>().ok());
        let mut versions: Vec<u32> = versions.filter(|version| *version != self.version).collect();
        versions.sort_unstable();
        versions.into_iter().map(|version| Self { root: self.root.clone(), version }).collect()
    }

    /// The directory of a part.
    #[must_use]
    pub fn part(&self, part: Part) -> PathBuf {
        self.tree().join(part.word())
    }

    /// Where the successor of a part is filled.
    #[must_use]
    pub fn next(&self, part: Part) -> PathBuf {
        self.tree().join(format!("{}-new", part.word()))
    }

    /// The pin of a map.
    #[must_use]
    pub fn map(&self, name: &str) -> PathBuf {
        self.part(Part::Maps).join(name)
    }

    /// The pin of a program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.part(Part::Programs).join(name)
    }

    /// The pin of a link.
    #[must_use]
    pub fn link(&self, interface: &str, side: Side) -> PathBuf {
        self.tree().join("links").join(format!("{}-{}", link_name::escape(interface), side.word()))
    }

    /// Interfaces that have links here.
    #[must_use]
    pub fn interfaces(&self) -> Vec<String> {
        let links = names(&self.tree().join("links"));
        let mut interfaces: Vec<String> =
            links.iter().filter_map(|name| Some(link_name::unescape(name.rsplit_once('-')?.0))).collect();
        interfaces.sort_unstable();
        interfaces.dedup();
        interfaces
    }

    /// Whether any data plane of this layout is here.
    #[must_use]
    pub fn exist(&self) -> bool {
        self.part(Part::Maps).is_dir()
    }

    /// Fingerprint of the object that the pinned programs came from.
    #[must_use]
    pub fn build(&self) -> Option<String> {
        fs::read_link(self.tree().join("build")).ok()?.into_os_string().into_string().ok()
    }

    /// Notes the fingerprint of the pinned programs.
    pub(super) fn set_build(&self, fingerprint: &str) -> Result<(), DatapathError> {
        self.mark(&self.tree().join("build"), fingerprint)
    }

    /// A symbolic link that carries a word, replacing the one that is there.
    pub(super) fn mark(&self, path: &Path, word: &str) -> Result<(), DatapathError> {
        let staged = self.tree().join("mark-new");
        remove_file(&staged)?;
        std::os::unix::fs::symlink(word, &staged).map_err(|e| pin_error("write", &staged, e))?;
        fs::rename(&staged, path).map_err(|e| pin_error("write", path, e))
    }

    /// Makes the directories; what is there stays.
    ///
    /// # Errors
    ///
    /// [`DatapathError::NoBpffs`] when the root is on another file system.
    pub fn create(&self) -> Result<(), DatapathError> {
        self.check_bpffs()?;
        let links = self.tree().join("links");
        fs::create_dir_all(&links).map_err(|e| pin_error("create", &links, e))
    }

    /// Checks that the root is, or would be, on a BPF file system.
    ///
    /// # Errors
    ///
    /// [`DatapathError::NoBpffs`].
    pub fn check_bpffs(&self) -> Result<(), DatapathError> {
        let nearest = self.root.ancestors().find(|path| path.exists()).unwrap_or(&self.root);
        match statfs(nearest) {
            Ok(stat) if stat.filesystem_type() == FsType(BPFFS) => Ok(()),
            _ => {
                // Elsewhere the root itself: what is mounted further up would hide what is there.
                let usual = Path::new("/sys/fs/bpf");
                let mount = if self.root.starts_with(usual) { usual } else { &self.root };
                Err(DatapathError::NoBpffs { path: self.root.clone(), mount: mount.to_owned() })
            }
        }
    }

    /// Empties and makes the directory in which the successor of a part is filled.
    pub(super) fn begin(&self, part: Part) -> Result<PathBuf, DatapathError> {
        let next = self.next(part);
        remove_tree(&next)?;
        fs::create_dir(&next).map_err(|e| pin_error("create", &next, e))?;
        Ok(next)
    }

    /// Puts the successor of a part in its place.
    pub(super) fn commit(&self, part: Part) -> Result<(), DatapathError> {
        let (next, current) = (self.next(part), self.part(part));
        if !current.exists() {
            return fs::rename(&next, &current).map_err(|e| pin_error("replace", &current, e));
        }
        let cwd = nix::fcntl::AT_FDCWD;
        if renameat2(cwd, &next, cwd, &current, RenameFlags::RENAME_EXCHANGE).is_err() {
            // Before kernel 5.16: for the length of one system call the part has no name; the kernel keeps enforcing,
            // and `recover` completes it should the daemon die in between.
            let old = self.tree().join(format!("{}-old", part.word()));
            remove_tree(&old)?;
            fs::rename(&current, &old).map_err(|e| pin_error("replace", &current, e))?;
            fs::rename(&next, &current).map_err(|e| pin_error("replace", &current, e))?;
            return remove_tree(&old);
        }
        remove_tree(&next)
    }

    /// Removes the tree of this layout, and the root when nothing else is in it.
    pub(super) fn remove(&self) -> Result<(), DatapathError> {
        remove_tree(&self.tree())?;
        match fs::remove_dir(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound && !is_not_empty(&error) => {
                Err(pin_error("remove", &self.root, error))
            }
            _ => Ok(()),
        }
    }
}

/// Pins an object.
pub(super) fn pin(fd: BorrowedFd<'_>, path: &Path) -> Result<(), DatapathError> {
    sys::pin(fd, path).map_err(|e| pin_error("pin", path, e))
}

/// Removes one pin; that it is not there is no error.
pub(super) fn remove_file(path: &Path) -> Result<(), DatapathError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(pin_error("remove", path, error)),
        _ => Ok(()),
    }
}

/// Detaches a pinned link and removes its pin; that it is not there is no error.
pub(super) fn remove_link(path: &Path) -> Result<(), DatapathError> {
    if let Ok(link) = sys::open(path) {
        match sys::link_detach(link.as_fd()) {
            // Its interface is gone.
            Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => {}
            other => other.map_err(|e| pin_error("detach", path, e))?,
        }
    }
    remove_file(path)
}

/// Removes a directory of pins; that it is not there is no error.
pub(super) fn remove_tree(path: &Path) -> Result<(), DatapathError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(pin_error("remove", path, error)),
        _ => Ok(()),
    }
}

/// Names in a directory, sorted; none when it is not there.
pub(super) fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

pub(super) fn pin_error(operation: &'static str, path: &Path, source: io::Error) -> DatapathError {
    DatapathError::Pin { operation, path: path.to_owned(), source }
}

fn is_not_empty(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOTEMPTY | libc::EBUSY))
}
