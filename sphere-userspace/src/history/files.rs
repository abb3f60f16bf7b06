//! The directory: a file for each policy, and one for the state. Each is written beside its place and put there whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Entry, HistoryError};

const STATE: &str = "state.json";
const PREFIX: &str = "policy-";
const SUFFIX: &str = ".json";
/// Largest file that is read: a policy and its profiles have 1 MiB each at most.
const MOST_BYTES: u64 = 64 << 20;

/// The directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Held as long as this lives: two daemons would write over each other.
    _lock: Flock<File>,
}

impl Directory {
    /// Makes it when it is not there. Policies are their owner's business.
    pub(super) fn open(path: &Path) -> Result<Self, HistoryError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(failed("make", path))?;
        let file = File::open(path).map_err(failed("open", path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err((_, nix::Error::EWOULDBLOCK)) => Err(HistoryError::Shared(path.to_owned())),
            Err((_, errno)) => Err(failed("lock", path)(errno.into())),
        }
    }

    /// The state; [`None`] when none was written yet.
    pub(super) fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, HistoryError> {
        state_in(&self.path)
    }

    pub(super) fn put_state(&self, state: &impl Serialize) -> Result<(), HistoryError> {
        self.put(STATE, state)
    }

    /// Numbers of the policies that are kept, in order.
    pub(super) fn numbers(&self) -> Result<Vec<u64>, HistoryError> {
        let listed = fs::read_dir(&self.path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = listed.map_err(failed("read", &self.path))?;
        let number = |name: &str| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<u64>().ok();
        let mut numbers: Vec<u64> = entries.iter().filter_map(|entry| number(entry.file_name().to_str()?)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(super) fn entry(&self, number: u64) -> Result<Entry, HistoryError> {
        let path = self.path.join(name(number));
        match bytes(&path) {
            Ok(bytes) => read(&path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(HistoryError::Absent(number)),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    pub(super) fn put_entry(&self, entry: &Entry) -> Result<(), HistoryError> {
        self.put(&name(entry.number), entry)
    }

    pub(super) fn remove(&self, number: u64) {
        let path = self.path.join(name(number));
        if let Err(error) = fs::remove_file(&path) {
            tracing::debug!(path = %path.display(), %error, "an old policy stays");
        }
    }

    fn put(&self, name: &str, value: &impl Serialize) -> Result<(), HistoryError> {
        let (path, beside) = (self.path.join(name), self.path.join(format!("{name}.part")));
        let write = || -> io::Result<()> {
            let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
            let mut file = options.open(&beside)?;
            file.write_all(&serde_json::to_vec(value)?)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(failed("write", &path))
    }
}

/// The state in a directory; [`None`] when there is none.
pub(super) fn state_in<T: DeserializeOwned>(directory: &Path) -> Result<Option<T>, HistoryError> {
    let path = directory.join(STATE);
    match bytes(&path) {
        Ok(bytes) => read(&path, &bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", &path)(error)),
    }
}

/// `policy-00000012.json`: in the order of their numbers for people too.
fn name(number: u64) -> String {
    format!("{PREFIX}{number:08}{SUFFIX}")
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    if !found.is_file() || found.len() > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file, or larger than any policy"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, HistoryError> {
    let damaged = |error: serde_json::Error| HistoryError::Damaged { path: path.to_owned(), why: error.to_string() };
    serde_json::from_slice(bytes).map_err(damaged)
}

fn failed<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> HistoryError + 'a {
    move |source| HistoryError::Io { operation, path: path.to_owned(), source }
}
