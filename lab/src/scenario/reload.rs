//! Two policies of 100,000 endpoints that share half, put in force one after the other under traffic: nothing that both
//! allow is denied, and nothing passes any more that only the former allowed, from the moment that the command returns.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Scenario;
use super::traffic::{self, Stream};
use crate::lab::Lab;
use crate::net::Device;
use crate::net::plan::{PROBE, PROBE_PORT, server};
use crate::policy::Policy;
use crate::process;
use crate::report::Report;
use crate::sphere::Sphere;
use crate::wait;

/// How often another policy is put in force.
const RELOADS: u32 = 50;
/// Endpoints that both policies have, and each of its own.
const SHARED: u32 = 50_000;
/// Ports of an address.
const PORTS: u32 = 500;
/// What it may take until the tables hold another policy. Reading and comparing come on top, on a busy machine much longer.
const GOAL: Duration = Duration::from_secs(1);
/// Ports that one policy allows each.
const OWN_PORTS: [u16; 2] = [7101, 7102];
/// Probes after each reload, of flows that were open and of new ones.
const PROBES: u64 = 20;
const PERIOD: Duration = Duration::from_micros(500);
const LIMIT: Duration = Duration::from_secs(120);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Reload;

impl Scenario for Reload {
    fn name(&self) -> &'static str {
        "reload"
    }

    fn purpose(&self) -> &'static str {
        "50 reloads of 100,000 endpoints under traffic: nothing lost, nothing left open"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let sphere = lab.protect(|policy| extend(policy, 0))?;
        lab.warm_up()?;
        let (first, second) = (lab.device(0)?, lab.device(1)?);
        let probe = SocketAddr::new(PROBE.into(), PROBE_PORT);
        let datagrams = traffic::datagrams(&first.namespace, probe, (PERIOD, 100))?;
        let connections = traffic::connections(&second.namespace, probe, Duration::from_millis(20))?;
        let session = traffic::session(&second.namespace, probe, Duration::from_millis(5))?;
        let sinks = OWN_PORTS.map(|port| traffic::sink(&lab.network.internet, port));
        let [one, other] = sinks;
        let sinks = [one?, other?];
        let mut found = Found::default();
        let denied_before = denied(&sphere)?;
        for number in 1..=RELOADS {
            let own = (number % 2) as usize;
            let round = Round { sphere: &sphere, device: lab.device(2)?, sinks: &sinks };
            round.run(own, &mut found)?;
        }
        found.denied = denied(&sphere)? - denied_before;
        found.lost = [datagrams.end()?.lost(), connections.end()?.lost(), session.end()?.lost()];
        found.endpoints = endpoints(&sphere)?;
        found.tell(report)
    }
}

/// What was seen over all rounds.
#[derive(Debug, Default)]
struct Found {
    /// Of datagrams, connections, and exchanges on the session that is held.
    lost: [u64; 3],
    /// Packets that the kernel has counted as denied.
    denied: u64,
    leaked: u64,
    unopened: u64,
    endpoints: u64,
    took: Vec<Duration>,
    tables_ms: Vec<u64>,
}

struct Round<'a> {
    sphere: &'a Sphere,
    device: &'a Device,
    sinks: &'a [Stream<u64>; 2],
}

impl Round<'_> {
    /// Puts the other policy in force, and probes what it allows and what it no longer does.
    fn run(&self, own: usize, found: &mut Found) -> Result<()> {
        let former = 1 - own;
        let open = self.flow(former)?;
        // The flow is open while its policy is in force.
        let before = self.sinks[former].count();
        send(&open, PROBES)?;
        self.arrived(former, before + PROBES)?;
        let mut policy = self.sphere.policy();
        extend(&mut policy, own);
        self.sphere.configure(&policy)?;
        let begun = Instant::now();
        let text = process::must(self.sphere.command(&["reload", "--json"]), LIMIT)?;
        found.took.push(begun.elapsed());
        let (left, fresh) = (self.sinks[former].count(), self.sinks[own].count());
        let reloaded: Value = serde_json::from_str(&text)?;
        ensure!(reloaded["applied"] == true, "not reloaded: {text}");
        found.tables_ms.push(reloaded["took_ms"].as_u64().context("no time")?);
        send(&open, PROBES)?;
        send(&self.flow(former)?, PROBES)?;
        // Frames keep their order: what was let through of those before has arrived when these have.
        send(&self.flow(own)?, PROBES)?;
        let arrived = self.arrived(own, fresh + PROBES);
        found.unopened += (fresh + PROBES).saturating_sub(self.sinks[own].count());
        if arrived.is_err() {
            // Told as a figure.
            return Ok(());
        }
        found.leaked += self.sinks[former].count() - left;
        Ok(())
    }

    fn flow(&self, own: usize) -> Result<UdpSocket> {
        let to = SocketAddr::new(PROBE.into(), OWN_PORTS[own]);
        self.device.namespace.enter(|| -> Result<UdpSocket> {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(to)?;
            Ok(socket)
        })?
    }

    fn arrived(&self, own: usize, count: u64) -> Result<()> {
        wait::until("the probes", Duration::from_secs(3), || (self.sinks[own].count() >= count).then_some(()))
    }
}

