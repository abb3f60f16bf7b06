//! The status as it is written: schema `sphere.status/1`.

use std::collections::BTreeMap;

use serde::Serialize;
use sphere_common::abi::{self, LessonCount, port_flags};

use crate::audit::SinkState;
use crate::daemon::StoreState;
use crate::datapath::snapshot::{CounterState, Fill, GroupState, ProgramState, RuleState, Snapshot};
use crate::datapath::{Attachment, PortState};
use crate::policy::{OtherSources, unjudged_sources};

/// Everything that `sphere status` says.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub(super) schema: &'static str,
    pub(super) abi: u32,
    pub(super) pin_root: String,
    pub(super) daemon: &'static str,
    pub(super) clock: ClockStatus,
    pub(super) programs: Vec<ProgramStatus>,
    pub(super) ports: Vec<PortStatus>,
    pub(super) groups: Vec<GroupStatus>,
    pub(super) tables: Vec<TableStatus>,
    pub(super) counters: Vec<CounterStatus>,
    pub(super) rules: Vec<RuleStatus>,
    pub(super) events: EventStatus,
    pub(super) unaccounted: UnaccountedStatus,
    /// Absent when no daemon answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) store: Option<StoreState>,
    pub(super) lessons: BTreeMap<&'static str, u64>,
    pub(super) overheard: BTreeMap<&'static str, u64>,
    pub(super) sinks: Vec<SinkState>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ClockStatus {
    pub(super) ticks_per_second: u32,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ProgramStatus {
    pub(super) name: &'static str,
    pub(super) id: u32,
    pub(super) tag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verified_instructions: Option<u32>,
    pub(super) jited_bytes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loaded_at: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct PortStatus {
    pub(super) interface: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ifindex: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ingress: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) egress: Option<&'static str>,
    pub(super) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) other_sources: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) other_sources_v6: Option<&'static str>,
    /// What is worth a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warning: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct GroupStatus {
    pub(super) name: String,
    pub(super) mode: &'static str,
    pub(super) subnets: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct TableStatus {
    pub(super) map: &'static str,
    pub(super) entries: usize,
    pub(super) capacity: u32,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct CounterStatus {
    pub(super) direction: &'static str,
    pub(super) verdict: &'static str,
    pub(super) reason: &'static str,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct RuleStatus {
    pub(super) rule: u32,
    pub(super) group: String,
    pub(super) label: String,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct EventStatus {
    pub(super) sent: u64,
    pub(super) lost: u64,
}

/// Denied packets that no account had room for: counted by their reason only.
#[derive(Clone, Debug, Serialize)]
pub(super) struct UnaccountedStatus {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl Status {
    /// The status of what is pinned, and of the account on disk and the sinks as the daemon tells them.
    #[must_use]
    pub fn new(snapshot: &Snapshot, store: Option<StoreState>, sinks: Vec<SinkState>) -> Self {
        Self {
            schema: "sphere.status/1",
            abi: abi::VERSION,
            pin_root: snapshot.pin_root.display().to_string(),
            daemon: if snapshot.running { "running" } else { "stopped" },
            clock: ClockStatus { ticks_per_second: snapshot.ticks_per_second },
            programs: programs(snapshot),
            ports: ports(snapshot),
            groups: groups(snapshot),
            tables: tables(snapshot),
            counters: counters(snapshot),
            rules: rules(snapshot),
            events: EventStatus { sent: snapshot.events_sent, lost: snapshot.events_lost },
            unaccounted: UnaccountedStatus { packets: snapshot.unaccounted.packets, bytes: snapshot.unaccounted.bytes },
            store,
            lessons: lessons(snapshot, |count| !count.is_of_daemon()),
            overheard: lessons(snapshot, LessonCount::is_of_daemon),
            sinks,
        }
    }
}

fn programs(snapshot: &Snapshot) -> Vec<ProgramStatus> {
    let program = |program: &ProgramState| ProgramStatus {
        name: program.name,
        id: program.id,
        tag: format!("{:016x}", program.tag),
        verified_instructions: program.verified_instructions,
        jited_bytes: program.jited_bytes,
        loaded_at: program.loaded_at.map(|at| humantime::format_rfc3339_seconds(at).to_string()),
    };
    snapshot.programs.iter().map(program).collect()
}

fn ports(snapshot: &Snapshot) -> Vec<PortStatus> {
    let state = |port: &PortState| match (&port.renamed, port.unprotected()) {
        // Interfaces have settings by number: without a daemon that follows the policy, a new name changes nothing.
        (Some(name), _) if port.ifindex.is_some_and(|ifindex| snapshot.settings.contains_key(&ifindex)) => {
            format!("protected, but called {name} now: the next start of the daemon ends that")
        }
        (_, Some(why)) => format!("unprotected: {why}"),
        (_, None) => "protected".to_owned(),
    };
    let port = |port: &PortState| {
        let flags = port.ifindex.and_then(|ifindex| snapshot.settings.get(&ifindex)).map(|settings| settings.flags);
        let (v4, v6) = (flags.map(other_sources_v4), flags.map(other_sources_v6));
        let unjudged = v4.zip(v6).and_then(|(v4, v6)| unjudged_sources(&port.interface, v4, v6));
        PortStatus {
            interface: port.interface.clone(),
            ifindex: port.ifindex,
            ingress: port.ingress.map(Attachment::ingress_word),
            egress: port.egress.map(Attachment::egress_word),
            state: state(port),
            other_sources: v4.map(OtherSources::word),
            other_sources_v6: v6.map(OtherSources::word),
            warning: unjudged.map(|(message, remedy)| format!("{message} ({remedy})")),
        }
    };
    snapshot.ports.iter().map(port).collect()
}

/// What happens on a port with these flags to IPv4 sources in no device subnet.
const fn other_sources_v4(flags: u8) -> OtherSources {
    if flags & port_flags::DENY_FOREIGN4 != 0 { OtherSources::Deny } else { OtherSources::Pass }
}

/// As [`other_sources_v4`], to IPv6 sources.
const fn other_sources_v6(flags: u8) -> OtherSources {
    match (flags & port_flags::DENY_FOREIGN6 != 0, flags & port_flags::DENY_LINK_LOCAL6 != 0) {
        (true, _) => OtherSources::Deny,
        (false, true) => OtherSources::PassGlobal,
        (false, false) => OtherSources::Pass,
    }
}

fn groups(snapshot: &Snapshot) -> Vec<GroupStatus> {
    let group = |group: &GroupState| GroupStatus {
        name: group.name.clone(),
        mode: if group.enforce { "enforce" } else { "audit" },
        subnets: group.subnets.iter().map(ToString::to_string).collect(),
    };
    snapshot.groups.iter().map(group).collect()
}

fn tables(snapshot: &Snapshot) -> Vec<TableStatus> {
    let table = |fill: &Fill| TableStatus { map: fill.map, entries: fill.entries, capacity: fill.capacity };
    snapshot.tables.iter().map(table).collect()
}

fn counters(snapshot: &Snapshot) -> Vec<CounterStatus> {
    let counter = |counter: &CounterState| CounterStatus {
        direction: counter.direction.word(),
        verdict: counter.verdict.word(),
        reason: counter.reason.word(),
        packets: counter.count.packets,
        bytes: counter.count.bytes,
    };
    snapshot.counters.iter().map(counter).collect()
}

/// Some of the counts about queries and answers.
fn lessons(snapshot: &Snapshot, which: impl Fn(LessonCount) -> bool) -> BTreeMap<&'static str, u64> {
    let chosen = snapshot.lessons.iter().filter(|(count, _)| which(*count));
    chosen.map(|(count, total)| (count.word(), *total)).collect()
}

fn rules(snapshot: &Snapshot) -> Vec<RuleStatus> {
    let name =
        |number: u32| snapshot.groups.iter().find(|group| group.number == number).map(|group| group.name.clone());
    let rule = |rule: &RuleState| RuleStatus {
        rule: rule.rule,
        group: name(rule.group).unwrap_or_else(|| rule.group.to_string()),
        label: rule.label.clone(),
        packets: rule.count.packets,
        bytes: rule.count.bytes,
    };
    snapshot.rules.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_a_port_say_what_happens_to_sources_in_no_device_subnet() {
        let (v4, v6, link_local) = (port_flags::DENY_FOREIGN4, port_flags::DENY_FOREIGN6, port_flags::DENY_LINK_LOCAL6);
        for (flags, expected) in [
            (0, ("pass", "pass")),
            (v4, ("deny", "pass")),
            (link_local, ("pass", "pass-global")),
            (v4 | v6 | link_local, ("deny", "deny")),
        ] {
            assert_eq!((other_sources_v4(flags).word(), other_sources_v6(flags).word()), expected, "{flags}");
        }
    }
}
