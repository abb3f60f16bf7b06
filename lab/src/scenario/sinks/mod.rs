//! Records reach real receivers, whatever happens to them: each is killed and brought back, all are away for longer than
//! their queues reach, all are stopped where they are. Meanwhile enforcement goes on, and so does who is well.

mod files;
mod stage;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::Scenario;
use crate::lab::Lab;
use crate::report::Report;
use stage::Stage;

/// Packets denied while all receivers are well.
const WELL: u16 = 300;
/// Packets denied while one receiver is away: fewer than its queue holds.
const SOME: u16 = 200;
/// Packets denied while all are away, or stopped: more than their queues hold. What is stopped may have buffers besides.
const MANY: u16 = 2_500;
/// Records that a queue holds, and that are in hand besides.
const QUEUE: u64 = 512;
const IN_HAND: u64 = 128;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Sinks;

impl Scenario for Sinks {
    fn name(&self) -> &'static str {
        "sinks"
    }

    fn purpose(&self) -> &'static str {
        "rsyslog, journald and a collector are killed, stopped and come back: what was kept arrives, what was lost is counted"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let mut stage = Stage::set(lab, QUEUE)?;
        let began = Instant::now();
        all_well(&mut stage, report)?;
        for index in 0..stage.receivers.len() {
            killed(&mut stage, index, report)?;
        }
        all_away(&mut stage, report)?;
        all_stopped(&mut stage, report)?;
        files::put_aside(&mut stage, report)?;
        report.figure("seconds", began.elapsed().as_secs());
        report.figure("packets_denied", stage.told());
        stage.check_enforcement(report)
    }
}

/// Every receiver hears of every packet, once.
fn all_well(stage: &mut Stage<'_>, report: &mut Report) -> Result<()> {
    stage.deny(WELL)?;
    let told = stage.numbers();
    for index in 0..stage.receivers.len() {
        let (heard, again) = stage.wait_heard(index, u64::from(WELL))?;
        let what = format!("{}: packets heard of, all well", stage.name(index));
        report.check(
            what,
            format!("{WELL}, each once"),
            (format!("{}, {again} again", heard.len()), heard == told && again == 0),
        );
    }
    stage.check_file("all well", report)
}

/// One is killed: the others hear on, and it hears of all when it is back.
fn killed(stage: &mut Stage<'_>, index: usize, report: &mut Report) -> Result<()> {
    let name = stage.name(index);
    stage.receivers[index].kill()?;
    stage.deny(SOME)?;
    let told = stage.numbers();
    for other in (0..stage.receivers.len()).filter(|other| *other != index) {
        let (heard, _) = stage.wait_heard(other, told.len() as u64)?;
        let what = format!("{}: packets heard of while {name} is dead", stage.name(other));
        report.check_equal(&what, told.len() as u64, heard.len() as u64);
    }
    stage.check_file(&format!("{name} is dead"), report)?;
    stage.check_open(&format!("{name} is dead"), report)?;
    let kept = stage.sink(index)?;
    report.check_equal(&format!("{name}: records kept while it is dead"), SOME.into(), kept.waiting);
    report.check(
        format!("{name}: failure told"),
        "why",
        (kept.failure.clone().unwrap_or_default(), kept.failure.is_some()),
    );
    stage.receivers[index].bring_back()?;
    let back = Instant::now();
    let (heard, _) = stage.wait_heard(index, told.len() as u64)?;
    let sink = stage.settled(index)?;
    report.check_equal(&format!("{name}: packets heard of when it is back"), told.len() as u64, heard.len() as u64);
    report.check_equal(&format!("{name}: records lost by then"), 0, sink.lost);
    stage.longest_return = stage.longest_return.max(back.elapsed());
    report.figure("longest_return_ms", u64::try_from(stage.longest_return.as_millis())?);
    Ok(())
}

/// All are away for longer than their queues reach.
fn all_away(stage: &mut Stage<'_>, report: &mut Report) -> Result<()> {
    for receiver in &mut stage.receivers {
        receiver.kill()?;
    }
    stage.deny(MANY)?;
    stage.check_file("all are dead", report)?;
    stage.check_open("all are dead", report)?;
    for index in 0..stage.receivers.len() {
        let sink = stage.sink(index)?;
        let name = stage.name(index);
        let most = QUEUE + IN_HAND;
        let what = format!("{name}: records kept of {MANY} while all are dead");
        let fits = (QUEUE..=most).contains(&sink.waiting);
        report.check(what, format!("{QUEUE} to {most}"), (sink.waiting.to_string(), fits));
        report.check_equal(&format!("{name}: records kept or lost"), MANY.into(), sink.waiting + sink.lost);
    }
    for receiver in &mut stage.receivers {
        receiver.bring_back()?;
    }
    check_rest(stage, "all are back", report)?;
    report.figure("lost_while_away", stage.lost()?);
    Ok(())
}

/// All are stopped where they are: connections stay, and fill.
fn all_stopped(stage: &mut Stage<'_>, report: &mut Report) -> Result<()> {
    let before: Vec<u64> = stage.lost()?;
    for receiver in &stage.receivers {
        receiver.signal(Signal::SIGSTOP)?;
    }
    stage.deny(MANY)?;
    stage.check_file("all are stopped", report)?;
    stage.check_open("all are stopped", report)?;
    for receiver in &stage.receivers {
        receiver.signal(Signal::SIGCONT)?;
    }
    check_rest(stage, "all go on", report)?;
    let lost: Vec<u64> = stage.lost()?.iter().zip(before).map(|(now, before)| now - before).collect();
    report.figure("lost_while_stopped", lost);
    Ok(())
}

/// What was not lost was heard.
fn check_rest(stage: &mut Stage<'_>, when: &str, report: &mut Report) -> Result<()> {
    let told = stage.numbers();
    let mut repeated = Vec::new();
    for index in 0..stage.receivers.len() {
        let sink = stage.settled(index)?;
        let expected = told.len() as u64 - sink.lost;
        let (heard, again) = stage.wait_heard(index, expected)?;
        let name = stage.name(index);
        let unknown = heard.difference(&told).collect::<BTreeSet<_>>().len();
        report.check_equal(
            &format!("{name}: packets heard of, of those not lost, {when}"),
            expected,
            heard.len() as u64,
        );
        report.check_equal(&format!("{name}: packets heard of that never were"), 0, unknown as u64);
        repeated.push(again);
    }
    report.figure("heard_again", repeated);
    Ok(())
}
