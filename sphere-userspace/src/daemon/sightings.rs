//! Taking up what devices were told: what the programs saw, and what they left to the daemon.

use std::collections::{BTreeMap, HashMap};

use super::core::{Core, DaemonError, Learned};
use crate::datapath::{Datapath, monotonic};
use crate::overhear::Overheard;
use crate::policy::{DomainName, GroupName};
use crate::reconcile::{Heard, Inputs, Lease, Sighting, Step, teach};

/// What came of an answer that was left to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// The device had not asked.
    Unasked,
    /// No rule of its group allows the name.
    Ignored,
    /// So many addresses were learned.
    Learned(usize),
}

impl<D: Datapath> Core<D> {
    /// Takes up what the programs saw in answers, if they saw any since the last time.
    ///
    /// # Errors
    ///
    /// When a table cannot be read.
    pub fn take_sightings(&mut self) -> Result<Learned, DaemonError> {
        let learned = self.datapath.learned()?;
        if self.sighted == Some(learned) {
            return Ok(Learned::Nothing);
        }
        self.take_all_sightings()?;
        self.sighted = Some(learned);
        // The programs have written their entries. What was lost when both wrote at once is put right soon.
        Ok(Learned::Ends)
    }

    /// Takes up every sighting that the policy allows.
    ///
    /// # Errors
    ///
    /// When a table cannot be read.
    pub(super) fn take_all_sightings(&mut self) -> Result<(), DaemonError> {
        let (clock, now, grace) = (self.datapath.clock()?, monotonic::now(), self.policy.resolver.grace);
        let mut facts: HashMap<(DomainName, GroupName), Vec<(std::net::IpAddr, Lease)>> = HashMap::new();
        for (key, value) in self.datapath.sightings()? {
            let Some(sighting) = Sighting::read(&key, &value, &clock, &self.installed) else { continue };
            if sighting.ends > now && self.allowed.allow(&sighting.name, Some(&sighting.group)) {
                let fact = (sighting.address, sighting.lease(grace));
                facts.entry((sighting.name, sighting.group)).or_default().push(fact);
            }
        }
        for ((name, group), facts) in facts {
            self.directory.learn(name.as_str(), facts.iter().map(|(address, _)| *address));
            self.leases.put_all(&name, Some(&group), facts);
        }
        Ok(())
    }

    /// Learns from an answer that the programs could not judge, and opens at once what it brings.
    ///
    /// # Errors
    ///
    /// When a table cannot be read or written.
    pub fn overhear(&mut self, overheard: &Overheard) -> Result<Lesson, DaemonError> {
        let Overheard { group, exchange, is_asked, records } = overheard;
        let Ok(name) = DomainName::parse(&exchange.name) else { return Ok(Lesson::Ignored) };
        if !is_asked && !self.datapath.is_asked(exchange)? {
            tracing::debug!(%name, device = %exchange.device, "answer that the device did not ask for");
            return Ok(Lesson::Unasked);
        }
        let clock = self.datapath.clock()?;
        let (policy, leases, facts) = (&self.policy, &self.leases, &self.facts);
        let inputs = Inputs { policy, leases, facts, clock: &clock, now: monotonic::now() };
        let share = self.datapath.shares_left()?.get(group).copied().unwrap_or_default();
        let heard = Heard { group: *group, device: exchange.device, name: &name, records, share };
        let Some(taught) = teach(&inputs, &self.installed, &heard) else { return Ok(Lesson::Ignored) };
        if taught.refused + taught.over_quota > 0 {
            let (refused, over_quota) = (taught.refused, taught.over_quota);
            tracing::warn!(%name, refused, over_quota, "addresses of an answer not learned");
        }
        let learned = taught.leases.len();
        self.apply(&taught.changes)?;
        for step in taught.changes.steps {
            match step {
                Step::PutEndpoint4(key, value) => drop(self.installed.endpoints4.insert(key, value)),
                Step::PutEndpoint6(key, value) => drop(self.installed.endpoints6.insert(key, value)),
                _ => {}
            }
        }
        self.datapath.note_sightings(&taught.sightings)?;
        self.directory.learn(name.as_str(), taught.leases.iter().map(|(address, _)| *address));
        if let Some(group) = self.directory.group(*group).and_then(|group| GroupName::parse(&group)) {
            self.leases.put_all(&name, Some(&group), taught.leases);
        }
        if taught.new > 0 {
            let left = share.saturating_sub(taught.new);
            self.datapath.set_shares(&BTreeMap::from([(*group, left)]))?;
        }
        Ok(Lesson::Learned(learned))
    }
}
