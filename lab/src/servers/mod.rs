//! The real servers of the internet, and the gateway's DHCP and DNS.

pub mod collector;
pub mod dhcp;
pub mod dns;
pub mod journal;
pub mod mqtt;
pub mod ntp;
pub mod probe;
pub mod receiver;
pub mod responder;
pub mod syslog;
pub mod web;

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::net::{Network, within};
use crate::pki::Authority;
use crate::process::Process;
use crate::wait;
use crate::zone::Zone;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(10);

/// Every server of the lab; dropped, they stop.
#[derive(Debug)]
#[must_use = "dropping the servers stops them"]
pub struct Servers {
    /// The authority that issued the servers' certificates.
    pub authority: Authority,
    /// The internet's resolver.
    pub dns: dns::Dns,
    /// The lab's echo service.
    pub probe: probe::Probe,
    background: Vec<Process>,
}

impl Servers {
    /// Starts them all and waits until each listens.
    ///
    /// # Errors
    /// When a server does not start, with the end of its log.
    pub fn start(network: &Network) -> Result<Self> {
        let authority = Authority::found(&network.ground.path("pki"))?;
        let dns = dns::Dns::start(network, &authority, Zone::of_the_lab())?;
        let probe = probe::Probe::start(network)?;
        let mut background = vec![
            web::start(network, &authority)?,
            mqtt::start(network, &authority)?,
            ntp::start(network)?,
            dhcp::start(network)?,
        ];
        let internet = &network.internet;
        for address in web::addresses().chain(mqtt::addresses()) {
            listens(internet.name(), address)?;
        }
        for server in &mut background {
            server.check()?;
        }
        Ok(Self { authority, dns, probe, background })
    }

    /// Leaves the servers running when this value is dropped (the echo service ends with this process).
    pub fn keep(self) {
        self.dns.keep();
        std::mem::forget(self.background);
    }
}

/// Waits until something listens on a TCP port in the namespace of this name.
fn listens(namespace: &str, address: SocketAddr) -> Result<()> {
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    within(namespace, || wait::until(&format!("a server on {address}"), START, connect))?
        .map(drop)
        .with_context(|| format!("no server on {address}"))
}

fn socket(address: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}
