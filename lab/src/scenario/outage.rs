//! The resolver is down when the daemon starts, comes, fails in two ways later, and comes back.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Scenario;
use crate::clients::{Attempt, Trust, http};
use crate::lab::Lab;
use crate::net::plan::server;
use crate::report::Report;
use crate::servers::web;
use crate::vendor::{DEVICE_AUTH, UPDATE};
use crate::wait;

/// How long the daemon may take to notice that its resolver is back: it tries again after 5 s, then more rarely.
const RECOVERS: Duration = Duration::from_secs(30);
/// Longer than every answer of the names that are tried lives.
const OUTAGE: Duration = Duration::from_secs(13);
const SHORT: Duration = Duration::from_millis(500);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Outage;

impl Scenario for Outage {
    fn name(&self) -> &'static str {
        "outage"
    }

    fn purpose(&self) -> &'static str {
        "the resolver is down at the daemon's start, comes, fails later, and comes back"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        lab.servers.dns.down()?;
        lab.protect(|_policy| {})?;
        let unresolved = known(lab)?;
        report.check(
            "names never resolved",
            "deny: nothing is open by mistake",
            (unresolved.detail, !unresolved.succeeded),
        );

        lab.servers.dns.up(&lab.network.internet)?;
        report.figure("first_answer_ms", until_passing(lab, DEVICE_AUTH, "https")?);

        lab.servers.dns.down()?;
        let (tried, failed) = hold(lab)?;
        report.figure("tried_while_closed", tried);
        report.check_equal("connections denied while the resolver's port was closed", 0, failed);
        lab.servers.dns.up(&lab.network.internet)?;
        lab.servers.dns.freeze()?;
        let (tried, failed) = hold(lab)?;
        report.figure("tried_while_silent", tried);
        report.check_equal("connections denied while the resolver was silent", 0, failed);

        lab.servers.dns.thaw(|zone| zone.move_to(UPDATE, vec![web::rotation(3)]))?;
        report.figure("recovered_ms", until_passing(lab, UPDATE, "http")?);
        let still = known(lab)?;
        report.check("a name after the outage", "pass", (still.detail, still.succeeded));
        let alive = lab.daemon.as_mut().is_some_and(crate::sphere::Daemon::runs);
        report.check("the daemon", "running", (if alive { "running" } else { "gone" }, alive));
        Ok(())
    }
}

/// Connects to an allowed host at its known address: needs no answer on the device.
fn known(lab: &Lab) -> Result<Attempt> {
    let trust = Trust { root: &lab.root, limit: SHORT };
    let address: IpAddr = server(2, 3).into();
    http::fetch_at(lab.device(0)?, (&format!("https://{DEVICE_AUTH}/"), Some(address)), DEVICE_AUTH, trust)
}

/// Resolves and connects until it works; returns how long it took.
fn until_passing(lab: &Lab, host: &str, scheme: &str) -> Result<u64> {
    let started = Instant::now();
    let trust = Trust { root: &lab.root, limit: SHORT };
    let device = lab.device(0)?;
    wait::until(&format!("a connection to {host}"), RECOVERS, || {
        let attempt = http::fetch(device, &format!("{scheme}://{host}/"), host, trust);
        attempt.map(|attempt| attempt.succeeded.then_some(())).transpose()
    })??;
    Ok(u64::try_from(started.elapsed().as_millis())?)
}

/// Connects again and again through an outage; returns how often, and how often in vain.
fn hold(lab: &Lab) -> Result<(u64, u64)> {
    let until = Instant::now() + OUTAGE;
    let (mut tried, mut failed) = (0, 0);
    let mut outcome = Ok(());
    wait::every(Duration::from_millis(100), |_round| match known(lab) {
        Ok(attempt) => {
            tried += 1;
            failed += u64::from(!attempt.succeeded);
            Instant::now() < until
        }
        Err(error) => {
            outcome = Err(error);
            false
        }
    });
    outcome?;
    Ok((tried, failed))
}
