//! Where devices stand, as it is told: schema `sphere.devices/1`.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::Serialize;
use sphere_common::verdict::{Reason, Verdict};

use super::trail::{Denial, Mark, State, Trail};
use super::{Ladder, remedy};
use crate::datapath::Traces;
use crate::policy::Step;
use crate::reconcile::{Installed, label_text, plain};

/// Every device.
#[derive(Clone, Debug, Serialize)]
pub struct DevicesReport {
    schema: &'static str,
    /// `running` or `stopped`.
    pub daemon: &'static str,
    /// Seconds since when successes and denials are remembered beyond what the kernel holds; absent without a daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remembered_seconds: Option<u64>,
    /// Devices of which nothing is remembered, for want of room.
    pub crowded_out: u64,
    /// The devices, in the order of their addresses.
    pub devices: Vec<DeviceReport>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// Its address.
    pub device: IpAddr,
    /// Hardware address of its latest frame that opened a flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether its group enforces.
    pub enforced: bool,
    /// Seconds since it was seen to open a flow, to be answered, or to be denied.
    pub seen_seconds_ago: u64,
    /// Flows that it has open.
    pub flows: usize,
    /// Packets of it or to it that were denied, as far as the kernel holds their accounts or the daemon saw them closed.
    pub denied_packets: u64,
    /// What stops it; absent: nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<BlockedReport>,
    /// The steps of the boot chain, in their order.
    pub ladder: Vec<RungReport>,
    /// How it fares with names.
    pub dns: DnsReport,
}

/// What stops a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockedReport {
    /// The first step that it cannot take.
    pub step: Step,
    /// `gateway`, or `beyond`: the gateway let it through, and nobody answered.
    pub by: &'static str,
    /// Word of the reason; absent when nobody answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The reason as a sentence.
    pub why: String,
    /// What would have to change.
    pub remedy: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RungReport {
    /// Which.
    pub step: Step,
    /// `done`, `implied`, `unseen`, `blocked`, `would-block` or `unanswered`.
    pub state: &'static str,
    /// Seconds since it was last taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_seconds_ago: Option<u64>,
    /// Seconds since it was last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_seconds_ago: Option<u64>,
    /// The latest denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial: Option<DenialReport>,
}

/// A denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DenialReport {
    /// Seconds since.
    pub seconds_ago: u64,
    /// `deny`, or `audit` when it was only recorded.
    pub verdict: &'static str,
    /// Word of the reason.
    pub reason: &'static str,
    /// Where to.
    pub peer: IpAddr,
    /// `tcp/443`.
    pub service: String,
    /// The name that was asked for, or that stands for the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How a device fares with names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DnsReport {
    /// `answered`, `unanswered`, `foreign-resolver` or `not-asked`.
    pub state: &'static str,
    /// The same as a sentence.
    pub says: String,
    /// Seconds since an approved resolver was last asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_seconds_ago: Option<u64>,
    /// Seconds since it last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_seconds_ago: Option<u64>,
    /// The latest resolver that it asked and that is not approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign_resolver: Option<ResolverReport>,
    /// Names that were refused and lead to no step, the latest last.
    pub refused_names: Vec<String>,
}

/// A resolver that is not approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResolverReport {
    /// Its address.
    pub address: IpAddr,
    /// Seconds since it was asked.
    pub seconds_ago: u64,
}

impl DevicesReport {
    /// Of every device, or of one; `ladder` has taken up the traces.
    #[must_use]
    pub fn new(
        ladder: &Ladder,
        (traces, installed): (&Traces, &Installed),
        wanted: Option<IpAddr>,
        running: bool,
    ) -> Self {
        let now_ms = super::millis(traces, traces.clock.anchor_ticks);
        let mut flows: HashMap<IpAddr, usize> = HashMap::new();
        for ((device, _), trace) in &traces.flows {
            *flows.entry(*device).or_default() += trace.open;
        }
        let mut denied: BTreeMap<IpAddr, u64> = BTreeMap::new();
        for account in traces.accounts.iter().filter(|account| account.key.verdict == Verdict::Deny as u8) {
            *denied.entry(plain(account.key.device)).or_default() += account.value.packets;
        }
        let trails = ladder.trails.iter().filter(|(device, _)| wanted.is_none_or(|wanted| wanted == **device));
        let device = |(device, trail): (&IpAddr, &Trail)| {
            let label = installed.group_labels.get(&trail.group);
            let group = label.map(|label| label_text(&label.text).to_owned());
            DeviceReport {
                device: *device,
                mac: trail.mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":")),
                enforced: label.is_some_and(|label| label.enforce != 0),
                seen_seconds_ago: seconds(trail.seen_ms, now_ms),
                flows: flows.get(device).copied().unwrap_or_default(),
                denied_packets: trail.closed_packets + denied.get(device).copied().unwrap_or_default(),
                blocked: trail.blocked(group.as_deref().unwrap_or_default(), now_ms),
                ladder: Step::ALL.map(|step| trail.rung(step, now_ms)).into(),
                dns: trail.dns(now_ms),
                group,
            }
        };
        Self {
            schema: "sphere.devices/1",
            daemon: if running { "running" } else { "stopped" },
            remembered_seconds: ladder.since_ms.map(|since| seconds(since, now_ms)),
            crowded_out: ladder.crowded_out,
            devices: trails.map(device).collect(),
        }
    }
}

