//! The time, with chronyd as client: from UDP port 124, as the devices do it.

use anyhow::Result;

use super::{Attempt, PATIENCE};
use crate::net::{Device, Network};
use crate::process;

/// The source port of the devices' questions.
pub const SOURCE_PORT: u16 = 124;

/// Asks a server for the time; the machine's clock is only compared, never set (`-Q`).
///
/// # Errors
/// When chronyd cannot be run at all.
pub fn ask(network: &Network, device: &Device, host: &str, limit_seconds: u64) -> Result<Attempt> {
    let mut command = device.namespace.command("chronyd");
    command.args(["-Q", "-4", "-u", "root", "-t", &limit_seconds.to_string()]);
    command.arg(format!("server {host} iburst maxsamples 1"));
    command.arg(format!("acquisitionport {SOURCE_PORT}"));
    // chronyd removes the file that it is told when it ends: it must be one of the lab's own.
    let pidfile = network.ground.path(&format!("chronyd-{}.pid", device.name()));
    command.arg(format!("pidfile {}", pidfile.display()));
    command.args(["cmdport 0", "bindcmdaddress /"]);
    let done = process::run(command, PATIENCE)?;
    Ok(Attempt::judge(&done, |done| {
        let output = done.stderr.lines().chain(done.stdout.lines());
        let mut offsets = output.filter_map(|line| line.split_once("clock wrong by "));
        let (_prefix, offset) = offsets.next()?;
        Some(format!("offset {}", offset.trim_end_matches(" (ignored)")))
    }))
}
