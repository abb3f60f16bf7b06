//! What the daemon does when something happened: plain code, one owner of the tables, no waiting.
//!
//! Whatever happens ends in [`Core::reconcile`]: desired tables from policy, leases and the gateway as it is; the
//! difference to what is installed; the data plane takes the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::news::News;
use crate::audit::Directory;
use crate::datapath::{Datapath, DatapathError, PortSpec, Survey, Surveyor, monotonic, snapshot};
use crate::ladder::{Ladder, Shared, Signposts};
use crate::metrics::{PolicyLoads, PolicyMarks};
use crate::policy::Policy;
use crate::reconcile::{
    AllowedNames, Changeset, Desired, GatewayFacts, Inputs, Installed, LeaseSource, LeaseTerms, Leases, Misfit,
    Standings, shares,
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

/// Sweeps in a row that may be overtaken.
const PATIENCE: u32 = 2;

/// The owner of the tables.
#[derive(Debug)]
pub struct Core<D> {
    pub(super) datapath: D,
    pub(super) policy: Policy,
    pub(super) marks: Arc<PolicyMarks>,
    pub(super) loads: PolicyLoads,
    pub(super) allowed: AllowedNames,
    pub(super) leases: Leases,
    pub(super) standings: Standings,
    pub(super) facts: GatewayFacts,
    pub(super) installed: Installed,
    pub(super) directory: Arc<Directory>,
    unprotected: BTreeSet<String>,
    news: News,
    /// How often the programs had learned an address when their sightings were read.
    pub(super) sighted: Option<u64>,
    /// What each group could still learn when that was last worked out.
    given: BTreeMap<u32, u32>,
    /// How often the tables were written: what was read before is not what they hold.
    writes: u64,
    /// Sweeps in a row whose findings were overtaken.
    overtaken: u32,
    /// Where devices stand.
    ladder: Shared,
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
        for name in leases.names() {
            directory.learn(name.as_str(), leases.of(name).map(|(address, _)| address));
        }
        let since = u64::try_from(monotonic::now().since_zero().as_millis()).ok();
        let ladder = Shared::new(Ladder::new(policy.limits.devices, since));
        let mut core = Self {
            datapath,
            allowed: AllowedNames::new(&policy),
            marks: Arc::new(PolicyMarks::of(&policy)),
            loads: PolicyLoads::first(SystemTime::now()),
            policy,
            leases,
            standings: Standings::default(),
            facts,
            installed,
            directory,
            unprotected: BTreeSet::new(),
            news: News::default(),
            sighted: None,
            given: BTreeMap::new(),
            writes: 0,
            overtaken: 0,
            ladder,
        };
        core.take_sightings()?;
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
        // Before the programs see the first answer: a share of nothing is what new tables begin with.
        self.share()?;
        self.datapath.guard(&ports)?;
        self.set_signposts();
        Ok(())
    }

    /// Puts another policy in force; the old one stays when this one cannot be.
    ///
    /// # Errors
    ///
    /// As [`Core::begin`].
    pub fn reload(&mut self, mut policy: Policy) -> Result<(), DaemonError> {
        if fixed(&policy) != fixed(&self.policy) {
            tracing::warn!("[daemon], [records], [limits], [metrics] and [store] take effect at the next start");
            policy.limits = self.policy.limits;
            policy.daemon = self.policy.daemon.clone();
            policy.records = self.policy.records.clone();
            policy.store = self.policy.store.clone();
            policy.metrics = self.policy.metrics.clone();
        }
        let old = self.follow(policy);
        if let Err(error) = self.take_all_sightings().and_then(|()| self.begin()) {
            self.follow(old);
            self.reconcile()?;
            self.set_signposts();
            self.share()?;
            return Err(error);
        }
        Ok(())
    }

    /// Tells the ladder which endpoints belong to which step.
    fn set_signposts(&self) {
        let signposts = Signposts::of_policy(&self.policy, &self.installed);
        let room = self.policy.limits.devices;
        self.ladder.with(|ladder| ladder.follow(signposts, room));
    }

    /// Where devices stand.
    #[must_use]
    pub fn ladder(&self) -> &Shared {
        &self.ladder
    }

    /// Goes by another policy; gives back the old one.
    fn follow(&mut self, policy: Policy) -> Policy {
        self.allowed = AllowedNames::new(&policy);
        self.marks = Arc::new(PolicyMarks::of(&policy));
        std::mem::replace(&mut self.policy, policy)
    }

    /// Tells the programs what each group may still learn.
    ///
    /// # Errors
    ///
    /// When the table cannot be written.
    pub(super) fn share(&mut self) -> Result<(), DaemonError> {
        let shares = shares(&self.policy, &self.installed);
        self.datapath.set_shares(&shares)?;
        self.given = shares;
        Ok(())
    }

    /// Whether a group has learned more than half of what it could learn: what has ended is to be taken away before it
    /// has nothing left.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub fn is_share_short(&self) -> Result<bool, DaemonError> {
        let left = self.datapath.shares_left()?;
        let is_short = |(group, given): (&u32, &u32)| left.get(group).is_some_and(|left| *left < given / 2);
        Ok(self.given.iter().any(is_short))
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How every question stands.
    #[must_use]
    pub fn standings(&self) -> &Standings {
        &self.standings
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
        self.directory.learn(name.as_str(), answer.records.iter().map(|record| record.address));
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
        self.apply(&changes)?;
        self.installed = desired.tables;
        self.tell_directory();
        Ok(())
    }

    /// Takes the steps of a changeset; what is installed is known again when that fails.
    pub(super) fn apply(&mut self, changes: &Changeset) -> Result<(), DaemonError> {
        self.writes += 1;
        if let Err(error) = self.datapath.apply(changes) {
            // Some steps were taken: what is installed now is in the tables.
            self.installed = self.datapath.installed()?;
            return Err(error.into());
        }
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
            if state.ifindex.is_none() || state.renamed.is_some() {
                if is_news {
                    tracing::warn!(interface = %port.interface, why, "port is unprotected until the interface is back");
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
        let (surveyor, writes) = self.begin_sweep()?;
        let survey = surveyor()?;
        self.end_sweep(survey, writes)
    }

    /// The part of a sweep that takes its time and needs nothing of this: to be done elsewhere. What it finds goes to
    /// [`Core::end_sweep`], with the number that is given back.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn begin_sweep(&self) -> Result<(Surveyor, u64), DaemonError> {
        Ok((self.datapath.surveyor()?, self.writes))
    }

    /// Takes up what a sweep found. Where the tables were written meanwhile, they are not what was found; now and then
    /// they are read here instead.
    ///
    /// # Errors
    ///
    /// When a table cannot be read or written.
    pub fn end_sweep(&mut self, survey: Survey, writes: u64) -> Result<(), DaemonError> {
        tracing::debug!(swept = ?survey.swept, "swept");
        let directory = &self.directory;
        let names = |peer| directory.names(peer).iter().map(|name| (**name).to_owned()).collect();
        self.ladder.with(|ladder| ladder.take(&survey.traces, &survey.installed.rule_labels, names));
        self.standings.keep(&self.policy.names());
        let allowed = &self.allowed;
        if self.leases.prune(|name, group| allowed.allow(name, group), monotonic::now()) > 0 {
            self.directory.keep(&self.leases.iter().map(|(_, address, _)| address).collect());
        }
        if writes == self.writes {
            self.installed = survey.installed;
            self.overtaken = 0;
        } else if self.overtaken < PATIENCE {
            self.overtaken += 1;
        } else {
            self.installed = self.datapath.installed()?;
            self.overtaken = 0;
        }
        self.reconcile()?;
        self.share()
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
/// What takes effect at the next start only.
fn fixed(policy: &Policy) -> impl PartialEq + use<'_> {
    (&policy.limits, &policy.daemon, &policy.records, &policy.store, &policy.metrics)
}

fn port_specs(policy: &Policy) -> Vec<PortSpec> {
    let spec = |port: &crate::policy::Interface| PortSpec { interface: port.name.to_string(), mode: port.attach };
    policy.interfaces.iter().map(spec).collect()
}
