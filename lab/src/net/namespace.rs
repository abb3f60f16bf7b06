//! One network namespace with its `resolv.conf`; dropped, both are gone with every process in it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process;

const LIMIT: Duration = Duration::from_secs(10);

/// A named network namespace (`ip netns`).
#[derive(Debug)]
#[must_use = "dropping a namespace removes it"]
pub struct Namespace {
    name: String,
    kept: bool,
}

impl Namespace {
    /// Creates the namespace, with `lo` up and an empty `resolv.conf` of its own.
    ///
    /// # Errors
    /// When the kernel refuses (no root), or the name is taken.
    pub fn create(name: &str) -> Result<Self> {
        let mut add = Command::new("ip");
        add.args(["netns", "add", name]);
        process::must(add, LIMIT).context("cannot create a network namespace (root is needed)")?;
        let namespace = Self { name: name.to_owned(), kept: false };
        fs::create_dir_all(etc(name))?;
        fs::write(namespace.resolv_conf(), "# set by DHCP\n")?;
        // Duplicate address detection would make every fresh IPv6 address wait a second.
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        namespace.sysctl("net/ipv6/conf/all/accept_dad", "0")?;
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that programs in this namespace see as `/etc/resolv.conf`.
    #[must_use]
    pub fn resolv_conf(&self) -> PathBuf {
        etc(&self.name).join("resolv.conf")
    }

    /// A command that will run `program` inside.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs `ip -batch` with the given lines inside.
    ///
    /// # Errors
    /// With the message of `ip` for the first line that fails.
    pub fn ip(&self, lines: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["-netns", &self.name, "-batch", "-"]);
        feed(command, lines).with_context(|| format!("ip in {}", self.name))
    }

    /// Loads an nftables rule set inside.
    ///
    /// # Errors
    /// With the message of `nft`.
    pub fn nft(&self, rules: &str) -> Result<()> {
        let mut command = self.command("nft");
        command.args(["-f", "-"]);
        feed(command, rules).with_context(|| format!("nft in {}", self.name))
    }

    /// Sets a kernel parameter, named by its path below `/proc/sys`.
    ///
    /// # Errors
    /// When the parameter does not exist or refuses the value.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<()> {
        self.enter(|| {
            fs::write(format!("/proc/sys/{path}"), value).with_context(|| format!("cannot set {path} to {value}"))
        })?
    }

    /// Runs `work` on a thread that has entered the namespace.
    ///
    /// Sockets made there stay there. File names are those of the caller: only the network changes.
    ///
    /// # Errors
    /// When the namespace cannot be entered or `work` panics.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        within(&self.name, work)
    }

    /// Starts `work` on a thread of its own that has entered the namespace.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<thread::JoinHandle<Result<T>>> {
        let name = self.name.clone();
        Ok(thread::Builder::new().name(format!("in {name}")).spawn(move || {
            join(&name)?;
            work()
        })?)
    }

    /// Leaves the namespace in place when this value is dropped.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.kept {
            remove(&self.name);
        }
    }
}

/// Runs `work` on a thread that has entered the namespace of this name.
pub(crate) fn within<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        scope
            .spawn(|| -> Result<T> {
                join(name)?;
                Ok(work())
            })
            .join()
            .map_err(|_panic| anyhow!("a thread in {name} panicked"))?
    })
}

/// Kills what runs in a namespace, then removes it and its `resolv.conf`.
pub(crate) fn remove(name: &str) {
    for pid in pids(name) {
        // Gone already is as good as killed.
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
    let mut delete = Command::new("ip");
    delete.args(["netns", "del", name]);
    drop(process::run(delete, LIMIT));
    drop(fs::remove_dir_all(etc(name)));
}

/// The processes inside a namespace, without this one.
fn pids(name: &str) -> Vec<i32> {
    let mut list = Command::new("ip");
    list.args(["netns", "pids", name]);
    let own = std::process::id().cast_signed();
    let text = process::must(list, LIMIT).unwrap_or_default();
    let pids = text.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter(|pid| *pid != own).collect()
}

fn etc(name: &str) -> PathBuf {
    PathBuf::from("/etc/netns").join(name)
}

fn join(name: &str) -> Result<()> {
    let file = fs::File::open(format!("/run/netns/{name}")).with_context(|| format!("no namespace {name}"))?;
    setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {name}"))
}

fn feed(mut command: Command, text: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all(text.as_bytes())?;
    drop(stdin);
    let done = child.wait_with_output()?;
    if !done.status.success() {
        bail!("{}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}
