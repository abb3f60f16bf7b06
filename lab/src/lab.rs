//! A whole lab: network, servers, and the product on the gateway.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clients::dhcp;
use crate::net::plan::{PROBE, PROBE_PORT};
use crate::net::{Device, Network};
use crate::policy::Policy;
use crate::servers::Servers;
use crate::sphere::{Daemon, Sphere};
use crate::wait;

/// How long the first answers may take.
const WARM_UP: Duration = Duration::from_secs(10);

/// A lab; dropped, it is gone. The fields go in this order: daemon, servers, network.
#[derive(Debug)]
#[must_use = "dropping the lab removes it"]
pub struct Lab {
    /// The daemon, while one runs.
    pub daemon: Option<Daemon>,
    /// Every server.
    pub servers: Servers,
    /// The namespaces.
    pub network: Network,
    /// The root certificate that clients trust.
    pub root: PathBuf,
}

impl Lab {
    /// Raises network and servers; nothing is enforced.
    ///
    /// # Errors
    /// When a part cannot be raised; the rest is removed.
    pub fn raise() -> Result<Self> {
        let network = Network::raise().context("cannot raise the network")?;
        let servers = Servers::start(&network).context("cannot start the servers")?;
        let root = servers.authority.certificate();
        Ok(Self { daemon: None, servers, network, root })
    }

    /// Sphere on this lab's gateway.
    ///
    /// # Errors
    /// When the daemon has not been built.
    pub fn sphere(&self) -> Result<Sphere> {
        Sphere::on(&self.network)
    }

    /// Configures Sphere and starts the daemon.
    ///
    /// # Errors
    /// When it does not come to enforce.
    pub fn protect(&mut self, change: impl FnOnce(&mut Policy)) -> Result<Sphere> {
        let sphere = self.sphere()?;
        let mut policy = sphere.policy();
        change(&mut policy);
        sphere.configure(&policy)?;
        self.daemon = Some(sphere.start()?);
        Ok(sphere)
    }

    /// Waits until a device gets through: the daemon has resolved the names for the first time.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn warm_up(&self) -> Result<()> {
        let device = self.device(0)?;
        let probe = SocketAddr::new(PROBE.into(), PROBE_PORT);
        device.namespace.enter(|| {
            wait::until("the first allowed connection", WARM_UP, || {
                TcpStream::connect_timeout(&probe, Duration::from_millis(200)).ok().map(drop)
            })
        })?
    }

    /// Starts the daemon again with the policy as it is.
    ///
    /// # Errors
    /// When it does not come to enforce.
    pub fn restart(&mut self, sphere: &Sphere) -> Result<&Daemon> {
        Ok(self.daemon.insert(sphere.start()?))
    }

    /// Kills the daemon with SIGKILL.
    ///
    /// # Errors
    /// When there is none.
    pub fn kill_daemon(&mut self) -> Result<()> {
        self.daemon.take().context("no daemon runs")?.kill()
    }

    /// Gives every device its address by DHCP.
    ///
    /// # Errors
    /// When a device does not get the one that it should.
    pub fn address_devices(&self) -> Result<()> {
        let devices = self.network.devices.iter().chain([&self.network.hostile]);
        for device in devices {
            let attempt = dhcp::lease(&self.network, device)?;
            ensure!(attempt.succeeded, "{} got no address: {}", device.name(), attempt.detail);
        }
        Ok(())
    }

    /// The `index`th of the well-behaved devices.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn device(&self, index: usize) -> Result<&Device> {
        self.network.devices.get(index).with_context(|| format!("no device {index}"))
    }

    /// Leaves everything running when this value is dropped.
    ///
    /// # Errors
    /// When the mark that protects it from the next run cannot be written.
    pub fn keep(mut self) -> Result<Network> {
        self.network.keep()?;
        std::mem::forget(self.daemon);
        self.servers.keep();
        Ok(self.network)
    }
}
