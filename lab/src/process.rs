//! Child processes that end with their owner: servers in the background, clients with a time limit.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

/// A process in the background; dropped, it is ended.
#[derive(Debug)]
#[must_use = "dropping a process ends it"]
pub struct Process {
    what: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both outputs going to the file `log`.
    ///
    /// # Errors
    /// When the log cannot be made or the program cannot be started.
    pub fn start(what: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file).stdin(Stdio::null());
        Self::adopt(what, command, log)
    }

    /// Starts `command` as it is; its error output is expected to go to `log`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn adopt(what: &str, mut command: Command, log: &Path) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {what}"))?;
        Ok(Self { what: what.to_owned(), child, log: log.to_owned() })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.raw_pid(), signal).with_context(|| format!("cannot send {signal} to {}", self.what))
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Fails with the end of its log if it has ended.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended ({status}): {}", self.what, self.log_end());
        }
        Ok(())
    }

    /// Ends it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it with SIGTERM (SIGKILL after a few seconds) and returns how it ended.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.end()
    }

    /// The last lines of its log, for error messages.
    #[must_use]
    pub fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(6)..].join(" | ")
    }

    fn raw_pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn end(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        kill(self.raw_pid(), Signal::SIGTERM)?;
        // A stopped process would not see SIGTERM.
        kill(self.raw_pid(), Signal::SIGCONT)?;
        let child = &mut self.child;
        let ended = wait::until(&self.what, GRACE, || child.try_wait().transpose());
        match ended {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.child.kill()?;
                Ok(self.child.wait()?)
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be ended; its namespace kills it later.
        drop(self.end());
    }
}

/// How a client that ran to its end did.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; `None` when it was killed by a signal or by the time limit.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Finished {
    /// Whether it ended with status 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// What it says is wrong: its own error line, or the last line it wrote to standard error, or its exit status.
    #[must_use]
    pub fn complaint(&self) -> String {
        let mut lines = self.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
        // curl follows its error line with advice.
        let own = lines.clone().find(|line| line.starts_with("curl: "));
        own.or_else(|| lines.next_back()).map_or_else(
            || self.code.map_or_else(|| "time is up".to_owned(), |code| format!("exit status {code}")),
            str::to_owned,
        )
    }
}

/// Runs a client to its end, and kills it when it takes longer than `limit`.
///
/// # Errors
/// When the program cannot be started.
pub fn run(mut command: Command, limit: Duration) -> Result<Finished> {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let stdout = child.stdout.take().map(reader);
    let stderr = child.stderr.take().map(reader);
    let status = match wait::until("the client", limit, || child.try_wait().transpose()) {
        Ok(status) => status?,
        Err(_) => {
            child.kill()?;
            child.wait()?
        }
    };
    let collect =
        |thread: Option<thread::JoinHandle<String>>| thread.and_then(|thread| thread.join().ok()).unwrap_or_default();
    Ok(Finished {
        code: if status.signal().is_some() { None } else { status.code() },
        stdout: collect(stdout),
        stderr: collect(stderr),
        took: started.elapsed(),
    })
}

/// Runs a command that has to succeed, and returns its standard output.
///
/// # Errors
/// With the command and its complaint when it fails.
pub fn must(command: Command, limit: Duration) -> Result<String> {
    let shown = format!("{command:?}");
    let done = run(command, limit)?;
    if !done.succeeded() {
        bail!("{shown}: {}", done.complaint());
    }
    Ok(done.stdout)
}

fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe leaves what was read so far, which is what the caller wants.
        drop(pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