fn send(socket: &UdpSocket, count: u64) -> Result<()> {
    for number in 0..count {
        socket.send(&number.to_be_bytes())?;
    }
    Ok(())
}

/// Gives a policy the endpoints that both have, those of its own, and the port that it alone allows.
fn extend(policy: &mut Policy, own: usize) {
    // Old and new have room beside each other; flows that were closed stay for a minute.
    policy.limits = "endpoints = 262144\nflows_per_device = 8192\nevents_per_second = 5000\n".to_owned();
    let half = |net: u8| {
        let rules = (0..SHARED / PORTS).map(move |index| {
            let [.., host] = (1 + index).to_be_bytes();
            let ports: Vec<String> = (1..=PORTS).map(|port| format!("\"tcp/{port}\"")).collect();
            format!("\n[[group.allow]]\naddress = \"{}\"\nports = [{}]\n", server(net, host), ports.join(","))
        });
        rules.collect::<String>()
    };
    policy.more.push_str(&half(100));
    policy.more.push_str(&half(101 + u8::from(own == 1)));
    let port = OWN_PORTS[own];
    policy.more.push_str(&format!("\n[[group.allow]]\naddress = \"{PROBE}\"\nports = [\"udp/{port}\"]\n"));
}

/// Packets that the kernel has counted as denied, whatever for.
fn denied(sphere: &Sphere) -> Result<u64> {
    Ok(sphere.status()?.counters().denied_aloud())
}

/// Endpoints in the table for IPv4.
fn endpoints(sphere: &Sphere) -> Result<u64> {
    let status: Value = serde_json::from_str(&process::must(sphere.command(&["status", "--json"]), LIMIT)?)?;
    let tables = status["tables"].as_array().context("no tables")?;
    let table = tables.iter().find(|table| table["map"] == "ENDPOINTS4").context("no endpoint table")?;
    table["entries"].as_u64().context("no entries")
}

impl Found {
    fn tell(mut self, report: &mut Report) -> Result<()> {
        self.took.sort_unstable();
        self.tables_ms.sort_unstable();
        let millis = |span: Duration| u64::try_from(span.as_millis());
        let slowest = *self.took.last().context("no reloads")?;
        let median = *self.took.get(self.took.len() / 2).context("no reloads")?;
        report.figure("reloads", self.took.len());
        report.figure("endpoints", self.endpoints);
        let [datagrams, connections, exchanges] = self.lost;
        report.figure("lost_datagrams", datagrams);
        report.figure("lost_connections", connections);
        report.figure("lost_exchanges", exchanges);
        report.figure("leaked", self.leaked);
        report.figure("denied", self.denied);
        report.figure("median_ms", millis(median)?);
        report.figure("slowest_ms", millis(slowest)?);
        report.figure("tables_median_ms", self.tables_ms.get(self.tables_ms.len() / 2).copied().unwrap_or_default());
        report.check_equal("reloads", RELOADS.into(), self.took.len() as u64);
        let enough = u64::from(2 * SHARED);
        report.check(
            "endpoints in the table",
            format!("{enough} or more"),
            (self.endpoints.to_string(), self.endpoints >= enough),
        );
        // Each is a probe of what the policy no longer allows, so none is of what both allow.
        let probes = u64::from(RELOADS) * 2 * PROBES;
        report.check_equal("packets denied: the probes of what is no longer allowed", probes, self.denied);
        report.check_equal("packets lost that both policies allow", 0, datagrams + connections + exchanges);
        report.check_equal("packets that passed after what allowed them was gone", 0, self.leaked);
        report.check_equal("packets lost that the new policy allows", 0, self.unopened);
        let tables = self.tables_ms.get(self.tables_ms.len() / 2).copied().unwrap_or(u64::MAX);
        report.check(
            "time until the tables hold another policy (median)",
            format!("below {GOAL:?}"),
            (format!("{tables} ms"), Duration::from_millis(tables) < GOAL),
        );
        Ok(())
    }
}
