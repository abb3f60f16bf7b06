//! The internet's resolver: unbound, authoritative for a root zone that the lab rewrites at will.
//!
//! One process answers at the approved address and at a foreign one (there over TLS too).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{listens, socket};
use crate::net::plan::{FOREIGN_RESOLVER, RESOLVER};
use crate::net::{Namespace, Network};
use crate::pki::{Authority, Certificate};
use crate::process::{self, Process};
use crate::zone::Zone;

/// The running resolver and its zone.
#[derive(Debug)]
pub struct Dns {
    zone: Zone,
    zone_file: PathBuf,
    config: PathBuf,
    log: PathBuf,
    namespace: String,
    process: Option<Process>,
}

impl Dns {
    /// Starts the resolver with a zone.
    pub(super) fn start(network: &Network, authority: &Authority, zone: Zone) -> Result<Self> {
        let certificate = authority.issue("resolver.example.org")?;
        let mut dns = Self {
            zone,
            zone_file: network.ground.path("root.zone"),
            config: network.ground.path("unbound.conf"),
            log: network.ground.path("unbound.log"),
            namespace: network.internet.name().to_owned(),
            process: None,
        };
        let control = network.ground.path("unbound.ctl");
        let text = configuration(&dns.zone_file, &control, &certificate);
        fs::write(&dns.config, text)?;
        fs::write(&dns.zone_file, dns.zone.render())?;
        dns.up(&network.internet)?;
        Ok(dns)
    }

    /// Changes the zone and waits until the resolver answers from it.
    ///
    /// # Errors
    /// When the resolver does not take it over.
    pub fn change(&mut self, change: impl FnOnce(&mut Zone)) -> Result<()> {
        change(&mut self.zone);
        fs::write(&self.zone_file, self.zone.render())?;
        if self.process.is_none() {
            return Ok(());
        }
        let mut control = Command::new("unbound-control");
        control.arg("-c").arg(&self.config);
        control.args(["auth_zone_reload", "."]);
        process::must(control, Duration::from_secs(5)).map(drop)
    }

    /// Ends the resolver: its port is closed.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn down(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Process::kill)
    }

    /// Starts it again, with the zone as it is now.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn up(&mut self, internet: &Namespace) -> Result<()> {
        debug_assert_eq!(internet.name(), self.namespace);
        let mut command = internet.command("unbound");
        command.arg("-d").arg("-c").arg(&self.config);
        self.process = Some(Process::start("unbound", command, &self.log)?);
        listens(internet.name(), socket(RESOLVER, 53))?;
        listens(internet.name(), socket(FOREIGN_RESOLVER, 853))
    }

    /// Freezes the resolver: questions stay unanswered.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), |process| process.signal(Signal::SIGSTOP))
    }

    /// Lets a frozen resolver go on with another zone.
    ///
    /// # Errors
    /// When it does not run, or does not take the zone over.
    pub fn thaw(&mut self, change: impl FnOnce(&mut Zone)) -> Result<()> {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGCONT)?;
        }
        self.change(change)
    }

    pub(super) fn keep(self) {
        std::mem::forget(self.process);
    }
}

fn configuration(zone: &Path, control: &Path, certificate: &Certificate) -> String {
    let Certificate { certificate, key } = certificate;
    format!(
        "server:\n  \
         interface: {RESOLVER}\n  interface: {FOREIGN_RESOLVER}\n  interface: {FOREIGN_RESOLVER}@853\n  \
         tls-port: 853\n  tls-service-pem: \"{}\"\n  tls-service-key: \"{}\"\n  \
         access-control: 0.0.0.0/0 allow\n  module-config: \"iterator\"\n  \
         username: \"\"\n  chroot: \"\"\n  directory: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  \
         do-daemonize: no\n  num-threads: 1\n  msg-cache-size: 1m\n  rrset-cache-size: 1m\n\
         auth-zone:\n  name: \".\"\n  zonefile: \"{}\"\n  for-downstream: yes\n  for-upstream: no\n  \
         fallback-enabled: no\n\
         remote-control:\n  control-enable: yes\n  control-interface: \"{}\"\n  control-use-cert: no\n",
        certificate.display(),
        key.display(),
        zone.display(),
        control.display(),
    )
}
