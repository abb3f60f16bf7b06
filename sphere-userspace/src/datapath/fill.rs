//! How full the tables are, and how many flows are open, in one walk over each table.

use std::os::fd::AsFd as _;

use sphere_common::abi::{Config, FlowValue, GroupLabel, RuleLabel, Ticks, flow_kind};

use super::clock;
use super::error::DatapathError;
use super::maps::Maps;
use super::object::Programs;
use super::pins::Pins;
use super::table::{Plain, Table};

/// How full a table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Name of the map.
    pub map: &'static str,
    /// Entries in it.
    pub entries: usize,
    /// Entries it has room for.
    pub capacity: u32,
}

/// Open flows of a family. Entries of flows that have ended stay in the table until their room is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowCount {
    /// `ipv4` or `ipv6`.
    pub family: &'static str,
    /// TCP, UDP and ICMP echo.
    pub transport: u64,
    /// Later fragments of allowed datagrams, of either direction.
    pub fragments: u64,
    /// DNS queries that wait for their answer.
    pub queries: u64,
}

impl FlowCount {
    const fn new(family: &'static str) -> Self {
        Self { family, transport: 0, fragments: 0, queries: 0 }
    }

    const fn add(&mut self, kind: u8) {
        match kind {
            flow_kind::TRANSPORT => self.transport += 1,
            flow_kind::QUERY => self.queries += 1,
            _ => self.fragments += 1,
        }
    }
}

/// The tables, and the open flows.
pub(super) fn read(pins: &Pins, maps: &Maps, config: &Config) -> Result<(Vec<Fill>, Vec<FlowCount>), DatapathError> {
    let now = now(pins, maps, config)?;
    let mut subnets = fill(&maps.subnets, |_, _| true)?;
    // The first ones stand in the configuration: the programs look there first.
    subnets.entries += (config.subnets4_len + config.subnets6_len) as usize;
    let (flows4, open4) = flows(&maps.flows4, ("ipv4", now), |key| key.kind)?;
    let (flows6, open6) = flows(&maps.flows6, ("ipv6", now), |key| key.kind)?;
    let tables = vec![
        fill(&maps.ports, |_, _| true)?,
        subnets,
        fill(&maps.endpoints4, |_, _| true)?,
        fill(&maps.endpoints6, |_, _| true)?,
        fill(&maps.cidrs4, |_, _| true)?,
        fill(&maps.cidrs6, |_, _| true)?,
        fill(&maps.devices, |_, _| true)?,
        flows4,
        flows6,
        fill(&maps.rule_labels, |_, label: &RuleLabel| label.used != 0)?,
        fill(&maps.group_labels, |_, label: &GroupLabel| label.used != 0)?,
        fill(&maps.names, |_, _| true)?,
        fill(&maps.sightings, |_, _| true)?,
        fill(&maps.denied, |_, _| true)?,
        fill(&maps.denied_others, |_, _| true)?,
        fill(&maps.denied_opened, |_, _| true)?,
        fill(&maps.denied_closed, |_, _| true)?,
    ];
    Ok((tables, vec![open4, open6]))
}

/// The programs' time.
fn now(pins: &Pins, maps: &Maps, config: &Config) -> Result<Ticks, DatapathError> {
    let programs = Programs::open(pins)?;
    Ok(clock::now(programs.clock.as_fd(), maps, config.ticks_per_second.max(1))?.anchor_ticks)
}

fn fill<K: Plain, V: Plain>(table: &Table<K, V>, mut used: impl FnMut(&K, &V) -> bool) -> Result<Fill, DatapathError> {
    let mut entries = 0;
    table.visit(|key, value| entries += usize::from(used(key, value)))?;
    Ok(Fill { map: table.name(), entries, capacity: table.shape().capacity })
}

fn flows<K: Plain>(
    table: &Table<K, FlowValue>,
    (family, now): (&'static str, Ticks),
    kind: impl Fn(&K) -> u8,
) -> Result<(Fill, FlowCount), DatapathError> {
    let mut open = FlowCount::new(family);
    let fill = fill(table, |key, value| {
        if now < value.ends {
            open.add(kind(key));
        }
        true
    })?;
    Ok((fill, open))
}
