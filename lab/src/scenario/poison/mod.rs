//! Answers that must teach nothing: each kind, and many mutated ones, with the host's code as the judge beside.
//!
//! Every frame that the programs see is judged by [`Replica`] too. Afterwards both must have learned the same addresses
//! and counted the same.

mod account;
mod kinds;
mod mutated;
mod stage;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Scenario;
use crate::lab::Lab;
use crate::net::plan::{PROBE, SCRIPTED, SCRIPTED6};
use crate::report::Report;
use crate::servers::responder::Responder;
use crate::sphere::{Daemon, Replica, Sphere};
use crate::zone::{DUAL4, DUAL6};
use crate::{vendor, wait};
use account::Books;
use kinds::{HOST, KINDS, Kind, OTHER, RIGHT, WILD};
use mutated::ANSWERS;
use stage::{Script, Stage};

/// How long the daemon may take to resolve every name once.
const RESOLVED: Duration = Duration::from_secs(15);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Poison;

impl Scenario for Poison {
    fn name(&self) -> &'static str {
        "poison"
    }

    fn purpose(&self) -> &'static str {
        "forged answers and 100,000 mutated ones: nothing is learned that the host's code would not learn"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let script = Script::default();
        let _over_v4 = listen(lab, SCRIPTED.into(), &script)?;
        let _over_v6 = listen(lab, SCRIPTED6.into(), &script)?;
        let sphere = lab.protect(|policy| {
            // The widest: other hosts may share the port, and yet an answer never comes from there.
            policy.other_sources = "pass";
            policy.limits = "endpoints = 262144\nflows_per_device = 8192\nevents_per_second = 5000\n".to_owned();
            policy.group = "learn = 200000\n".to_owned();
            policy.more = [HOST, OTHER, WILD]
                .map(|host| format!("\n[[group.allow]]\nhost = \"{host}\"\nports = [\"tcp/443\"]\n"))
                .concat();
        })?;
        lab.warm_up()?;
        settle(&sphere)?;
        let books = Books::open(&sphere)?;
        let mut stage = Stage::new(lab, Replica::of(&sphere)?, script)?;
        let wrongly = try_kinds(&mut stage, &books, report)?;
        report.figure("kinds", KINDS.len());
        let beyond = mutate(lab, &mut stage, &books, report)?;
        report.figure("learned_wrongly", wrongly + beyond);
        report.check_equal("addresses learned wrongly", 0, (wrongly + beyond) as u64);
        let runs = lab.daemon.as_mut().is_some_and(Daemon::runs);
        report.check("the daemon", "runs", (if runs { "runs" } else { "ended" }, runs));
        Ok(())
    }
}

/// An approved resolver that says what the stage has written down.
fn listen(lab: &Lab, address: IpAddr, script: &Script) -> Result<Responder> {
    let script = script.clone();
    Responder::start(&lab.network.internet, address, move |question, _over| script.answers(question))
}

/// Waits until the daemon has resolved all names: what comes later is from answers to devices.
fn settle(sphere: &Sphere) -> Result<()> {
    let mut wanted: BTreeSet<IpAddr> = vendor::NAMES.iter().map(|name| name.address.into()).collect();
    wanted.extend([PROBE.into(), DUAL4.into(), IpAddr::V6(DUAL6)]);
    wait::until("the daemon's own answers", RESOLVED, || match sphere.endpoints() {
        Ok(endpoints) => {
            let known: BTreeSet<IpAddr> = endpoints.into_keys().map(|(address, ..)| address).collect();
            wanted.is_subset(&known).then_some(Ok(()))
        }
        Err(error) => Some(Err(error)),
    })?
}

/// Each kind: the reason that it must be given, what it teaches, and whether both machines say so. Returns how many
/// addresses the kernel learned wrongly.
fn try_kinds(stage: &mut Stage<'_>, books: &Books<'_>, report: &mut Report) -> Result<usize> {
    let (mut wrongly, mut agreed) = (BTreeSet::new(), 0);
    for kind in &KINDS {
        let Kind { name, reason, learned, .. } = kind;
        let before = stage.host().learned().len();
        let judgements = stage.carry_out(kind)?;
        let compared = books.compare(stage.host(), &BTreeSet::new())?;
        let now = stage.host().learned();
        let as_expected = judgements.iter().all(|judged| judged.reason == *reason)
            && now.len() == before + learned
            && now.iter().all(|(address, ..)| *address == RIGHT);
        let reasons: BTreeSet<&str> = judgements.iter().map(|judged| judged.reason.word()).collect();
        let mut seen = format!("{}, learned {}", reasons.into_iter().collect::<Vec<_>>().join(" "), now.len() - before);
        if let Some(difference) = &compared.difference {
            seen += &format!("; {difference}");
        }
        agreed += u64::from(compared.difference.is_none());
        wrongly.extend(compared.wrongly);
        wrongly.extend(now.into_iter().filter(|(address, ..)| *address != RIGHT));
        let ok = as_expected && compared.difference.is_none();
        report.check(*name, format!("{}, learned {learned}", reason.word()), (seen, ok));
    }
    report.figure("kinds_agreed", agreed);
    Ok(wrongly.len())
}

/// The mutated answers. Returns how many addresses the kernel learned that the host did not.
fn mutate(lab: &Lab, stage: &mut Stage<'_>, books: &Books<'_>, report: &mut Report) -> Result<usize> {
    let before = stage.host().learned().len();
    let started = Instant::now();
    let found = mutated::send_all(lab, stage)?;
    report.figure("mutated_took_ms", u64::try_from(started.elapsed().as_millis())?);
    let compared = books.compare(stage.host(), &found.named)?;
    report.figure("mutated", found.sent);
    report.figure("mutated_denied", found.denied);
    report.figure("mutated_handed_over", found.handed_over);
    report.figure("mutated_learned", stage.host().learned().len() - before);
    report.figure("mutated_agreed", compared.difference.is_none());
    report.check_equal("mutated answers", u64::from(ANSWERS), found.sent);
    let seen = compared.difference.clone().unwrap_or_else(|| "agreed".to_owned());
    report.check("kernel and host after mutated answers", "agreed", (seen, compared.difference.is_none()));
    Ok(compared.wrongly.len())
}
