//! One daemon for each pin root: a locked file, free again the moment its holder dies.
//!
//! The file goes with its holder. What a holder that was killed left behind goes when the next lock is taken, on whichever
//! pin root. A lock on a file that has lost its name is none: whoever takes one looks whether the name still leads there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::error::DatapathError;

/// Where the lock files are.
const DIRECTORY: &str = "/run/sphere";
/// How often a lock is tried: who only looks whether a daemon runs holds it for a moment too.
const TRIES: u32 = 5;
/// How long that moment is waited for.
const MOMENT: Duration = Duration::from_millis(5);

/// Held by the daemon as long as it lives.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a pin root.
    ///
    /// # Errors
    ///
    /// [`DatapathError::AnotherDaemon`] when another process has it.
    pub fn take(pin_root: &Path) -> Result<Self, DatapathError> {
        let path = path_of(pin_root);
        let failed = |source| DatapathError::Lock { path: path.clone(), source };
        fs::create_dir_all(DIRECTORY).map_err(failed)?;
        let mut lock = Self::at(&path).map_err(failed)?;
        for _ in 1..TRIES {
            if lock.is_none() {
                std::thread::sleep(MOMENT);
                lock = Self::at(&path).map_err(failed)?;
            }
        }
        let Some(mut lock) = lock else {
            return Err(DatapathError::AnotherDaemon { pin_root: pin_root.to_owned() });
        };
        lock.note(pin_root).map_err(failed)?;
        sweep(Path::new(DIRECTORY));
        Ok(lock)
    }

    /// The lock of a file, which is made if need be; [`None`] when somebody else has it.
    fn at(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(path)?;
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((_, nix::Error::EWOULDBLOCK)) => return Ok(None),
                Err((_, errno)) => return Err(errno.into()),
            };
            // Its last holder may have removed it between the two steps.
            if is_at(&file, path) {
                return Ok(Some(Self { file, path: path.to_owned() }));
            }
        }
    }

    fn note(&mut self, pin_root: &Path) -> io::Result<()> {
        self.file.set_len(0)?;
        writeln!(self.file, "{} {}", std::process::id(), pin_root.display())
    }
}

impl Drop for Lock {
    /// Removes the file while it is still locked.
    fn drop(&mut self) {
        for path in [self.path.with_extension("sock"), self.path.clone()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(%error, path = %path.display(), "cannot remove");
                }
                _ => {}
            }
        }
    }
}

/// Whether a name leads to a file that is open.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Removes the files of locks that nobody holds, with their sockets.
fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let locks = entries.filter_map(Result::ok).map(|entry| entry.path());
    for path in locks.filter(|path| path.extension().is_some_and(|extension| extension == "lock")) {
        // Whoever takes one that nobody holds removes it in the end.
        if let Err(error) = Lock::at(&path) {
            tracing::debug!(%error, path = %path.display(), "cannot look at a lock");
        }
    }
}

/// Whether a daemon holds the lock of a pin root.
#[must_use]
pub fn is_running(pin_root: &Path) -> bool {
    let Ok(file) = File::open(path_of(pin_root)) else { return false };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}

/// Where the daemon of a pin root listens.
#[must_use]
pub fn socket_of(pin_root: &Path) -> PathBuf {
    path_of(pin_root).with_extension("sock")
}

fn path_of(pin_root: &Path) -> PathBuf {
    let canonical = canonical(pin_root);
    let text = canonical.as_os_str().as_encoded_bytes();
    // FNV-1a, 64 bits. Pin roots in other mount namespaces share the name: the device number keeps them apart.
    let device = nearest_device(&canonical).to_le_bytes();
    let hash = text
        .iter()
        .chain(&device)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    Path::new(DIRECTORY).join(format!("{hash:016x}.lock"))
}

/// The path without links and relative parts, as it will be when what is missing of it is there.
fn canonical(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there =
        path.ancestors().find_map(|above| Some((fs::canonicalize(above).ok()?, path.strip_prefix(above).ok()?)));
    // An empty rest would add a slash.
    there.map_or_else(|| path.clone(), |(above, rest)| above.join(rest).components().collect())
}

/// Device number of the file system that the path is, or would be, on.
fn nearest_device(path: &Path) -> u64 {
    path.ancestors().find_map(|path| fs::metadata(path).ok()).map_or(0, |metadata| metadata.dev())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    /// Names of the files in a directory.
    fn files(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = entries.collect();
        files.sort_unstable();
        files
    }

    #[test]
    fn what_nobody_holds_is_removed_and_what_is_held_stays() {
        let directory = std::env::temp_dir().join(format!("sphere-lock-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let held = Lock::at(&directory.join("held.lock")).unwrap().unwrap();
        for left in ["held.sock", "left.lock", "left.sock", "other"] {
            fs::write(directory.join(left), "").unwrap();
        }
        sweep(&directory);
        assert_eq!(files(&directory), ["held.lock", "held.sock", "other"]);
        assert!(Lock::at(&directory.join("held.lock")).unwrap().is_none());
        drop(held);
        assert_eq!(files(&directory), ["other"]);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_pin_root_has_one_lock_however_it_is_named_and_before_it_is_there() {
        let directory = std::env::temp_dir().join(format!("sphere-lock-name-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        std::os::unix::fs::symlink(&directory, directory.join("link")).unwrap();
        let (plain, linked) = (directory.join("pins/s"), directory.join("link/pins/s"));
        let before = (path_of(&plain), path_of(&linked));
        fs::create_dir_all(&plain).unwrap();
        let after = (path_of(&plain), path_of(&linked));
        fs::remove_dir_all(&directory).unwrap();
        assert!(before == after && before.0 == before.1, "{before:?} {after:?}");
    }

    #[test]
    fn a_lock_on_a_file_without_its_name_is_none() {
        let path = std::env::temp_dir().join(format!("sphere-lock-{}.lock", std::process::id()));
        let held = Lock::at(&path).unwrap().unwrap();
        // Opened before its holder removed it, as by one who waits for it.
        let opened = File::open(&path).unwrap();
        assert!(is_at(&opened, &path));
        drop(held);
        let next = Lock::at(&path).unwrap().unwrap();
        assert!(!is_at(&opened, &path) && is_at(&next.file, &path));
        drop(next);
        assert!(!path.exists());
    }
}
