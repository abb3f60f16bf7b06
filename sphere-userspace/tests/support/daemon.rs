//! A running daemon, ended with the test.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{scratch, sphere};

/// Longest that anything in these tests may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A policy for one port and one group; `more` is added at the end.
pub(crate) fn policy(interface: &str, more: &str) -> String {
    // Not where a gateway on this machine keeps its policies.
    static HISTORY: OnceLock<PathBuf> = OnceLock::new();
    let history = HISTORY.get_or_init(|| scratch("policies")).display();
    format!(
        "version = 1\n\
         [daemon]\nhistory = \"{history}\"\n\
         [store]\nenabled = false\n\
         [resolver]\nservers = [\"127.0.0.1:9\"]\ntimeout = \"1s\"\n\
         [[group]]\nname = \"devices\"\nmode = \"enforce\"\ninterfaces = [\"{interface}\"]\n\
         subnets = [\"10.20.0.0/24\"]\nresolvers = [\"gateway\"]\n{more}\n"
    )
}

/// A rule that allows one address.
pub(crate) fn allow(address: &str) -> String {
    format!("[[group.allow]]\naddress = \"{address}\"\nports = [\"tcp/443\"]\n")
}

/// The daemon.
pub(crate) struct Daemon {
    child: Child,
    notices: UnixDatagram,
    pub(crate) directory: PathBuf,
    pub(crate) ready_after: Duration,
}

impl Daemon {
    /// Writes the policy, starts the daemon and waits until it is ready.
    pub(crate) fn start(policy: &str) -> Self {
        let directory = scratch("daemon");
        std::fs::write(directory.join("policy.toml"), policy).unwrap();
        Self::start_in(&directory)
    }

    /// Starts the daemon with the policy in a directory.
    pub(crate) fn start_in(directory: &Path) -> Self {
        let socket = directory.join("notify");
        let _ = std::fs::remove_file(&socket);
        let notices = UnixDatagram::bind(&socket).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        let begun = Instant::now();
        let child = sphere()
            .args(["run", "--config"])
            .arg(directory.join("policy.toml"))
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, notices, directory: directory.to_owned(), ready_after: Duration::ZERO };
        daemon.wait_for("READY=1");
        daemon.ready_after = begun.elapsed();
        daemon
    }

    /// Waits for a notice to the service manager.
    pub(crate) fn wait_for(&self, notice: &str) {
        let mut buffer = [0; 64];
        loop {
            let length = self.notices.recv(&mut buffer).expect("the daemon must tell the service manager");
            if &buffer[..length] == notice.as_bytes() {
                return;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Stops the daemon by a signal and waits for its end.
    pub(crate) fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }

    /// The daemon's records.
    pub(crate) fn records(&mut self) -> Records {
        let output = BufReader::new(self.child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Records { lines }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of a daemon's standard output.
pub(crate) struct Records {
    lines: Receiver<String>,
}

impl Records {
    /// The next record.
    pub(crate) fn next(&self) -> serde_json::Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a record must come");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }
}

/// Waits until something holds; panics when it does not within [`PATIENCE`]. Gives back how long it took.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}
