//! DHCP with busybox's udhcpc, whose script sets address, route and resolver as on a real device.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::Result;

use super::{Attempt, PATIENCE};
use crate::net::{Device, Network};
use crate::process;

const SCRIPT: &str = r#"#!/bin/sh
# Called by udhcpc; /etc/resolv.conf is the device's own.
case "$1" in
bound|renew)
    ip address replace "$ip/$mask" dev "$interface"
    ip route replace default via "$router" dev "$interface"
    : >/etc/resolv.conf
    for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
    echo "options timeout:2 attempts:2" >>/etc/resolv.conf
    echo "bound $ip"
    ;;
esac
"#;

/// Asks for an address and takes it.
///
/// # Errors
/// When the client cannot be run at all.
pub fn lease(network: &Network, device: &Device) -> Result<Attempt> {
    let script = script(network)?;
    let mut command = device.namespace.command("udhcpc");
    command.args(["-i", "eth0", "-f", "-q", "-n", "-t", "6", "-T", "1", "-s"]);
    command.arg(script);
    let done = process::run(command, PATIENCE)?;
    let expected = format!("bound {}", device.ipv4);
    Ok(Attempt::judge(&done, |done| {
        let bound = done.stdout.lines().any(|line| line.trim() == expected);
        bound.then(|| device.ipv4.to_string())
    }))
}

fn script(network: &Network) -> Result<PathBuf> {
    let path = network.ground.path("udhcpc.sh");
    if !path.exists() {
        fs::write(&path, SCRIPT)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    Ok(path)
}
