//! The running daemon.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::process::Process;

/// How long the daemon may take until it enforces.
const READY: Duration = Duration::from_secs(30);
/// How often to look whether it is still alive meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// A daemon that enforces; dropped, it is stopped.
#[derive(Debug)]
#[must_use = "dropping the daemon stops it"]
pub struct Daemon {
    process: Process,
    ready_after: Duration,
    /// Where it says that it is ready.
    notify: UnixDatagram,
}

impl Daemon {
    /// Starts the daemon and waits for `READY=1` (sd_notify(3)).
    pub(super) fn start(mut command: Command, notify: &Path, log: &Path) -> Result<Self> {
        match fs::remove_file(notify) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let socket = UnixDatagram::bind(notify).context("cannot make the readiness socket")?;
        socket.set_read_timeout(Some(LOOK))?;
        command.env("NOTIFY_SOCKET", notify);
        // Records go to a file: standard output would have to be read.
        command.stdin(Stdio::null());
        let started = Instant::now();
        let mut process = Process::start("sphere run", command, log)?;
        wait_ready(&socket, &mut process)?;
        Ok(Self { process, ready_after: started.elapsed(), notify: socket })
    }

    /// How long it took from its start until it enforced.
    #[must_use]
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Has it read its policy again, and waits until it has (sd_notify(3)).
    ///
    /// # Errors
    /// When it ends instead, or takes too long.
    pub fn reload(&mut self) -> Result<()> {
        self.process.signal(Signal::SIGHUP)?;
        wait_ready(&self.notify, &mut self.process)
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.process.runs()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The most memory that it has had so far, as the kernel tells it (proc(5), `VmHWM`).
    ///
    /// # Errors
    /// When it is gone.
    pub fn peak_memory_kib(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).context("the daemon is gone")?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.trim().strip_suffix("kB")).context("no VmHWM")?;
        number.trim().parse().context("VmHWM")
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_end(&self) -> String {
        self.process.log_end()
    }

    /// Ends it with SIGKILL: it has no chance to tidy up.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(self) -> Result<()> {
        self.process.kill()
    }

    /// Ends it with SIGTERM.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(self) -> Result<ExitStatus> {
        self.process.stop()
    }
}

fn wait_ready(socket: &UnixDatagram, process: &mut Process) -> Result<()> {
    let deadline = Instant::now() + READY;
    let mut buffer = [0; 4096];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                if text.lines().any(|line| line == "READY=1") {
                    return Ok(());
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error.into()),
        }
        process.check()?;
        if Instant::now() >= deadline {
            bail!("sphere run is not ready after {READY:?}: {}", process.log_end());
        }
    }
}
