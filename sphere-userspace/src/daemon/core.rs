//! What the daemon does when something happened: plain code, one owner of the tables, no waiting.
//!
//! Whatever happens ends in [`Core::reconcile`]: desired tables from policy, leases and the gateway as it is; the
//! difference to what is installed; the data plane takes the steps.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::news::News;
use crate::audit::Directory;
use crate::datapath::{Datapath, DatapathError, PortSpec, monotonic, snapshot};
use crate::policy::Policy;
use crate::reconcile::{
    Changeset, Desired, GatewayFacts, Inputs, Installed, LeaseSource, LeaseTerms, Leases, Misfit, Standings,
};
use crate::resolve::{Outcome, Resolution};

/// What can go wrong in the daemon.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The data plane.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    /// The policy does not fit the tables.
    #[error(transparent)]
    Misfit(#[from] Misfit),
}

/// What came of a question, as far as the tables go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Learned {
    /// Nothing.
    Nothing,
    /// Something to tell, together with what else is to be told.
    News,
    /// Known addresses hold for longer: the tables can wait for more of it.
    Ends,
    /// New addresses: devices may be about to use them.
    Addresses,
}

/// The owner of the tables.
#[derive(Debug)]
pub struct Core<D> {
    datapath: D,
    policy: Policy,
    leases: Leases,
    standings: Standings,
    facts: GatewayFacts,
    installed: Installed,
    directory: Arc<Directory>,
    unprotected: BTreeSet<String>,
    news: News,
}

impl<D: Datapath> Core<D> {
    /// Takes up what the data plane holds; changes nothing.
    ///
    /// # Errors
    ///
    /// When the data plane cannot be read.
    pub fn open(datapath: D, policy: Policy, directory: Arc<Directory>) -> Result<Self, DaemonError> {
        let facts = datapath.facts()?;
        let installed = datapath.installed()?;
        let leases = Leases::restored(&policy, &installed, (&datapath.clock()?, monotonic::now()));
        for (name, address, _) in leases.iter() {
            directory.learn(&name.to_string(), [address]);
        }
        let core = Self {
            datapath,
            policy,
            leases,
            standings: Standings::default(),
            facts,
            installed,
            directory,
            unprotected: BTreeSet::new(),
            news: News::default(),
        };
        core.tell_directory();
        Ok(core)
    }

    /// Puts the policy in force, on every port or on none.
    ///
    /// # Errors
    ///
    /// When a port is missing or taken, or the policy does not fit.
    pub fn begin(&mut self) -> Result<(), DaemonError> {
        let ports = port_specs(&self.policy);
        self.datapath.check(&ports)?;
        self.reconcile()?;
        self.datapath.guard(&ports)?;
        Ok(())
    }

