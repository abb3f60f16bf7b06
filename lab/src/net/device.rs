//! A device: a namespace with one port on the switch.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::namespace::Namespace;
use super::plan::GATEWAY6;
use crate::process::{self, Finished};

/// A simulated device with interface `eth0`.
#[derive(Debug)]
pub struct Device {
    /// Where it lives.
    pub namespace: Namespace,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// The IPv4 address that DHCP gives it.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address.
    pub ipv6: Ipv6Addr,
    number: usize,
}

impl Device {
    /// Connects a namespace to the switch; `number` makes up its addresses.
    pub(super) fn plug_in(namespace: Namespace, switch: &Namespace, number: usize) -> Result<Self> {
        let low = u8::try_from(number).context("device number")?;
        let device = Self {
            mac: [0x02, 0, 0, 0x20, 0, low],
            ipv4: Ipv4Addr::new(10, 20, 0, 100 + low),
            ipv6: Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, u16::from(low) + 0x100),
            namespace,
            number,
        };
        let port = format!("port{number}");
        switch.ip(&super::pair(&port, "eth0", &device.namespace))?;
        switch.ip(&format!("link set {port} master br0\nlink set {port} up"))?;
        device.namespace.ip(&format!(
            "link set eth0 address {}\nlink set eth0 up\n\
             address add {}/64 dev eth0 nodad\nroute add default via {GATEWAY6}",
            device.mac_text(),
            device.ipv6
        ))?;
        device.switch_off_offloads()?;
        Ok(device)
    }

    /// Short name: `dev1`, `hostile`.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.namespace.name();
        name.rsplit_once('-').map_or(name, |(_prefix, name)| name)
    }

    /// Its MAC address as text.
    #[must_use]
    pub fn mac_text(&self) -> String {
        self.mac.map(|byte| format!("{byte:02x}")).join(":")
    }

    /// Its number, unique in the network.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Runs a client on the device, for at most `limit`.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub fn run(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<Finished> {
        let mut command = self.namespace.command(program);
        command.args(arguments);
        process::run(command, limit)
    }

    /// A device's frames are finished when they leave it: over veth, checksums and segmentation would be left
    /// to a network card that does not exist, and neither XDP nor a capture would see what is on the wire.
    fn switch_off_offloads(&self) -> Result<()> {
        let mut command: Command = self.namespace.command("ethtool");
        command.args("-K eth0 tx off tso off gso off gro off".split(' '));
        process::must(command, Duration::from_secs(5)).map(drop)
    }
}
