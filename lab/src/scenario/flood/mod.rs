//! A flood of denied packets, and every one of them in the store: with a daemon that lives, and with one that is killed.

mod books;
mod senders;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sphere_common::abi::DENIED_PER_DEVICE;
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::Scenario;
use crate::lab::Lab;
use crate::net::HOSTILE4;
use crate::report::Report;
use crate::sphere::{Counters, Sphere};
use crate::wait;
use books::{Books, Line};
use senders::{DESTINATION, FEW, FLOOD, FRAME_BYTES, Senders, expected};

/// Memory that the daemon may have used at most.
const MEMORY_KIB: u64 = 64 << 10;
/// Bytes that the store may have grown to: some hundred accounts, whatever the number of destinations.
const STORE_BYTES: u64 = 1 << 20;
/// How long the flood may take to get to where something is done about it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the store may take until it has what the kernel counted.
const WRITTEN: Duration = Duration::from_secs(15);

/// The daemon lives through the flood, and is stopped as soon as it is over.
#[derive(Debug)]
pub(super) struct Flood;

/// The daemon is killed in the middle of the flood; another starts while it goes on.
#[derive(Debug)]
pub(super) struct FloodCrash;

impl Scenario for Flood {
    fn name(&self) -> &'static str {
        "flood"
    }

    fn purpose(&self) -> &'static str {
        "10 million denied packets to 100,000 destinations: the account on disk is exact"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        let stage = Stage::prepare(lab)?;
        let started = Instant::now();
        stage.senders.send(|| Ok(()))?;
        tell_rate(report, started);
        // What the daemon has not read yet it reads when it is told to stop.
        let daemon = lab.daemon.take().context("no daemon runs")?;
        let memory = daemon.peak_memory_kib()?;
        let stopped = daemon.stop()?;
        report.check("end of the daemon", "success", (stopped.to_string(), stopped.success()));
        stage.check(memory, report)
    }
}

impl Scenario for FloodCrash {
    fn name(&self) -> &'static str {
        "flood-crash"
    }

    fn purpose(&self) -> &'static str {
        "the daemon is killed in the middle of the flood, and starts again: the account on disk is exact"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        let stage = Stage::prepare(lab)?;
        let (started, mut memory) = (Instant::now(), 0);
        stage.senders.send(|| {
            let reached = |part: u64| {
                let is_reached = || (stage.senders.sent() >= FLOOD / 10 * part).then_some(());
                wait::until("the flood to go on", PATIENCE, is_reached)
            };
            reached(4)?;
            memory = lab.daemon.as_ref().context("no daemon runs")?.peak_memory_kib()?;
            lab.kill_daemon()?;
            let (flooder, _) = stage.on_disk()?;
            report.figure("packets_on_disk_when_killed", flooder);
            let is_part = (1..FLOOD).contains(&flooder);
            report.check("packets on disk when the daemon was killed", "a part", (flooder.to_string(), is_part));
            let alone = stage.senders.sent();
            reached(6)?;
            lab.restart(&stage.sphere)?;
            report.figure("frames_without_a_daemon", stage.senders.sent() - alone);
            Ok(())
        })?;
        tell_rate(report, started);
        stage.wait_until_written()?;
        let daemon = lab.daemon.take().context("no daemon runs")?;
        memory = memory.max(daemon.peak_memory_kib()?);
        daemon.stop()?;
        stage.check(memory, report)
    }
}

fn tell_rate(report: &mut Report, started: Instant) {
    let took = started.elapsed();
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    report.figure("flood_took_ms", millis);
    report.figure("frames_per_second", FLOOD.saturating_mul(1000) / millis);
}

/// Everything ready for the flood.
struct Stage {
    sphere: Sphere,
    senders: Senders,
    books: Books,
    /// What the kernel had counted before.
    before: Counters,
    flooder: IpAddr,
    other: IpAddr,
}

impl Stage {
    fn prepare(lab: &mut Lab) -> Result<Self> {
        lab.address_devices()?;
        // As on a gateway: the records of a flood are few.
        let sphere = lab.protect(|policy| policy.denied_window = "10s")?;
        lab.warm_up()?;
        let senders = Senders::new(lab)?;
        let books = Books::at(sphere.store());
        let before = sphere.status()?.counters();
        Ok(Self { sphere, senders, books, before, flooder: HOSTILE4.into(), other: lab.device(1)?.ipv4.into() })
    }