    /// Puts another policy in force; the old one stays when this one cannot be.
    ///
    /// # Errors
    ///
    /// As [`Core::begin`].
    pub fn reload(&mut self, mut policy: Policy) -> Result<(), DaemonError> {
        if policy.limits != self.policy.limits || policy.daemon != self.policy.daemon {
            tracing::warn!("[daemon] and [limits] take effect at the next start");
            policy.limits = self.policy.limits;
            policy.daemon = self.policy.daemon.clone();
        }
        let old = std::mem::replace(&mut self.policy, policy);
        let begun = self.begin();
        if let Err(error) = begun {
            self.policy = old;
            self.reconcile()?;
            return Err(error);
        }
        Ok(())
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The leases.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The data plane.
    #[must_use]
    pub fn datapath(&self) -> &D {
        &self.datapath
    }

    /// The data plane, to be changed.
    pub fn datapath_mut(&mut self) -> &mut D {
        &mut self.datapath
    }

    /// Takes up what came of a question, and says what is to follow.
    pub fn learn(&mut self, resolution: &Resolution) -> Learned {
        let turn = self.standings.record(resolution);
        let is_news = turn.is_some_and(|turn| self.news.note(resolution, &turn));
        let Outcome::Answer(answer) = &resolution.outcome else {
            return if is_news { Learned::News } else { Learned::Nothing };
        };
        let name = &resolution.question.name;
        let terms = LeaseTerms::from(&self.policy.resolver);
        let new = self.leases.learn(name, answer, &terms, (resolution.at, LeaseSource::Polled));
        self.directory.learn(&name.to_string(), answer.records.iter().map(|record| record.address));
        if new > 0 { Learned::Addresses } else { Learned::Ends }
    }

    /// Makes the tables what they should be.
    ///
    /// # Errors
    ///
    /// When the policy does not fit (then nothing is changed), or a table cannot be written.
    pub fn reconcile(&mut self) -> Result<(), DaemonError> {
        let clock = self.datapath.clock()?;
        let (policy, leases, facts) = (&self.policy, &self.leases, &self.facts);
        let inputs = Inputs { policy, leases, facts, clock: &clock, now: monotonic::now() };
        let desired = Desired::new(&inputs, &self.installed)?;
        let changes = Changeset::between(&self.installed, &desired, &policy.limits);
        self.news.tell(&desired, &changes);
        if changes.is_empty() {
            return Ok(());
        }
        tracing::debug!(steps = changes.steps.len(), "tables change");
        if let Err(error) = self.datapath.apply(&changes) {
            // Some steps were taken: what is installed now is in the tables.
            self.installed = self.datapath.installed()?;
            return Err(error.into());
        }
        self.installed = desired.tables;
        self.tell_directory();
        Ok(())
    }

    /// Looks at the interfaces and addresses as they are, and guards again what came back.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer, or a table cannot be written. That a port cannot be guarded is told and tried
    /// again at the next change.
    pub fn look_around(&mut self) -> Result<(), DaemonError> {
        let facts = self.datapath.facts()?;
        if facts != self.facts {
            self.facts = facts;
            self.reconcile()?;
            self.tell_directory();
        }
        let ports = port_specs(&self.policy);
        let names: Vec<String> = ports.iter().map(|port| port.interface.clone()).collect();
        let mut unprotected = BTreeSet::new();
        for (port, state) in ports.iter().zip(self.datapath.ports(&names)?) {
            let Some(why) = state.unprotected() else { continue };
            let is_news = !self.unprotected.contains(&port.interface);
            if state.ifindex.is_none() {
                if is_news {
                    tracing::warn!(interface = %port.interface, "the interface is gone; it is guarded when it is back");
                }
                unprotected.insert(port.interface.clone());
                continue;
            }
            match self.datapath.guard_again(port) {
                Ok(()) => tracing::info!(interface = %port.interface, "guarded again"),
                Err(error) => {
                    if is_news {
                        tracing::error!(interface = %port.interface, why, %error, "port is unprotected");
                    }
                    unprotected.insert(port.interface.clone());
                }
            }
        }
        self.unprotected = unprotected;
        Ok(())
    }

    /// Takes away what has ended: flows, devices, leases, endpoints. The tables are read anew for it, so that what
    /// the programs learned is known, and what somebody else changed is put right.
    ///
    /// # Errors
    ///
    /// When a table cannot be read or written.
    pub fn sweep(&mut self) -> Result<(), DaemonError> {
        let swept = self.datapath.sweep()?;
        tracing::debug!(?swept, "swept");
        let names = self.policy.names();
        self.standings.keep(&names);
        if self.leases.prune(&names, monotonic::now()) > 0 {
            self.directory.keep(&self.leases.iter().map(|(_, address, _)| address).collect());
        }
        self.installed = self.datapath.installed()?;
        self.reconcile()
    }

    /// Whether every port is guarded, as of the last look around.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.unprotected.is_empty()
    }

    /// Gives the names of groups and interfaces to those who write records.
    fn tell_directory(&self) {
        let groups = self.installed.group_labels.iter();
        self.directory.set_groups(groups.map(|(number, label)| (*number, snapshot::text(&label.text))));
        let interfaces = self.facts.interfaces.iter();
        self.directory.set_interfaces(interfaces.map(|(name, facts)| (facts.ifindex, name.to_string())));
    }
}

/// The ports that a policy wants guarded.
fn port_specs(policy: &Policy) -> Vec<PortSpec> {
    let spec = |port: &crate::policy::Interface| PortSpec { interface: port.name.to_string(), mode: port.attach };
    policy.interfaces.iter().map(spec).collect()
}
