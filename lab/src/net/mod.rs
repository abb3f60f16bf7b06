//! The isolated network: devices – switch – gateway – internet, each a network namespace.
//!
//! Nothing here is connected to the machine's own network: the only links are the veth pairs made below.

mod device;
mod ground;
mod namespace;
pub mod pass;
pub mod plan;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

pub use device::Device;
pub use ground::{Ground, Leftovers, reap, remove_own};
pub use namespace::Namespace;
pub(crate) use namespace::within;

use crate::process;
use plan::{DEVICES4, DEVICES6, GATEWAY_MAC, GATEWAY4, GATEWAY6, INTERNET4, INTERNET6, SERVED, WAN4, WAN6};

/// Names of the device namespaces that walk the boot chain.
const FLEET: [&str; 3] = ["dev1", "dev2", "dev3"];
/// Name and number of the device that does what it should not.
const HOSTILE: (&str, usize) = ("hostile", 66);
/// The address that DHCP gives the hostile device.
pub const HOSTILE4: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 166);

/// The whole network; dropped, it is gone.
#[derive(Debug)]
#[must_use = "dropping the network removes it"]
pub struct Network {
    /// The devices that behave.
    pub devices: Vec<Device>,
    /// The device that does not.
    pub hostile: Device,
    /// The switch between the devices and the gateway.
    pub switch: Namespace,
    /// The gateway, with device port `lan0` and `wan0`.
    pub gateway: Namespace,
    /// The internet: `eth0` towards the gateway, all servers.
    pub internet: Namespace,
    /// Prefix, directory and BPF file system. Last, so that it goes after the namespaces.
    pub ground: Ground,
}

impl Network {
    /// Raises the network, without servers and without enforcement.
    ///
    /// # Errors
    /// When a namespace, link or rule cannot be made; what was made is removed.
    pub fn raise() -> Result<Self> {
        let ground = Ground::take()?;
        let create = |name: &str| Namespace::create(&format!("{}-{name}", ground.prefix()));
        let switch = create("switch")?;
        let gateway = create("gateway")?;
        let internet = create("internet")?;
        switch.ip(&switch_lines())?;
        switch.ip(&pair("uplink", "lan0", &gateway))?;
        switch.ip("link set uplink master br0\nlink set uplink up")?;
        be_a_wire(&ground, &switch)?;
        forward_as_a_switch(&switch)?;
        build_gateway(&gateway, &internet)?;
        build_internet(&internet)?;
        let mut devices = Vec::new();
        for (index, name) in FLEET.iter().enumerate() {
            devices.push(Device::plug_in(create(name)?, &switch, index + 1)?);
        }
        let hostile = Device::plug_in(create(HOSTILE.0)?, &switch, HOSTILE.1)?;
        Ok(Self { devices, hostile, switch, gateway, internet, ground })
    }

    /// Every namespace.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        let devices = self.devices.iter().chain([&self.hostile]);
        let devices = devices.map(|device| &device.namespace);
        [&self.gateway, &self.internet, &self.switch].into_iter().chain(devices)
    }

    /// Leaves everything standing when this value is dropped.
    ///
    /// # Errors
    /// When the mark that protects it from the next run cannot be written.
    pub fn keep(&mut self) -> Result<()> {
        self.ground.keep()?;
        for device in self.devices.iter_mut().chain([&mut self.hostile]) {
            device.namespace.keep();
        }
        self.switch.keep();
        self.gateway.keep();
        self.internet.keep();
        Ok(())
    }
}

/// A veth pair with one queue each way: native XDP wants no fewer receive queues than the peer has transmit
/// queues, and with one queue frames stay in order, which the lab's proofs rest on.
fn pair(name: &str, peer: &str, peer_namespace: &Namespace) -> String {
    format!(
        "link add {name} numtxqueues 1 numrxqueues 1 type veth \
         peer name {peer} netns {} numtxqueues 1 numrxqueues 1\n",
        peer_namespace.name()
    )
}

fn switch_lines() -> String {
    "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set br0 up\n".to_owned()
}

/// Without the first the bridge hands over the outer VLAN tag beside the frame, where XDP does not see it: on a real
/// wire it is in the frame. Without the second veth does not take in what XDP on the other end sends back: it wakes its
/// peer's receiver only where that has a program too (`veth_xdp_flush` in the kernel's drivers/net/veth.c).
fn be_a_wire(ground: &Ground, switch: &Namespace) -> Result<()> {
    let mut command = switch.command("ethtool");
    command.args("-K uplink txvlan off tx-vlan-stag-hw-insert off".split(' '));
    process::must(command, Duration::from_secs(5))?;
    pass::attach(ground, switch, "uplink", "wire")
}

/// Without this netfilter looks into bridged frames, and drops malformed ones before Sphere can see them. Kernels
/// without bridge netfilter have no such parameters.
fn forward_as_a_switch(switch: &Namespace) -> Result<()> {
    for table in ["iptables", "ip6tables", "arptables"] {
        let parameter = format!("net/bridge/bridge-nf-call-{table}");
        if Path::new("/proc/sys").join(&parameter).exists() {
            switch.sysctl(&parameter, "0")?;
        }
    }
    Ok(())
}

fn build_gateway(gateway: &Namespace, internet: &Namespace) -> Result<()> {
    gateway.sysctl("net/ipv4/ip_forward", "1")?;
    gateway.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    // The kernel itself must not stop what the lab wants to see stopped by Sphere.
    gateway.sysctl("net/ipv4/conf/all/rp_filter", "0")?;
    gateway.sysctl("net/ipv4/conf/default/rp_filter", "0")?;
    gateway.sysctl("net/ipv4/conf/all/send_redirects", "0")?;
    gateway.ip(&pair("wan0", "eth0", internet))?;
    gateway.ip(&format!(
        "link set lan0 address {GATEWAY_MAC}\n\
         address add {GATEWAY4}/24 dev lan0\n\
         address add {GATEWAY6}/64 dev lan0 nodad\n\
         link set lan0 up\n\
         address add {WAN4}/24 dev wan0\n\
         address add {WAN6}/64 dev wan0 nodad\n\
         link set wan0 up\n\
         route add default via {INTERNET4}\n\
         route add default via {INTERNET6}\n"
    ))?;
    gateway.nft(
        "table ip lab { chain postrouting { type nat hook postrouting priority srcnat; \
         oifname \"wan0\" masquerade; }\n}\n",
    )
}

fn build_internet(internet: &Namespace) -> Result<()> {
    let mut lines = format!(
        "address add {INTERNET4}/24 dev eth0\n\
         address add {INTERNET6}/64 dev eth0 nodad\n\
         link set eth0 up\n\
         route add {DEVICES4} via {WAN4}\n\
         route add {DEVICES6} via {WAN6}\n"
    );
    for prefix in SERVED {
        // Every address of the prefix is local: servers may bind to any, unused ones answer with RST.
        writeln!(lines, "route add local {prefix} dev lo")?;
    }
    internet.sysctl("net/ipv4/conf/all/rp_filter", "0")?;
    internet.sysctl("net/ipv4/conf/default/rp_filter", "0")?;
    // For IPv6 a local route alone does not let a server bind.
    internet.sysctl("net/ipv6/ip_nonlocal_bind", "1")?;
    // A scan must see every closed port, not what a rate limit lets through.
    internet.sysctl("net/ipv4/icmp_ratelimit", "0")?;
    internet.ip(&lines)
}
