//! A policy on trial goes by itself unless it is confirmed: also when the daemon dies meanwhile, or is dead when the time
//! is over.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Scenario;
use crate::lab::Lab;
use crate::net::plan::{DENIED_PORT, PROBE, PROBE_PORT};
use crate::policy::Policy;
use crate::process;
use crate::report::Report;
use crate::sphere::{Daemon, Sphere};

/// How long a trial is.
const TRIAL: Duration = Duration::from_secs(4);
/// How long an answer to a probe may take.
const ANSWER: Duration = Duration::from_millis(300);
/// How much later than it should a trial may end.
const LATE: Duration = Duration::from_secs(2);
/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Confirm;

impl Scenario for Confirm {
    fn name(&self) -> &'static str {
        "confirm"
    }

    fn purpose(&self) -> &'static str {
        "a policy on trial goes by itself unless confirmed, also when the daemon is killed"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let sphere = lab.protect(|_policy| {})?;
        lab.warm_up()?;
        let trial = Trial { sphere: &sphere, wider: wider(&sphere) };
        check(report, "before: a port that no rule allows", false, passes(lab)?);
        trial.ends_by_itself(lab, report)?;
        trial.ends_after_a_kill(lab, report)?;
        trial.ends_while_no_daemon_runs(lab, report)?;
        trial.stays_when_confirmed(lab, report)?;
        trial.is_gone_back_from(lab, report)
    }
}

/// The policy that allows the port too.
fn wider(sphere: &Sphere) -> Policy {
    let mut policy = sphere.policy();
    policy.more.push_str(&format!("\n[[group.allow]]\naddress = \"{PROBE}\"\nports = [\"udp/{DENIED_PORT}\"]\n"));
    policy
}

struct Trial<'a> {
    sphere: &'a Sphere,
    wider: Policy,
}

impl Trial<'_> {
    /// Puts the wider policy on trial.
    fn begin(&self) -> Result<Instant> {
        self.sphere.configure(&self.wider)?;
        let span = format!("{}s", TRIAL.as_secs());
        let reloaded = self.told(&["reload", "--json", "--confirm", &span])?;
        if reloaded["applied"] != true || reloaded["trial_ms"].as_u64().is_none() {
            bail!("no trial began: {reloaded}");
        }
        Ok(Instant::now())
    }

    fn told(&self, arguments: &[&str]) -> Result<Value> {
        let text = process::must(self.sphere.command(arguments), LIMIT)?;
        serde_json::from_str(&text).context("no JSON")
    }

    fn ends_by_itself(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        let begun = self.begin()?;
        check(report, "on trial: the port that the new policy allows", true, passes(lab)?);
        let late = ended(lab, begun)?;
        report.figure("late_ms", u64::try_from(late.as_millis())?);
        report.check("the trial ends when it should", format!("within {LATE:?}"), (format!("{late:?}"), late < LATE));
        check(report, "what both policies allow, afterwards", true, answers(lab, PROBE_PORT)?);
        Ok(())
    }

    fn ends_after_a_kill(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        let begun = self.begin()?;
        lab.kill_daemon()?;
        lab.restart(self.sphere)?;
        check(report, "killed and started again on trial: the port", true, passes(lab)?);
        let late = ended(lab, begun)?;
        report.figure("late_after_kill_ms", u64::try_from(late.as_millis())?);
        report.check(
            "the trial ends when it should have",
            format!("within {LATE:?}"),
            (format!("{late:?}"), late < LATE),
        );
        Ok(())
    }

    fn ends_while_no_daemon_runs(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        let begun = self.begin()?;
        lab.kill_daemon()?;
        thread::sleep((TRIAL + Duration::from_millis(200)).saturating_sub(begun.elapsed()));
        lab.restart(self.sphere)?;
        // The file still says the wider policy.
        check(report, "started again after the trial: the port", false, passes(lab)?);
        lab.kill_daemon()?;
        lab.restart(self.sphere)?;
        check(report, "and once more", false, passes(lab)?);
        self.begin()?;
        lab.kill_daemon()?;
        std::fs::write(self.sphere.config(), self.wider.render() + "\nnonsense = 1\n")?;
        thread::sleep(TRIAL);
        lab.restart(self.sphere)?;
        check(report, "after another trial, with a policy file that has a mistake", false, passes(lab)?);
        Ok(())
    }

    fn stays_when_confirmed(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        let begun = self.begin()?;
        process::must(self.sphere.command(&["confirm"]), LIMIT)?;
        thread::sleep((TRIAL + LATE).saturating_sub(begun.elapsed()));
        check(report, "confirmed: the port after the time", true, passes(lab)?);
        lab.kill_daemon()?;
        lab.restart(self.sphere)?;
        check(report, "confirmed: the port after a kill", true, passes(lab)?);
        let again = process::run(self.sphere.command(&["confirm"]), LIMIT)?;
        check(report, "there is nothing to confirm any more", true, !again.succeeded());
        Ok(())
    }

    fn is_gone_back_from(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        let gone_back = self.told(&["rollback", "--json"])?;
        check(report, "gone back: the command says so", true, gone_back["applied"] == true);
        check(report, "gone back: the port", false, passes(lab)?);
        lab.kill_daemon()?;
        lab.restart(self.sphere)?;
        check(report, "gone back: the port after a kill, with the file as it was", false, passes(lab)?);
        let kept = self.told(&["rollback", "--list", "--json"])?;
        let kept = kept["policies"].as_array().context("no policies")?;
        report.figure("kept", kept.len());
        check(report, "the policies that are kept say which is in force", true, {
            kept.iter().filter(|policy| policy["in_force"] == true).count() == 1
        });
        Ok(())
    }
}

fn check(report: &mut Report, what: &str, expected: bool, seen: bool) {
    let word = |passes: bool| if passes { "yes" } else { "no" };
    report.check(what, word(expected), (word(seen), expected == seen));
}

/// Waits until the port is closed again; says how much later than it should that was.
fn ended(lab: &Lab, begun: Instant) -> Result<Duration> {
    loop {
        if !passes(lab)? {
            return Ok(begun.elapsed().saturating_sub(TRIAL));
        }
        if begun.elapsed() > TRIAL + LATE * 3 {
            bail!("the trial does not end: {}", lab.daemon.as_ref().map(Daemon::log_end).unwrap_or_default());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether the port passes that only the wider policy allows.
fn passes(lab: &Lab) -> Result<bool> {
    answers(lab, DENIED_PORT)
}

/// Whether the echo service answers on a port, from a new flow.
fn answers(lab: &Lab, port: u16) -> Result<bool> {
    lab.device(0)?.namespace.enter(|| -> Result<bool> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(SocketAddr::new(PROBE.into(), port))?;
        socket.set_read_timeout(Some(ANSWER))?;
        socket.send(b"probe")?;
        Ok(socket.recv(&mut [0; 16]).is_ok())
    })?
}
