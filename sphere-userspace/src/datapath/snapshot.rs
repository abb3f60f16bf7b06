//! What is pinned, read without a daemon; and taking it all away.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aya::programs::ProgramInfo;
use ipnet::IpNet;
use sphere_common::abi::{self, Config, Counter, EventBudget, GroupLabel, LessonCount, Port, counter_index};
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::config;
use super::error::DatapathError;
use super::fill;
pub use super::fill::{Fill, FlowCount};
use super::handover::release;
use super::lock::{Lock, is_running};
use super::maps::Maps;
use super::netlink;
use super::pins::Pins;
use super::port::{PortState, port_state};
use super::table::Totals;

/// A pinned program.
#[derive(Clone, Debug)]
pub struct ProgramState {
    /// Its name.
    pub name: &'static str,
    /// Number that the kernel gave it.
    pub id: u32,
    /// Digest of its instructions.
    pub tag: u64,
    /// Instructions that the verifier walked; kernel 5.16.
    pub verified_instructions: Option<u32>,
    /// Bytes of machine code.
    pub jited_bytes: u32,
    /// When it was loaded.
    pub loaded_at: Option<SystemTime>,
    /// Runs that the kernel counted, which it does only when told to (`kernel.bpf_stats_enabled`).
    pub runs: u64,
    /// Time of these runs.
    pub run_time: Duration,
}

/// A group of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Whether it enforces.
    pub enforce: bool,
    /// Its device subnets.
    pub subnets: Vec<IpNet>,
    /// Addresses that the programs may still learn for it.
    pub learnable: u32,
}

/// A total of the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterState {
    /// Direction of the packets.
    pub direction: Direction,
    /// What happened to them.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// How many.
    pub count: Counter,
}

/// A rule and its total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleState {
    /// Its number.
    pub rule: u32,
    /// Number of its group.
    pub group: u32,
    /// What a person calls it.
    pub label: String,
    /// Packets that it allowed.
    pub count: Counter,
}

/// Everything that is pinned.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Pin root.
    pub pin_root: PathBuf,
    /// Whether a daemon runs.
    pub running: bool,
    /// Tick rate.
    pub ticks_per_second: u32,
    /// The programs.
    pub programs: Vec<ProgramState>,
    /// The ports.
    pub ports: Vec<PortState>,
    /// Settings of the ports by interface index, as the programs have them.
    pub settings: BTreeMap<u32, Port>,
    /// The groups.
    pub groups: Vec<GroupState>,
    /// Fill of the tables.
    pub tables: Vec<Fill>,
    /// Open flows of each family.
    pub flows: Vec<FlowCount>,
    /// Totals that are not zero.
    pub counters: Vec<CounterState>,
    /// The rules.
    pub rules: Vec<RuleState>,
    /// Samples sent.
    pub events_sent: u64,
    /// Samples that were not sent for want of budget: a part of those that are lost.
    pub events_refused: u64,
    /// Samples that were not sent, for want of budget or of room.
    pub events_lost: u64,
    /// Denied packets that no account had room for.
    pub unaccounted: Counter,
    /// What happened to queries and answers, in the order of [`LessonCount::ALL`].
    pub lessons: Vec<(LessonCount, u64)>,
}

/// Reads everything that is pinned under a root.
///
/// # Errors
///
/// [`DatapathError::NotPinned`] when nothing is.
pub fn read(pin_root: &Path) -> Result<Snapshot, DatapathError> {
    let pins = Pins::existing(pin_root)?;
    let maps = Maps::open(&pins)?;
    let config = config::in_force(&maps)?;
    let links = netlink::links()?;
    let port = |interface: &String| port_state(&pins, interface, &links);
    let (tables, flows) = fill::read(&pins, &maps, &config)?;
    let budget = maps.event_budget.rows()?;
    let per_cpu: Vec<EventBudget> = budget.into_iter().flatten().collect();
    Ok(Snapshot {
        pin_root: pin_root.to_owned(),
        running: is_running(pin_root),
        ticks_per_second: config.ticks_per_second,
        programs: programs(&pins)?,
        ports: pins.interfaces().iter().map(port).collect::<Result<_, _>>()?,
        settings: maps.ports.entries()?.into_iter().collect(),
        groups: groups(&maps, &config)?,
        tables,
        flows,
        counters: counters(&maps.counters)?,
        rules: rules(&maps)?,
        events_sent: per_cpu.iter().map(|cpu| cpu.sent).sum(),
        events_refused: per_cpu.iter().map(|cpu| cpu.refused).sum(),
        events_lost: per_cpu.iter().map(|cpu| cpu.refused + cpu.lost).sum(),
        unaccounted: maps.denied_lost.rows()?.first().map(|row| sum(row)).unwrap_or_default(),
        lessons: lessons(&maps.lesson_counters)?,
    })
}

