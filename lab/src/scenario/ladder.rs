//! A device walks its boot chain while one thing after the other is taken out of the policy: `sphere devices` names the step
//! that this stops, and no other.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Scenario;
use crate::clients::{Attempt, dns, ntp};
use crate::lab::Lab;
use crate::net::Device;
use crate::net::plan::{RESOLVER, SCRIPTED};
use crate::policy::Policy;
use crate::report::Report;
use crate::sphere::Sphere;
use crate::vendor::{CONNECT_TEST, DEVICE_AUTH, DPS, HUB, UPDATE};
use crate::walk::{self, Client, Row};
use crate::{process, wait};

/// How long it may take on a busy machine until `sphere devices` tells of what a device has just done.
const TOLD: Duration = Duration::from_secs(40);
/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The shipped profile.
const PROFILE: &str = include_str!("../../../profiles/azure-sphere.toml");
/// An option for what the shipped profile has none for.
const OPTION: &str =
    "[option.connection_check]\nkind = \"switch\"\ndefault = true\nabout = \"the connection check\"\n\n";
const PROFILE_FILE: &str = "profile-of-the-ladder.toml";
/// The time server that the device asks.
const TIME: &str = "prod.time.sphere.azure.net";
/// How long the device tries again what should work.
const TRIES: Duration = Duration::from_secs(30);
/// How long it waits for the time.
const TIME_LIMIT_SECONDS: u64 = 6;

/// What is taken out of the policy, and the step that this stops.
struct Phase {
    what: &'static str,
    change: fn(&mut Policy),
    stopped: Option<&'static str>,
}

const PHASES: [Phase; 6] = [
    Phase { what: "the full policy", change: |_| {}, stopped: None },
    Phase { what: "its resolver is not approved", change: no_resolver, stopped: Some("dns") },
    Phase { what: "without time servers", change: |policy| policy.options.push("ntp = false"), stopped: Some("time") },
    Phase {
        what: "without the connection check",
        change: |policy| policy.options.push("connection_check = false"),
        stopped: Some("connection-check"),
    },
    Phase { what: "without the hub", change: |policy| policy.options.push("hubs = []"), stopped: Some("application") },
    Phase { what: "the full policy again", change: |_| {}, stopped: None },
];

fn no_resolver(policy: &mut Policy) {
    policy.resolvers = format!("\"gateway\", \"{SCRIPTED}\"");
}

/// What `sphere devices --json` says, as far as this looks at it.
#[derive(Debug, Deserialize)]
struct Devices {
    devices: Vec<Told>,
}

#[derive(Debug, Deserialize)]
struct Told {
    device: IpAddr,
    blocked: Option<Blocked>,
    ladder: Vec<Rung>,
}

#[derive(Debug, Deserialize)]
struct Blocked {
    step: String,
    by: String,
}

#[derive(Debug, Deserialize)]
struct Rung {
    step: String,
    state: String,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Ladder;

impl Scenario for Ladder {
    fn name(&self) -> &'static str {
        "ladder"
    }

    fn purpose(&self) -> &'static str {
        "time, connection check, resolver, hub go from the policy one by one: `sphere devices` names that step alone"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let profile = with_an_option().context("the shipped profile has another form")?;
        std::fs::write(lab.network.ground.path(PROFILE_FILE), profile)?;
        let sphere = lab.protect(|policy| prepare(policy, &PHASES[0]))?;
        lab.warm_up()?;
        for (index, phase) in PHASES.iter().enumerate() {
            if index > 0 {
                let mut policy = sphere.policy();
                prepare(&mut policy, phase);
                sphere.configure(&policy)?;
                lab.daemon.as_mut().context("no daemon runs")?.reload()?;
            }
            let device = lab.device(0)?;
            walk(lab, device, phase, report)?;
            judge(&sphere, device, phase, report)?;
        }
        report.figure("policies", PHASES.len());
        Ok(())
    }
}

/// The shipped profile with an option for the connection check.
fn with_an_option() -> Option<String> {
    let (head, rest) = PROFILE.split_once("[[endpoint]]")?;
    let host = format!("host = \"{CONNECT_TEST}\"\n");
    let (before, after) = rest.split_once(&host)?;
    Some(format!("{head}{OPTION}[[endpoint]]{before}{host}when = \"connection_check\"\n{after}"))
}

fn prepare(policy: &mut Policy, phase: &Phase) {
    policy.profile = format!("./{PROFILE_FILE}");
    (phase.change)(policy);
}

