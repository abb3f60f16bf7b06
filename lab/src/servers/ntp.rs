//! chrony as time server: one process answers at every address, allowed or not.
//!
//! It serves the machine's clock and never touches it (`-x`).

use std::fs;

use anyhow::Result;

use crate::net::Network;
use crate::process::Process;

/// Starts the time server in the internet.
pub(super) fn start(network: &Network) -> Result<Process> {
    let config = network.ground.path("chrony.conf");
    fs::write(
        &config,
        format!(
            "local stratum 1\nallow all\ncmdport 0\nbindcmdaddress /\npidfile {}\n",
            network.ground.path("chronyd.pid").display()
        ),
    )?;
    let mut command = network.internet.command("chronyd");
    command.args(["-x", "-d", "-u", "root", "-f"]).arg(&config);
    Process::start("chronyd", command, &network.ground.path("chronyd.log"))
}
