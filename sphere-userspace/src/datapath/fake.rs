//! A data plane in memory, for tests of what drives one: it keeps what it was told, in the order it was told.

use std::collections::BTreeMap;
use std::time::Duration;

use sphere_common::abi::{Config, SightingKey, SightingValue};

use super::error::DatapathError;
use super::netlink::XdpMode;
use super::port::{Attachment, PortState};
use super::sweep::Swept;
use super::tc::TcHook;
use super::{Datapath, Exchange, PortSpec, Survey, Surveyor, Traces};
use crate::policy::InterfaceName;
use crate::reconcile::{Changeset, Clock, GatewayFacts, Installed, InterfaceFacts, Moment, Step};

/// What was asked of the data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Steps were taken.
    Apply(Vec<Step>),
    /// Ports were guarded.
    Guard(Vec<String>),
    /// One port was guarded anew.
    GuardAgain(String),
    /// Shares were set.
    Shares,
}

/// The data plane in memory.
#[derive(Clone, Debug)]
pub struct Fake {
    /// The tables.
    pub tables: Installed,
    /// Everything that was asked, in order.
    pub calls: Vec<Call>,
    /// Interfaces and addresses.
    pub gateway: GatewayFacts,
    /// Now, on the monotonic clock.
    pub now: Moment,
    /// Ports that are guarded, with the index of their interface.
    pub guarded: BTreeMap<String, u32>,
    /// Steps until a table is full.
    pub room: usize,
    /// What each group may still learn.
    pub shares: BTreeMap<u32, u32>,
    /// How often an address was learned.
    pub learned: u64,
    /// Addresses that were seen in answers.
    pub sightings: BTreeMap<SightingKey, SightingValue>,
    /// Answers that belong to something that was asked.
    pub asked: Vec<Exchange>,
}

impl Fake {
    /// A data plane on a gateway with these interfaces and addresses.
    #[must_use]
    pub fn new(interfaces: &[(&str, u32, &[&str])]) -> Self {
        let facts = interfaces.iter().filter_map(|(name, ifindex, addresses)| {
            let addresses = addresses.iter().filter_map(|address| address.parse().ok()).collect();
            Some((InterfaceName::parse(name)?, InterfaceFacts { ifindex: *ifindex, addresses }))
        });
        Self {
            tables: Installed::default(),
            calls: Vec::new(),
            gateway: GatewayFacts { interfaces: facts.collect() },
            now: Moment::new(Duration::from_secs(1_000)),
            guarded: BTreeMap::new(),
            room: usize::MAX,
            shares: BTreeMap::new(),
            learned: 0,
            sightings: BTreeMap::new(),
            asked: Vec::new(),
        }
    }

    fn ifindex(&self, interface: &str) -> Option<u32> {
        Some(self.gateway.interfaces.get(&InterfaceName::parse(interface)?)?.ifindex)
    }

    fn take(&mut self, step: &Step) {
        let tables = &mut self.tables;
        match step.clone() {
            Step::PutRuleLabel(rule, label) => {
                tables.rule_labels.insert(rule, *label);
            }
            Step::PutGroupLabel(group, label) => {
                tables.group_labels.insert(group, *label);
            }
            Step::PutEndpoint4(key, value) => {
                tables.endpoints4.insert(key, value);
            }
            Step::PutEndpoint6(key, value) => {
                tables.endpoints6.insert(key, value);
            }
            Step::PutCidr4(key, value) => {
                tables.cidrs4.insert(key, value);
            }
            Step::PutCidr6(key, value) => {
                tables.cidrs6.insert(key, value);
            }
            Step::PutName(key, value) => {
                tables.names.insert(key, *value);
            }
            Step::RemoveName(key) => {
                tables.names.remove(&key);
            }
            Step::PutSubnet(key, value) => {
                tables.subnets.insert(key, value);
            }
            Step::PutConfig(config) => {
                tables.config = Config { clock_offset: 0, seed: 0, ticks_per_second: RATE, ..*config };
            }
            Step::PutPort(ifindex, port) => {
                tables.ports.insert(ifindex, port);
            }
            Step::RemovePort(ifindex) => {
                tables.ports.remove(&ifindex);
            }
            Step::RemoveSubnet(key) => {
                tables.subnets.remove(&key);
            }
            Step::RemoveEndpoint4(key, _) => {
                tables.endpoints4.remove(&key);
            }
            Step::RemoveEndpoint6(key, _) => {
                tables.endpoints6.remove(&key);
            }
            Step::RemoveCidr4(key) => {
                tables.cidrs4.remove(&key);
            }
            Step::RemoveCidr6(key) => {
                tables.cidrs6.remove(&key);
            }
            Step::RemoveRuleLabel(rule) => {
                tables.rule_labels.remove(&rule);
            }
            Step::RemoveGroupLabel(group) => {
                tables.group_labels.remove(&group);
            }
            Step::ClearRuleCounter(_) | Step::CutFlows(_) => {}
        }
    }
}