impl Trail {
    fn blocked(&self, group: &str, now_ms: u64) -> Option<BlockedReport> {
        let stops = |step: &Step| matches!(self.state(*step, now_ms), State::Blocked | State::Unanswered);
        let step = Step::ALL.into_iter().find(stops)?;
        let denial = self.marks.get(&step).and_then(|mark| mark.denial.as_ref());
        let denial = denial.filter(|_| self.state(step, now_ms) == State::Blocked);
        let Some((denial, reason)) = denial.and_then(|denial| Some((denial, Reason::from_byte(denial.reason)?))) else {
            return Some(BlockedReport {
                step,
                by: "beyond",
                reason: None,
                why: "the gateway let it through, and nobody answered".to_owned(),
                remedy: "look at the way from the gateway to the server, and at the server".to_owned(),
            });
        };
        Some(BlockedReport {
            step,
            by: "gateway",
            reason: Some(reason.word()),
            why: format!("{}: {}", reason.sentence(), denial.goal()),
            remedy: remedy::of(denial, reason, group),
        })
    }

    fn rung(&self, step: Step, now_ms: u64) -> RungReport {
        let mark = self.marks.get(&step);
        let ago = |at: fn(&Mark) -> Option<u64>| mark.and_then(at).map(|at| seconds(at, now_ms));
        RungReport {
            step,
            state: self.state(step, now_ms).word(),
            success_seconds_ago: ago(|mark| mark.success_ms),
            attempt_seconds_ago: ago(|mark| mark.attempt_ms),
            denial: mark.and_then(|mark| mark.denial.as_ref()).and_then(|denial| denial.report(now_ms)),
        }
    }

    fn dns(&self, now_ms: u64) -> DnsReport {
        let mark = self.marks.get(&Step::Dns);
        let asked = mark
            .and_then(|mark| mark.attempt_ms.filter(|_| mark.success_ms.is_some() || mark.waits_since_ms.is_some()));
        let answered = mark.and_then(|mark| mark.success_ms);
        let stranger = self.stranger.filter(|(_, at)| answered.is_none_or(|answered| answered < *at));
        let (state, says) = match (stranger, answered, asked) {
            (Some((resolver, _)), ..) => ("foreign-resolver", format!("asked a resolver that is not ours: {resolver}")),
            (None, Some(at), _) => ("answered", format!("answered {} s ago", seconds(at, now_ms))),
            (None, None, Some(_)) => ("unanswered", "asked, 0 DNS answers seen".to_owned()),
            (None, None, None) => ("not-asked", "0 DNS answers seen, and no question".to_owned()),
        };
        DnsReport {
            state,
            says,
            asked_seconds_ago: asked.map(|at| seconds(at, now_ms)),
            answered_seconds_ago: answered.map(|at| seconds(at, now_ms)),
            foreign_resolver: self
                .stranger
                .map(|(address, at)| ResolverReport { address, seconds_ago: seconds(at, now_ms) }),
            refused_names: self.refused.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

impl Denial {
    fn report(&self, now_ms: u64) -> Option<DenialReport> {
        Some(DenialReport {
            seconds_ago: seconds(self.at_ms, now_ms),
            verdict: if self.is_enforced { Verdict::Deny.word() } else { Verdict::Audit.word() },
            reason: Reason::from_byte(self.reason)?.word(),
            peer: self.peer,
            service: self.service_text(),
            name: self.name.clone(),
        })
    }

    pub(super) fn service_text(&self) -> String {
        match self.service {
            (6, port) => format!("tcp/{port}"),
            (17, port) => format!("udp/{port}"),
            (protocol, _) => format!("protocol {protocol}"),
        }
    }

    /// Where the packet was to go.
    fn goal(&self) -> String {
        match &self.name {
            Some(name) if self.service.1 == super::DNS => name.clone(),
            Some(name) => format!("{name} ({}) {}", self.peer, self.service_text()),
            None => format!("{} {}", self.peer, self.service_text()),
        }
    }
}

/// Whole seconds from one moment to another; zero when it is not later.
const fn seconds(from_ms: u64, to_ms: u64) -> u64 {
    to_ms.saturating_sub(from_ms) / 1000
}