    /// Packets on disk, of the flooding device and of the other.
    fn on_disk(&self) -> Result<(u64, u64)> {
        let totals = self.books.totals()?;
        let of = |wanted| {
            let totals = totals.iter().filter(|((device, _, _), _)| *device == wanted);
            totals.map(|(_, (packets, _))| packets).sum()
        };
        Ok((of(self.flooder), of(self.other)))
    }

    /// Waits until the store has as many packets as were sent, at most for a while: what it has is compared later.
    fn wait_until_written(&self) -> Result<()> {
        let written = wait::until("the store to have the flood", WRITTEN, || match self.on_disk() {
            Ok((flooder, other)) => (flooder >= FLOOD && other >= FEW).then_some(Ok(())),
            Err(error) => Some(Err(error)),
        });
        written.unwrap_or(Ok(()))
    }

    /// Compares what was sent with what the kernel counted and with what is on disk.
    fn check(&self, memory_kib: u64, report: &mut Report) -> Result<()> {
        let (now, totals) = (self.sphere.status()?.counters(), self.books.totals()?);
        let mut in_store = 0;
        for (reason, packets) in expected() {
            let others = if reason == Reason::Destination { FEW } else { 0 };
            let of = |counters: &Counters| counters.of(Direction::Ingress, Verdict::Deny, reason);
            let word = reason.word();
            let counted = of(&now) - of(&self.before);
            report.check_equal(&format!("{word}: packets that the kernel counted"), packets + others, counted);
            let key = (self.flooder, Verdict::Deny.word().to_owned(), word.to_owned());
            let (written, bytes) = totals.get(&key).copied().unwrap_or_default();
            report.check_equal(&format!("{word}: packets of the flooding device on disk"), packets, written);
            report.check_equal(&format!("{word}: bytes of the flooding device on disk"), packets * FRAME_BYTES, bytes);
            in_store += written;
        }
        report.figure("frames_sent", self.senders.sent());
        report.check_equal("frames lost before the gateway", 0, self.senders.lost()?);
        report.figure("packets_on_disk", in_store);
        self.check_lines(report)?;
        let bytes = self.books.bytes()?;
        report.figure("store_bytes", bytes);
        report.figure("peak_memory_kib", memory_kib);
        report.check("bytes of the store", "less than 1 MiB", (bytes.to_string(), bytes < STORE_BYTES));
        report.check(
            "memory of the daemon",
            "less than 64 MiB",
            (format!("{memory_kib} KiB"), memory_kib < MEMORY_KIB),
        );
        Ok(())
    }

    fn check_lines(&self, report: &mut Report) -> Result<()> {
        let lines = self.books.lines(self.flooder)?;
        let reasons = expected().map(|(reason, _)| reason.word());
        let of_flood = |line: &&Line| reasons.contains(&line.reason.as_str());
        let named = lines.iter().filter(of_flood).filter(|line| line.peer.is_some()).count() as u64;
        let by_lines: u64 = lines.iter().filter(of_flood).map(|line| line.packets).sum();
        report.figure("destinations_on_disk", named);
        report.check_equal("packets of the flooding device, added up by destination", FLOOD, by_lines);
        let text = named.to_string();
        let is_full = named >= DENIED_PER_DEVICE;
        report.check("destinations of the flooding device on disk", "as many as it has accounts", (text, is_full));
        let others = self.books.lines(self.other)?;
        let line = others.iter().find(|line| line.reason == Reason::Destination.word());
        let expected = Line {
            grp: "sphere".to_owned(),
            device: self.other,
            peer: Some(DESTINATION.ip()),
            protocol: Some(17),
            port: Some(DESTINATION.port()),
            direction: Direction::Ingress.word().to_owned(),
            verdict: Verdict::Deny.word().to_owned(),
            reason: Reason::Destination.word().to_owned(),
            packets: FEW,
            bytes: FEW * FRAME_BYTES,
        };
        let seen = line.map_or_else(|| "none".to_owned(), Line::to_string);
        report.check("the other device's line on disk", expected.to_string(), (seen, line == Some(&expected)));
        let count = others.iter().filter(|line| line.reason == Reason::Destination.word()).count() as u64;
        report.check_equal("lines of the other device on disk, of that reason", 1, count);
        Ok(())
    }
}
