//! The ground a network stands on: its name, its directory, its lock, and what a dead run left.
//!
//! Everything a run makes on the machine carries its prefix, so a run killed with SIGKILL can be cleaned
//! up by the next: the lock file of a live run is locked, whatever its process id was reused for.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::net::namespace;
use crate::process;

const ROOT: &str = "/run/sphere-lab";
const NETNS: &str = "/run/netns";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A run's prefix, directory and lock; dropped, the directory is removed.
#[derive(Debug)]
#[must_use = "dropping the ground removes its directory"]
pub struct Ground {
    prefix: String,
    directory: PathBuf,
    _lock: Flock<File>,
    kept: bool,
}

impl Ground {
    /// Takes a new prefix and makes its directory, with a BPF file system in it.
    ///
    /// # Errors
    /// When the directory cannot be made or the file system cannot be mounted.
    pub fn take() -> Result<Self> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("sl{}-{count}", std::process::id());
        let directory = Path::new(ROOT).join(&prefix);
        fs::create_dir_all(directory.join("bpf")).with_context(|| format!("cannot make {}", directory.display()))?;
        let lock = File::create(directory.join("lock"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|(_file, errno)| errno)
            .context("cannot lock the lab's directory")?;
        let ground = Self { prefix, directory, _lock: lock, kept: false };
        mount(Some("bpf"), &ground.bpffs(), Some("bpf"), MsFlags::empty(), Some("mode=0700"))
            .context("cannot mount a BPF file system")?;
        Ok(ground)
    }

    /// The prefix of every name on the machine.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A file of this run.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The BPF file system of this run: what is pinned here goes away with it.
    #[must_use]
    pub fn bpffs(&self) -> PathBuf {
        self.directory.join("bpf")
    }

    /// Leaves directory and BPF file system in place when this value is dropped.
    ///
    /// # Errors
    /// When the mark that protects them cannot be written.
    pub fn keep(&mut self) -> Result<()> {
        fs::write(self.directory.join("keep"), "")?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if !self.kept {
            remove_directory(&self.directory);
        }
    }
}

/// Which leftovers to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// Those of runs that died.
    Dead,
    /// Those and the networks left standing on purpose.
    DeadAndKept,
}

/// Removes what runs that are over have left, and returns their prefixes.
pub fn reap(which: Leftovers) -> Vec<String> {
    let dead = |prefix: &String| {
        let directory = Path::new(ROOT).join(prefix);
        let kept = directory.join("keep").exists() && which == Leftovers::Dead;
        !kept && is_dead(&directory)
    };
    let prefixes: Vec<String> = prefixes().into_iter().filter(dead).collect();
    for prefix in &prefixes {
        remove(prefix);
    }
    prefixes
}

/// The prefixes of every run of which there is a trace.
fn prefixes() -> BTreeSet<String> {
    let directories = entries(ROOT).into_iter();
    // A run that could not clean up may have lost its directory before its namespaces.
    let namespaces = entries(NETNS);
    let namespaces = namespaces.iter().filter_map(|name| name.rsplit_once('-'));
    let namespaces = namespaces.map(|(prefix, _role)| prefix.to_owned());
    let all = directories.chain(namespaces);
    all.filter(|prefix| owner(prefix).is_some()).collect()
}

fn entries(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Removes everything that carries this prefix.
pub(crate) fn remove(prefix: &str) {
    let start = format!("{prefix}-");
    for name in entries(NETNS).iter().filter(|name| name.starts_with(&start)) {
        namespace::remove(name);
    }
    remove_directory(&Path::new(ROOT).join(prefix));
}

/// Removes everything this process has made: for the way out after a signal.
pub fn remove_own() {
    for count in 0..COUNT.load(Ordering::Relaxed) {
        remove(&format!("sl{}-{count}", std::process::id()));
    }
}

fn is_dead(directory: &Path) -> bool {
    match File::open(directory.join("lock")) {
        Ok(lock) => Flock::lock(lock, FlockArg::LockExclusiveNonblock).is_ok(),
        // No lock: a run between making its directory and locking it, unless its process is gone.
        Err(_) => {
            let prefix = directory.file_name().and_then(|name| name.to_str());
            let pid = prefix.and_then(owner);
            pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
        }
    }
}

/// The process that made a prefix; `None` for what is no prefix of the lab.
fn owner(prefix: &str) -> Option<u32> {
    let (pid, count) = prefix.strip_prefix("sl")?.split_once('-')?;
    count.parse::<u32>().ok()?;
    pid.parse().ok()
}

fn remove_directory(directory: &Path) {
    let bpffs = directory.join("bpf");
    // Lazily: a process that is still ending may hold it.
    if umount2(&bpffs, MntFlags::MNT_DETACH).is_err() && is_mounted(&bpffs) {
        return;
    }
    drop(fs::remove_dir_all(directory));
}

/// Whether something is mounted there: a directory is never removed through a mount.
fn is_mounted(path: &Path) -> bool {
    let mut check = Command::new("mountpoint");
    check.arg("-q").arg(path);
    process::run(check, Duration::from_secs(5)).is_ok_and(|done| done.succeeded())
}
