//! One daemon for each pin root: a locked file, free again the moment its holder dies.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::error::DatapathError;

/// Where the lock files are.
const DIRECTORY: &str = "/run/sphere";

/// Held by the daemon as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
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
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        let mut file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            nix::Error::EWOULDBLOCK => DatapathError::AnotherDaemon { pin_root: pin_root.to_owned() },
            errno => failed(errno.into()),
        })?;
        let note = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            writeln!(file, "{} {}", std::process::id(), pin_root.display())
        };
        note(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
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
    let canonical = fs::canonicalize(pin_root).unwrap_or_else(|_| pin_root.to_owned());
    let text = canonical.as_os_str().as_encoded_bytes();
    // FNV-1a, 64 bits. Pin roots in other mount namespaces share the name: the device number keeps them apart.
    let device = nearest_device(&canonical).to_le_bytes();
    let hash = text
        .iter()
        .chain(&device)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    Path::new(DIRECTORY).join(format!("{hash:016x}.lock"))
}

/// Device number of the file system that the path is, or would be, on.
fn nearest_device(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    path.ancestors().find_map(|path| fs::metadata(path).ok()).map_or(0, |metadata| metadata.dev())
}
