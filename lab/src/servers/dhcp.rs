//! dnsmasq on the gateway: DHCP for the devices, and a forwarding resolver without a cache.
//!
//! Devices are told to ask the internet's resolver, so that their questions cross the gateway; the
//! gateway's own resolver is there to be asked as well.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;

use crate::net::Network;
use crate::net::plan::{GATEWAY4, RESOLVER};
use crate::process::Process;

/// Starts dnsmasq on the device port of the gateway.
pub(super) fn start(network: &Network) -> Result<Process> {
    let path = |name: &str| network.ground.path(name).display().to_string();
    let mut text = format!(
        "keep-in-foreground\nuser=root\ninterface=lan0\nexcept-interface=lo\nbind-interfaces\n\
         no-resolv\nno-hosts\nno-ping\nserver={RESOLVER}\ncache-size=0\n\
         dhcp-range=10.20.0.200,10.20.0.250,255.255.255.0,1h\ndhcp-authoritative\n\
         dhcp-option=option:router,{GATEWAY4}\ndhcp-option=option:dns-server,{RESOLVER}\n\
         dhcp-leasefile={}\npid-file={}\n",
        path("dnsmasq.leases"),
        path("dnsmasq.pid"),
    );
    for device in network.devices.iter().chain([&network.hostile]) {
        writeln!(text, "dhcp-host={},{}", device.mac_text(), device.ipv4)?;
    }
    let config = network.ground.path("dnsmasq.conf");
    fs::write(&config, text)?;
    let mut command = network.gateway.command("dnsmasq");
    command.arg(format!("--conf-file={}", config.display()));
    Process::start("dnsmasq", command, &network.ground.path("dnsmasq.log"))
}
