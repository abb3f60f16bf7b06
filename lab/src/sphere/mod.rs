//! The product under test: its daemon on the gateway, its records, its status.

mod daemon;
mod meter;
mod records;
mod replica;
mod status;
mod tables;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

pub use daemon::Daemon;
pub use meter::Meter;
pub use records::{Record, Records};
pub use replica::{Judgement, Replica};
pub use status::{Counters, Sink, Status};
pub use tables::{Endpoints, Service};

use crate::net::Network;
use crate::policy::Policy;
use crate::process::{self, Finished};
use crate::program;

/// How long a command of `sphere` may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Sphere as it is installed on the lab's gateway.
#[derive(Clone, Debug)]
pub struct Sphere {
    binary: PathBuf,
    gateway: String,
    config: PathBuf,
    denied: PathBuf,
    store: PathBuf,
    history: PathBuf,
    pin_root: PathBuf,
    notify: PathBuf,
    log: PathBuf,
}

impl Sphere {
    /// Finds the daemon; nothing is started.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn on(network: &Network) -> Result<Self> {
        let ground = &network.ground;
        Ok(Self {
            binary: program::sphere()?,
            gateway: network.gateway.name().to_owned(),
            config: ground.path("sphere.toml"),
            denied: ground.path("denied.jsonl"),
            store: ground.path("store"),
            history: ground.path("policies"),
            pin_root: ground.bpffs().join("sphere"),
            notify: ground.path("notify"),
            log: ground.path("sphere.log"),
        })
    }

    /// The policy to start from.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy::of_the_lab(&self.denied, &self.store, &self.history)
    }

    /// Writes the policy file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, policy: &Policy) -> Result<()> {
        std::fs::write(&self.config, policy.render()).context("cannot write the policy")
    }

    /// Starts the daemon, and waits until it says that it enforces.
    ///
    /// # Errors
    /// When it ends instead, with the end of its log, or takes too long.
    pub fn start(&self) -> Result<Daemon> {
        let command = self.command(&["run", "--config", &self.config.display().to_string()]);
        Daemon::start(command, &self.notify, &self.log)
    }

    /// A command of `sphere` on the gateway, for this lab's pins.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare();
        command.args(arguments).arg("--pin-root").arg(&self.pin_root);
        command
    }

    /// `sphere` on the gateway, without arguments.
    #[must_use]
    pub fn bare(&self) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.gateway]).arg(&self.binary);
        command
    }

    /// Path of the binary.
    #[must_use]
    pub fn binary(&self) -> &PathBuf {
        &self.binary
    }

    /// Path of the policy file.
    #[must_use]
    pub fn config(&self) -> &PathBuf {
        &self.config
    }

    /// Directory of the account of denials.
    #[must_use]
    pub fn store(&self) -> &PathBuf {
        &self.store
    }

    /// Path of the file of records.
    #[must_use]
    pub fn denied(&self) -> &PathBuf {
        &self.denied
    }

    /// Path of the pins.
    #[must_use]
    pub fn pin_root(&self) -> &PathBuf {
        &self.pin_root
    }

    /// What is enforced now, read from the kernel.
    ///
    /// # Errors
    /// When `sphere status` fails or says something unknown.
    pub fn status(&self) -> Result<Status> {
        let text = process::must(self.command(&["status", "--json"]), LIMIT)?;
        Status::parse(&text)
    }

    /// Runs `sphere detach`.
    ///
    /// # Errors
    /// When it cannot be run at all.
    pub fn detach(&self) -> Result<Finished> {
        process::run(self.command(&["detach"]), LIMIT)
    }

    /// The records of denied flows from here on.
    #[must_use]
    pub fn records(&self) -> Records {
        Records::follow(&self.denied)
    }
}
