//! No daemon: the programs go on learning, and the next daemon knows what they learned.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use sphere_common::abi::LessonCount;

use super::Scenario;
use super::session::{Session, deliver};
use crate::clients::dial::{Dialled, dial};
use crate::clients::{PATIENCE, Trust, http};
use crate::lab::Lab;
use crate::process::{self, Finished};
use crate::report::Report;
use crate::servers::{mqtt as broker, web};
use crate::sphere::{Sphere, Status};
use crate::vendor::{HUB, UPDATE};

/// How often the names move while no daemon runs.
const MOVES: u8 = 6;
/// How long the record of a denial may take.
const RECORDED: Duration = Duration::from_secs(5);
/// A port that no rule allows.
const CLOSED: u16 = 81;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Daemonless;

impl Scenario for Daemonless {
    fn name(&self) -> &'static str {
        "daemonless"
    }

    fn purpose(&self) -> &'static str {
        "the daemon is killed: new addresses open all the same, and the next daemon knows of them"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let sphere = lab.protect(|_policy| {})?;
        lab.warm_up()?;
        lab.kill_daemon()?;
        let before = sphere.status()?;
        report.check("the daemon", "stopped", (before.daemon.clone(), before.daemon == "stopped"));
        let mut sessions = vec![Session::open(lab, lab.device(1)?, 1)?];
        let mut opened = 0;
        for round in 0..MOVES {
            lab.servers.dns.change(|zone| {
                zone.move_to(UPDATE, vec![web::rotation(round)]);
                zone.move_to(HUB, vec![broker::rotation(round)]);
            })?;
            opened += u64::from(fetch(lab)?);
            deliver(lab, &mut sessions)?;
        }
        let after = sphere.status()?;
        let learned = after.lessons(LessonCount::Address) - before.lessons(LessonCount::Address);
        let denials = after.counters().denied_aloud() - before.counters().denied_aloud();
        report.figure("moves", u64::from(MOVES));
        report.figure("addresses_learned", learned);
        report.figure("denials", denials);
        report.check_equal("new addresses that opened at once", u64::from(MOVES), opened);
        report.check_equal("packets denied meanwhile", 0, denials);
        report.check_equal("connections of the MQTT session", 1, sessions.iter().map(Session::connections).sum());
        let seen = format!("{learned} learned");
        report.check("addresses learned without a daemon", "at least one a move", (seen, learned >= MOVES.into()));
        check_next(lab, &sphere, &after, report)
    }
}

/// Fetches from the name, which the device resolves.
fn fetch(lab: &Lab) -> Result<bool> {
    let trust = Trust { root: &lab.root, limit: PATIENCE };
    Ok(http::fetch(lab.device(0)?, &format!("http://{UPDATE}/"), UPDATE, trust)?.succeeded)
}

/// The next daemon takes over what was learned, and can tell what it is.
fn check_next(lab: &mut Lab, sphere: &Sphere, before: &Status, report: &mut Report) -> Result<()> {
    lab.servers.dns.down()?;
    let mut records = sphere.records();
    let took = lab.restart(sphere)?.ready_after();
    report.figure("restart_ms", u64::try_from(took.as_millis())?);
    let status = sphere.status()?;
    let kept = status.lessons(LessonCount::Address);
    let enough = kept >= before.lessons(LessonCount::Address);
    report.check("addresses counted as learned, after the start", "no fewer", (kept.to_string(), enough));
    let device = lab.device(0)?;
    for round in 0..MOVES {
        let address = web::rotation(round);
        let dialled = device.namespace.enter(|| dial(address, 80))??;
        let seen = if dialled == Dialled::Answered { "pass" } else { "deny" };
        report.check(format!("{address}, learned before the start"), "pass", (seen, seen == "pass"));
    }
    let newest = web::rotation(MOVES - 1);
    device.namespace.enter(|| dial(newest, CLOSED))??;
    let record = records.wait(RECORDED, |record| record.peer == Some(newest) && record.peer_port == Some(CLOSED))?;
    let named = record.peer_names.iter().any(|name| name == UPDATE);
    let what = format!("names in the record of a denial at {newest}");
    report.check(what, UPDATE, (record.peer_names.join(", "), named));
    check_names(sphere, newest, report)
}

/// `sphere names` knows the address too.
fn check_names(sphere: &Sphere, address: IpAddr, report: &mut Report) -> Result<()> {
    let done = process::run(sphere.command(&["names", "--json"]), PATIENCE)?;
    let known = knows(&done, address).with_context(|| format!("sphere names --json: {}", done.complaint()));
    let (seen, ok) = match known {
        Ok(ok) => (if ok { "known" } else { "not among them" }.to_owned(), ok),
        Err(error) => (format!("{error:#}"), false),
    };
    report.check(format!("{address} for {UPDATE} in sphere names --json"), "known", (seen, ok));
    Ok(())
}

/// Whether the address stands below the name.
fn knows(done: &Finished, address: IpAddr) -> Result<bool> {
    let value: serde_json::Value = serde_json::from_str(&done.stdout)?;
    let names = value.get("names").and_then(serde_json::Value::as_array).context("no names")?;
    let name = names.iter().find(|name| name.get("name").and_then(serde_json::Value::as_str) == Some(UPDATE));
    Ok(name.context("the name is missing")?.to_string().contains(&format!("\"{address}\"")))
}
