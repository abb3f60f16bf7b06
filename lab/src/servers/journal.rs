//! systemd-journald as receiver of records: an instance of its own, which sees directories of the lab in the place of the
//! machine's, and whose journal goes with them.

use std::cell::RefCell;
use std::fs;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::START;
use super::receiver::Receiver;
use crate::net::Network;
use crate::process::{self, Process};
use crate::wait;

const DAEMON: &str = "/lib/systemd/systemd-journald";
/// The instance is one of a log namespace (systemd.exec(5), `LogNamespace=`): it takes nothing of the machine's.
const INSTANCE: &str = "lab";
/// Puts the lab's directories where it looks, in a mount namespace that only it has, and becomes it.
const SCRIPT: &str = "mkdir -p /run/systemd /var/log && mount --bind \"$1\" /run/systemd && \
                      mount --bind \"$2\" /var/log && exec \"$3\" \"$4\"";
const LIMIT: Duration = Duration::from_secs(10);

/// Starts it.
///
/// # Errors
/// When it does not listen, with the end of its log.
pub fn start(network: &Network) -> Result<Receiver> {
    let ground = &network.ground;
    let (run, kept, log) = (ground.path("journal-run"), ground.path("journal-kept"), ground.path("journald.log"));
    fs::create_dir_all(&run)?;
    // A journal in this directory outlives its daemon.
    fs::create_dir_all(kept.join("journal"))?;
    let socket = run.join(format!("journal.{INSTANCE}/socket"));
    let names =
        (format!("journald {}", socket.display()), format!("type = \"journald\"\nsocket = \"{}\"\n", socket.display()));
    let files = kept.join("journal");
    // An instance ends when it has been idle for half a minute, unless somebody's standard output is connected to it.
    let (output, connected) = (run.join(format!("journal.{INSTANCE}/stdout")), RefCell::new(None));
    let start = move || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "journald"]);
        command.arg(&run).arg(&kept).args([DAEMON, INSTANCE]);
        let process = Process::start("systemd-journald", command, &log)?;
        // The socket file of one that was killed is there still: it refuses.
        wait::until("the journal's socket", START, || {
            UnixDatagram::unbound().and_then(|unbound| unbound.connect(&socket)).ok()?;
            connected.replace(Some(UnixStream::connect(&output).ok()?));
            Some(())
        })?;
        Ok(process)
    };
    Receiver::open(names, None, start, move || heard(&files))
}

/// What is in the journal's files.
fn heard(files: &Path) -> Result<Vec<u16>> {
    let journals: Vec<PathBuf> = fs::read_dir(files)?.flatten().map(|entry| entry.path()).collect();
    let mut ports = Vec::new();
    for journal in journals {
        let mut command = Command::new("journalctl");
        command.arg("--directory").arg(&journal).args(["--quiet", "--no-pager", "--output", "json"]);
        command.args(["--output-fields", "DESTINATION_PORT", "SYSLOG_IDENTIFIER=sphere", "EVENT_ACTION=deny"]);
        for line in process::must(command, LIMIT)?.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).context("an entry of the journal")?;
            let port = entry.get("DESTINATION_PORT").and_then(serde_json::Value::as_str);
            ports.extend(port.and_then(|port| port.parse::<u16>().ok()));
        }
    }
    Ok(ports)
}