/// Takes the guard off every port and removes the pins, of every layout.
///
/// # Errors
///
/// When something of it cannot be removed; [`DatapathError::AnotherDaemon`] while a daemon runs.
pub fn detach(pin_root: &Path) -> Result<Vec<String>, DatapathError> {
    let own = Pins::new(pin_root);
    let trees: Vec<Pins> = own.others().into_iter().chain([own]).filter(|pins| pins.tree().is_dir()).collect();
    if trees.is_empty() {
        return Err(DatapathError::NotPinned { pin_root: pin_root.to_owned() });
    }
    // Held meanwhile: no daemon begins.
    let _lock = Lock::take(pin_root)?;
    let links = netlink::links()?;
    let mut released = Vec::new();
    for pins in trees {
        for interface in pins.interfaces() {
            let ifindex = links.iter().find(|link| link.name == interface).map(|link| link.ifindex);
            release(&pins, &interface, ifindex)?;
            released.push(interface);
        }
        pins.remove()?;
    }
    Ok(released)
}

fn programs(pins: &Pins) -> Result<Vec<ProgramState>, DatapathError> {
    let names = [abi::program::INGRESS, abi::program::INGRESS_TC, abi::program::EGRESS];
    let read = |name: &'static str| {
        let info = ProgramInfo::from_pin(pins.program(name))
            .map_err(|source| DatapathError::Program { program: name, source: Box::new(source) })?;
        Ok(ProgramState {
            name,
            id: info.id(),
            tag: info.tag(),
            verified_instructions: info.verified_instruction_count(),
            jited_bytes: info.size_jitted(),
            loaded_at: info.loaded_at(),
            runs: info.run_count(),
            run_time: info.run_time(),
        })
    };
    names.into_iter().map(read).collect()
}

fn groups(maps: &Maps, config: &Config) -> Result<Vec<GroupState>, DatapathError> {
    let mut subnets: BTreeMap<u32, Vec<IpNet>> = BTreeMap::new();
    let mut add = |group: u32, address: IpAddr, bits: u32| {
        let net = u8::try_from(bits).ok().and_then(|bits| IpNet::new(address, bits).ok());
        let list = subnets.entry(group).or_default();
        list.extend(net.filter(|net| !list.contains(net)));
    };
    for subnet in config.subnets4.iter().take(config.subnets4_len as usize) {
        add(subnet.group.group, IpAddr::from(subnet.network), u32::from_be_bytes(subnet.mask).count_ones());
    }
    for subnet in config.subnets6.iter().take(config.subnets6_len as usize) {
        add(subnet.group.group, IpAddr::from(subnet.network), u128::from_be_bytes(subnet.mask).count_ones());
    }
    for (key, value) in maps.subnets.entries()? {
        let address = Ipv6Addr::from(key.data.address);
        let bits = key.prefix_len.saturating_sub(32);
        match address.to_ipv4_mapped() {
            Some(v4) => add(value.group, IpAddr::V4(v4), bits.saturating_sub(96)),
            None => add(value.group, IpAddr::V6(address), bits),
        }
    }
    let labels = maps.group_labels.entries()?;
    let learnable: BTreeMap<u32, u32> = maps.learn_quota.entries()?.into_iter().collect();
    let group = |(number, label): (u32, GroupLabel)| GroupState {
        number,
        name: text(&label.text),
        enforce: label.enforce != 0,
        subnets: subnets.remove(&number).unwrap_or_default(),
        learnable: learnable.get(&number).copied().unwrap_or_default(),
    };
    Ok(labels.into_iter().filter(|(_, label)| label.used != 0).map(group).collect())
}

pub(super) fn counters(totals: &Totals<Counter>) -> Result<Vec<CounterState>, DatapathError> {
    let rows: Vec<Counter> = totals.rows()?.iter().map(|row| sum(row)).collect();
    let mut counters = Vec::new();
    for direction in Direction::ALL {
        for verdict in Verdict::ALL {
            for reason in Reason::ALL.iter().copied() {
                let index = counter_index(direction, verdict, reason) as usize;
                let count = rows.get(index).copied().unwrap_or_default();
                if count.packets > 0 {
                    counters.push(CounterState { direction, verdict, reason, count });
                }
            }
        }
    }
    Ok(counters)
}

fn rules(maps: &Maps) -> Result<Vec<RuleState>, DatapathError> {
    let totals = maps.rule_counters.rows()?;
    let mut rules = Vec::new();
    maps.rule_labels.visit(|rule, label| {
        if label.used != 0 {
            let count = totals.get(*rule as usize).map(|row| sum(row)).unwrap_or_default();
            rules.push(RuleState { rule: *rule, group: label.group, label: text(&label.text), count });
        }
    })?;
    Ok(rules)
}

fn lessons(totals: &Totals<u64>) -> Result<Vec<(LessonCount, u64)>, DatapathError> {
    let rows = totals.rows()?;
    let total = |count: LessonCount| rows.get(count as usize).map_or(0, |row| row.iter().sum());
    Ok(LessonCount::ALL.map(|count| (count, total(count))).into())
}

pub(super) fn sum(row: &[Counter]) -> Counter {
    row.iter().fold(Counter::default(), |sum, cpu| Counter {
        packets: sum.packets.wrapping_add(cpu.packets),
        bytes: sum.bytes.wrapping_add(cpu.bytes),
    })
}

/// The text of a label.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
