//! SIGKILL of the daemon under traffic, many times: no allowed packet is lost, no denied packet leaks.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::Scenario;
use super::traffic::{self, Stream, Tally};
use crate::lab::Lab;
use crate::net::plan::{DENIED_PORT, PROBE, PROBE_PORT};
use crate::report::Report;
use crate::sphere::Sphere;

/// How often the daemon is killed.
const KILLS: u64 = 20;
/// Allowed datagrams between a start and the next kill, and between a kill and the next start.
const BETWEEN: u64 = 150;
const PERIOD: Duration = Duration::from_millis(1);
/// Datagrams of one flow: many flows are opened while no daemon runs.
const FLOW_LENGTH: u64 = 100;
/// A port of a device that no inbound rule opens.
const CLOSED_PORT: u16 = 9999;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Crash;

impl Scenario for Crash {
    fn name(&self) -> &'static str {
        "crash"
    }

    fn purpose(&self) -> &'static str {
        "the daemon is killed under traffic 20 times: nothing lost, nothing leaked"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        check_probes(lab, report)?;
        let sphere = lab.protect(|_policy| {})?;
        lab.warm_up()?;
        let counted_before = denied_destinations(&sphere)?;
        let leaked_before = lab.servers.probe.denied();
        let traffic = Traffic::start(lab)?;
        let mut slowest = Duration::ZERO;
        for _kill in 0..KILLS {
            traffic.allowed.advance(BETWEEN)?;
            lab.kill_daemon()?;
            traffic.allowed.advance(BETWEEN)?;
            slowest = slowest.max(lab.restart(&sphere)?.ready_after());
        }
        traffic.allowed.advance(BETWEEN)?;
        let found = traffic.end()?;
        // What arrived, whether or not its answer came back.
        let leaked = found.leaked + lab.servers.probe.denied() - leaked_before;
        let counted = denied_destinations(&sphere)? - counted_before;
        report.figure("slowest_restart_ms", u64::try_from(slowest.as_millis())?);
        found.tell(report, leaked, counted);
        Ok(())
    }
}

/// Before Sphere is there, the probes that will be denied arrive: otherwise their absence would prove nothing.
fn check_probes(lab: &Lab, report: &mut Report) -> Result<()> {
    let (device, internet) = (lab.device(2)?, &lab.network.internet);
    let sink = traffic::sink(&device.namespace, CLOSED_PORT)?;
    let inbound = traffic::datagrams(internet, SocketAddr::new(device.ipv4.into(), CLOSED_PORT), (PERIOD, 50))?;
    let denied = traffic::datagrams(&device.namespace, SocketAddr::new(PROBE.into(), DENIED_PORT), (PERIOD, 50))?;
    denied.advance(50)?;
    inbound.advance(50)?;
    let (denied, inbound) = (denied.end()?, inbound.end()?);
    report.check_equal("before Sphere: answers to probes that will be denied", denied.sent, denied.answered);
    report.check_equal("before Sphere: unsolicited datagrams that reach a device", inbound.sent, sink.end()?);
    Ok(())
}

/// Denied packets from devices that the kernel has counted for their destination.
fn denied_destinations(sphere: &Sphere) -> Result<u64> {
    Ok(sphere.status()?.counters().of(Direction::Ingress, Verdict::Deny, Reason::Destination))
}

/// Everything that goes on while the daemon dies.
struct Traffic {
    allowed: Stream<Tally>,
    connections: Stream<Tally>,
    session: Stream<Tally>,
    denied: Stream<Tally>,
    inbound: Stream<Tally>,
    sink: Stream<u64>,
}

impl Traffic {
    fn start(lab: &Lab) -> Result<Self> {
        let allowed = SocketAddr::new(PROBE.into(), PROBE_PORT);
        let forbidden = SocketAddr::new(PROBE.into(), DENIED_PORT);
        let (first, second, third) = (lab.device(0)?, lab.device(1)?, lab.device(2)?);
        let closed = SocketAddr::new(third.ipv4.into(), CLOSED_PORT);
        Ok(Self {
            sink: traffic::sink(&third.namespace, CLOSED_PORT)?,
            allowed: traffic::datagrams(&first.namespace, allowed, (PERIOD, FLOW_LENGTH))?,
            connections: traffic::connections(&second.namespace, allowed, Duration::from_millis(100))?,
            session: traffic::session(&second.namespace, allowed, Duration::from_millis(10))?,
            denied: traffic::datagrams(&third.namespace, forbidden, (PERIOD, FLOW_LENGTH))?,
            inbound: traffic::datagrams(&lab.network.internet, closed, (PERIOD, FLOW_LENGTH))?,
        })
    }

    fn end(self) -> Result<Found> {
        let allowed = self.allowed.end()?;
        let connections = self.connections.end()?;
        let session = self.session.end()?;
        let denied = self.denied.end()?;
        let inbound = self.inbound.end()?;
        let leaked = self.sink.end()?;
        Ok(Found { allowed, connections, session, denied, inbound, leaked })
    }
}

struct Found {
    allowed: Tally,
    connections: Tally,
    session: Tally,
    denied: Tally,
    inbound: Tally,
    leaked: u64,
}

impl Found {
    fn tell(&self, report: &mut Report, leaked: u64, counted: u64) {
        let lost = self.allowed.lost() + self.connections.lost() + self.session.lost();
        report.figure("kills", KILLS);
        report.figure("lost", lost);
        report.figure("leaked", leaked);
        report.figure("allowed_datagrams", self.allowed.sent);
        report.figure("allowed_flows", self.allowed.flows);
        report.figure("connections_opened", self.connections.sent);
        report.figure("denied_datagrams", self.denied.sent);
        report.figure("unsolicited_datagrams", self.inbound.sent);
        report.check_equal("allowed datagrams lost, there or back", 0, self.allowed.lost());
        report.check_equal("connections that could not be opened", 0, self.connections.lost());
        report.check_equal("exchanges lost on the session that was held", 0, self.session.lost());
        report.check_equal("denied and unsolicited datagrams leaked", 0, leaked);
        report.check_equal("denied datagrams counted by the kernel", self.denied.sent, counted);
    }
}