/// Ticks per second.
const RATE: u32 = 250;

impl Datapath for Fake {
    fn clock(&self) -> Result<Clock, DatapathError> {
        Ok(Clock { ticks_per_second: RATE, anchor: Moment::default(), anchor_ticks: 1 << 32 })
    }

    fn facts(&self) -> Result<GatewayFacts, DatapathError> {
        Ok(self.gateway.clone())
    }

    fn installed(&self) -> Result<Installed, DatapathError> {
        Ok(self.tables.clone())
    }

    fn apply(&mut self, changes: &Changeset) -> Result<(), DatapathError> {
        let fitting = changes.steps.len().min(self.room);
        for step in &changes.steps[..fitting] {
            self.take(step);
        }
        self.calls.push(Call::Apply(changes.steps[..fitting].to_vec()));
        if fitting < changes.steps.len() {
            return Err(DatapathError::Full { map: "FAKE", capacity: 0 });
        }
        Ok(())
    }

    fn check(&self, ports: &[PortSpec]) -> Result<(), DatapathError> {
        for port in ports {
            let interface = port.interface.clone();
            self.ifindex(&interface).ok_or(DatapathError::NoInterface { interface })?;
        }
        Ok(())
    }

    fn guard(&mut self, ports: &[PortSpec]) -> Result<(), DatapathError> {
        let mut guarded = BTreeMap::new();
        for port in ports {
            let interface = port.interface.clone();
            let ifindex =
                self.ifindex(&interface).ok_or(DatapathError::NoInterface { interface: interface.clone() })?;
            guarded.insert(interface, ifindex);
        }
        self.calls.push(Call::Guard(guarded.keys().cloned().collect()));
        self.guarded = guarded;
        Ok(())
    }

    fn guard_again(&mut self, port: &PortSpec) -> Result<(), DatapathError> {
        let interface = port.interface.clone();
        let ifindex = self.ifindex(&interface).ok_or(DatapathError::NoInterface { interface: interface.clone() })?;
        self.guarded.insert(interface.clone(), ifindex);
        self.calls.push(Call::GuardAgain(interface));
        Ok(())
    }

    fn ports(&self, interfaces: &[String]) -> Result<Vec<PortState>, DatapathError> {
        let state = |interface: &String| {
            let ifindex = self.ifindex(interface);
            let guarded = ifindex.is_some() && self.guarded.get(interface).copied() == ifindex;
            PortState {
                interface: interface.clone(),
                ifindex,
                renamed: None,
                ingress: guarded.then_some(Attachment::Xdp(XdpMode::Native)),
                egress: guarded.then_some(Attachment::Tc(TcHook::Tcx)),
            }
        };
        Ok(interfaces.iter().map(state).collect())
    }

    fn surveyor(&self) -> Result<Surveyor, DatapathError> {
        let traces = Traces::new(self.clock()?);
        let survey = Survey { traces, swept: Swept::default(), installed: self.tables.clone() };
        Ok(Box::new(move || Ok(survey)))
    }

    fn set_shares(&mut self, shares: &BTreeMap<u32, u32>) -> Result<(), DatapathError> {
        self.shares.extend(shares);
        self.calls.push(Call::Shares);
        Ok(())
    }

    fn shares_left(&self) -> Result<BTreeMap<u32, u32>, DatapathError> {
        Ok(self.shares.clone())
    }

    fn learned(&self) -> Result<u64, DatapathError> {
        Ok(self.learned)
    }

    fn sightings(&self) -> Result<Vec<(SightingKey, SightingValue)>, DatapathError> {
        Ok(self.sightings.iter().map(|(key, value)| (*key, *value)).collect())
    }

    fn note_sightings(&mut self, sightings: &[(SightingKey, SightingValue)]) -> Result<(), DatapathError> {
        self.sightings.extend(sightings.iter().copied());
        Ok(())
    }

    fn is_asked(&self, exchange: &Exchange) -> Result<bool, DatapathError> {
        Ok(self.asked.contains(exchange))
    }
}