/// The device takes each step that it can come to. Without names, it comes to no other.
fn walk(lab: &Lab, device: &Device, phase: &Phase, report: &mut Report) -> Result<()> {
    let mut try_one = |row: Row, is_open: bool| -> Result<()> {
        let attempt = take_for(lab, device, &row, if is_open { TRIES } else { Duration::ZERO })?;
        let what = format!("{}: {} {}", phase.what, row.client.word(), row.host);
        let word = |succeeded| if succeeded { "works" } else { "fails" };
        let seen = format!("{}: {}", word(attempt.succeeded), attempt.detail);
        report.check(what, word(is_open), (seen, attempt.succeeded == is_open));
        Ok(())
    };
    let row = |step, client, host: &str, port| Row { step, client, host: host.to_owned(), port, vendor: false };
    let open = |step| phase.stopped != Some(step);
    try_one(row("names", Client::Dig, UPDATE, 53), open("dns"))?;
    if !open("dns") {
        return Ok(());
    }
    try_one(row("connection check", Client::Curl, CONNECT_TEST, 80), open("connection-check"))?;
    try_one(row("time", Client::Chrony, TIME, 123), open("time"))?;
    try_one(row("attestation", Client::CurlTls, DEVICE_AUTH, 443), true)?;
    try_one(row("update", Client::Curl, UPDATE, 80), true)?;
    try_one(row("application", Client::Mosquitto, DPS, 8883), true)?;
    try_one(row("application", Client::Mosquitto, HUB, 8883), open("application"))
}

/// Takes a step until that succeeds, once at least: clients wait for a moment only, and the machine may be busy.
fn take_for(lab: &Lab, device: &Device, row: &Row, limit: Duration) -> Result<Attempt> {
    let mut last = None;
    let taken = wait::until(row.step, limit, || match take(lab, device, row) {
        Ok(attempt) if !attempt.succeeded => {
            last = Some(attempt);
            None
        }
        done => Some(done),
    });
    match (taken, last) {
        (Ok(done), _) => done,
        (Err(_), Some(attempt)) => Ok(attempt),
        (Err(error), None) => Err(error),
    }
}

fn take(lab: &Lab, device: &Device, row: &Row) -> Result<Attempt> {
    match row.client {
        Client::Dig => ask(device),
        Client::Chrony => ntp::ask(&lab.network, device, &row.host, TIME_LIMIT_SECONDS),
        _ => walk::take(&lab.network, device, row, &lab.root),
    }
}

/// Asks the resolver that one policy does not approve.
fn ask(device: &Device) -> Result<Attempt> {
    dns::ask(device, (UPDATE, "A"), Some(RESOLVER.into()), dns::Transport::Udp)
}

/// What `sphere devices` says of the device once it has heard of everything.
fn judge(sphere: &Sphere, device: &Device, phase: &Phase, report: &mut Report) -> Result<()> {
    let expected: BTreeSet<String> = phase.stopped.into_iter().map(str::to_owned).collect();
    let mut last = BTreeSet::new();
    let mut named = None;
    let told = wait::until("what sphere devices says", TOLD, || {
        let told = match devices(sphere, device) {
            Ok(told) => told,
            Err(error) => return Some(Err(error)),
        };
        let is_stopped = |rung: &&Rung| matches!(rung.state.as_str(), "blocked" | "unanswered");
        last = told.ladder.iter().filter(is_stopped).map(|rung| rung.step.clone()).collect();
        named = told.blocked.map(|blocked| (blocked.step, blocked.by));
        if last == expected {
            return Some(Ok(()));
        }
        // A device without names goes on asking.
        match phase.stopped {
            Some("dns") => ask(device).err().map(Err),
            _ => None,
        }
    });
    // That it never came to say so is shown by the check.
    if let Ok(failed @ Err(_)) = told {
        return failed;
    }
    let seen = format!("{last:?}");
    report.check(format!("{}: stopped steps", phase.what), format!("{expected:?}"), (seen, last == expected));
    let wanted = phase.stopped.map(|step| (step.to_owned(), "gateway".to_owned()));
    let is_right = named == wanted;
    report.check(format!("{}: the one named", phase.what), format!("{wanted:?}"), (format!("{named:?}"), is_right));
    Ok(())
}

fn devices(sphere: &Sphere, device: &Device) -> Result<Told> {
    let command = sphere.command(&["devices", &device.ipv4.to_string(), "--json"]);
    let told: Devices = serde_json::from_str(&process::must(command, LIMIT)?).context("sphere devices --json")?;
    let own = told.devices.into_iter().find(|told| told.device == IpAddr::V4(device.ipv4));
    own.context("sphere devices does not know the device")
}
