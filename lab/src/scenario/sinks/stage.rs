//! The receivers, the daemon that tells them, and a device whose packets are denied: each has a port of its own, by which
//! it is known in every format.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result};
use sphere_common::verdict::{Direction, Reason, Verdict};

use crate::clients::dial::{Dialled, dial};
use crate::lab::Lab;
use crate::net::plan::{PROBE, PROBE_PORT, stranger};
use crate::report::Report;
use crate::servers::receiver::Receiver;
use crate::servers::{collector, journal, syslog};
use crate::sphere::{Sink, Sphere};
use crate::wait;

/// Port of the first denied packet.
const FIRST: u16 = 10_000;
/// Packets sent at once, and how often: what the ring of samples holds.
const AT_ONCE: u16 = 50;
const PAUSE: Duration = Duration::from_millis(20);
/// How long records may take to arrive, a wait before the next try included.
const ARRIVAL: Duration = Duration::from_secs(20);
/// How often to ask who takes its time to answer.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Stage<'a> {
    lab: &'a Lab,
    pub(super) sphere: Sphere,
    pub(super) receivers: Vec<Receiver>,
    next: u16,
    denied_before: u64,
    pub(super) longest_return: Duration,
}

impl<'a> Stage<'a> {
    /// Starts the receivers, and the daemon with a sink for each.
    pub(super) fn set(lab: &'a mut Lab, queue: u64) -> Result<Self> {
        let (network, authority) = (&lab.network, &lab.servers.authority);
        let receivers = vec![
            journal::start(network)?,
            syslog::over_tcp(network)?,
            syslog::over_tls(network, authority)?,
            collector::start(network, authority)?,
        ];
        let tables =
            receivers.iter().map(|receiver| format!("\n[[records.sink]]\n{}queue = {queue}\n", receiver.table));
        let records = format!("rotate = \"1MiB\"\nkeep = 50\n{}", tables.collect::<String>());
        let sphere = lab.protect(|policy| {
            policy.records = records;
            policy.limits = "events_per_second = 100000\n".to_owned();
        })?;
        lab.warm_up()?;
        let mut stage = Self { lab, sphere, receivers, next: FIRST, denied_before: 0, longest_return: Duration::ZERO };
        stage.denied_before = stage.denied()?;
        Ok(stage)
    }

    /// Has a device send so many packets that are denied.
    pub(super) fn deny(&mut self, count: u16) -> Result<()> {
        let (first, end) = (self.next, self.next + count);
        self.next = end;
        self.lab.device(0)?.namespace.enter(move || -> Result<()> {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            let (mut port, mut failed) = (first, None);
            wait::every(PAUSE, |_round| {
                for _packet in 0..AT_ONCE.min(end - port) {
                    failed = socket.send_to(b"record me", SocketAddr::new(stranger(9).into(), port)).err();
                    port += 1;
                }
                failed.is_none() && port < end
            });
            failed.map_or(Ok(()), |error| Err(error.into()))
        })?
    }

    /// Numbers of all packets so far.
    pub(super) fn numbers(&self) -> BTreeSet<u16> {
        (FIRST..self.next).collect()
    }

    /// How many packets there were so far.
    pub(super) fn told(&self) -> u64 {
        u64::from(self.next - FIRST)
    }

    /// First word or two of a receiver's sink.
    pub(super) fn name(&self, index: usize) -> String {
        let sink = self.receivers.get(index).map(|receiver| receiver.sink.as_str()).unwrap_or_default();
        let (kind, place) = sink.split_once(' ').unwrap_or((sink, ""));
        let port = place.rsplit_once(':').filter(|_| kind == "syslog").map(|(_, port)| port);
        port.map_or_else(|| kind.to_owned(), |port| format!("{kind} {port}"))
    }

    /// Waits until a receiver has heard of so many packets; gives back which, and how often it heard of one again. When it
    /// takes too long, those that it has heard of.
    pub(super) fn wait_heard(&self, index: usize, packets: u64) -> Result<(BTreeSet<u16>, usize)> {
        let receiver = self.receivers.get(index).context("no such receiver")?;
        let all = self.numbers();
        let mut latest = (BTreeSet::new(), 0);
        let waited = seldom(|| {
            latest = receiver.heard()?;
            // The daemon warms up over the same port range: what others were denied is none of it.
            latest.0.retain(|port| all.contains(port) || *port >= FIRST);
            Ok((latest.0.len() as u64 >= packets).then_some(()))
        })?;
        if waited.is_none() {
            latest = receiver.heard()?;
            latest.0.retain(|port| *port >= FIRST);
        }
        Ok(latest)
    }

    /// What became of the records of a receiver's sink.
    pub(super) fn sink(&self, index: usize) -> Result<Sink> {
        let receiver = self.receivers.get(index).context("no such receiver")?;
        Ok(self.sphere.status()?.sink(&receiver.sink)?.clone())
    }

    /// The same, once nothing waits any more.
    pub(super) fn settled(&self, index: usize) -> Result<Sink> {
        let name = self.name(index);
        let settled = seldom(|| Ok(Some(self.sink(index)?).filter(|sink| sink.waiting == 0)))?;
        settled.with_context(|| format!("{name}: records wait still: {:?}", self.sink(index)))
    }

    /// Records lost so far, by receiver.
    pub(super) fn lost(&self) -> Result<Vec<u64>> {
        (0..self.receivers.len()).map(|index| Ok(self.sink(index)?.lost)).collect()
    }

    /// Allowed traffic still passes.
    pub(super) fn check_open(&self, when: &str, report: &mut Report) -> Result<()> {
        let dialled = self.lab.device(1)?.namespace.enter(|| dial(PROBE.into(), PROBE_PORT))??;
        let seen = if dialled == Dialled::Answered { "pass" } else { "deny" };
        report.check(format!("an allowed connection, {when}"), "pass", (seen, seen == "pass"));
        Ok(())
    }

    /// Each packet was denied.
    pub(super) fn check_enforcement(&self, report: &mut Report) -> Result<()> {
        let denied = self.denied()? - self.denied_before;
        report.check_equal("packets to a stranger that the kernel denied, of all that were sent", self.told(), denied);
        Ok(())
    }

    fn denied(&self) -> Result<u64> {
        Ok(self.sphere.status()?.counters().of(Direction::Ingress, Verdict::Deny, Reason::Destination))
    }

    /// The daemon, for signals.
    pub(super) fn signal(&self, signal: nix::sys::signal::Signal) -> Result<()> {
        self.lab.daemon.as_ref().context("no daemon runs")?.signal(signal)
    }
}

/// Asks, with pauses, until there is something or the time is over.
pub(super) fn seldom<T>(mut ask: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let mut found = Ok(None);
    let rounds = ARRIVAL.as_millis() / LOOK.as_millis();
    wait::every(LOOK, |round| {
        found = ask();
        matches!(found, Ok(None)) && u128::from(round) < rounds
    });
    found
}
