//! `sphere doctor` on a gateway that works, and on one that is broken in one way after the other.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Scenario;
use crate::lab::Lab;
use crate::net::plan::RESOLVER;
use crate::process;
use crate::report::Report;
use crate::sphere::Sphere;

/// How long the command may take: what does not answer is waited for.
const LIMIT: Duration = Duration::from_secs(60);
/// Exit code when something is a problem.
const PROBLEMS: i32 = 5;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Doctor;

impl Scenario for Doctor {
    fn name(&self) -> &'static str {
        "doctor"
    }

    fn purpose(&self) -> &'static str {
        "the doctor finds nothing on a gateway that works, and what is broken on one that does not"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        // The others are where some scenarios put a resolver of their own.
        let sphere = lab.protect(|policy| policy.resolvers = format!("\"gateway\", \"{RESOLVER}\""))?;
        lab.warm_up()?;
        let well = Diagnosis::of(&sphere, &[])?;
        report.figure("findings", well.findings.len());
        report.check("a gateway that works", "no problem, exit code 0", (well.problems(), well.code == Some(0)));
        let endpoints = well.findings.iter().filter(|finding| finding["area"] == "endpoints").count();
        report.figure("endpoints", endpoints);
        report.check("names and services looked at", "20 or more", (endpoints.to_string(), endpoints >= 20));

        lab.network.gateway.sysctl("net/ipv4/ip_forward", "0")?;
        expect(report, &sphere, "forwarding is off", "sysctl -w net.ipv4.ip_forward=1")?;
        lab.network.gateway.sysctl("net/ipv4/ip_forward", "1")?;

        lab.network.gateway.ip("link set wan0 down")?;
        expect(report, &sphere, "the way out is down", "dig prod.deviceauth.sphere.azure.net")?;
        lab.network.gateway.ip("link set wan0 up\nroute add default via 20.41.0.1")?;

        lab.servers.dns.down()?;
        expect(report, &sphere, "the resolver is down", "name another server in [resolver]")?;
        lab.servers.dns.up(&lab.network.internet)?;

        let again = Diagnosis::of(&sphere, &[])?;
        report.check("mended", "no problem, exit code 0", (again.problems(), again.code == Some(0)));
        let offline = Diagnosis::of(&sphere, &["--offline"])?;
        let beyond = offline.findings.iter().filter(|finding| finding["area"] == "endpoints").count();
        report.check_equal("offline: names looked at", 0, beyond as u64);
        Ok(())
    }
}

/// The doctor must see a problem, and tell this remedy.
fn expect(report: &mut Report, sphere: &Sphere, what: &str, remedy: &str) -> Result<()> {
    let found = Diagnosis::of(sphere, &[])?;
    let is_told = found.findings.iter().any(|finding| {
        finding["state"] == "problem" && finding["remedy"].as_str().is_some_and(|told| told.contains(remedy))
    });
    let seen = if is_told { "told".to_owned() } else { found.problems() };
    report.check(
        what,
        format!("a problem, exit code {PROBLEMS}: {remedy}"),
        (seen, is_told && found.code == Some(PROBLEMS)),
    );
    Ok(())
}

struct Diagnosis {
    code: Option<i32>,
    findings: Vec<Value>,
}

impl Diagnosis {
    fn of(sphere: &Sphere, arguments: &[&str]) -> Result<Self> {
        let mut command = sphere.command(&["doctor", "--json"]);
        command.arg("--config").arg(sphere.config()).args(arguments);
        let done = process::run(command, LIMIT)?;
        let report: Value = serde_json::from_str(&done.stdout).with_context(|| done.complaint())?;
        let findings = report["findings"].as_array().cloned().context("no findings")?;
        Ok(Self { code: done.code, findings })
    }

    fn problems(&self) -> String {
        let problems = self.findings.iter().filter(|finding| finding["state"] == "problem");
        let problems: Vec<&str> = problems.filter_map(|finding| finding["what"].as_str()).collect();
        if problems.is_empty() { "none".to_owned() } else { problems.join("; ") }
    }
}
