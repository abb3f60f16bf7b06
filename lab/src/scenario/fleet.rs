//! The main job: a fleet boots and works through the enforcing gateway, and a hostile device gets nothing out.

use anyhow::Result;
use serde_json::{Map, Value};
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::Scenario;
use crate::clients::ntp;
use crate::hostile::{self, Hostile, Trial};
use crate::lab::Lab;
use crate::link::Link;
use crate::net::Device;
use crate::report::{Flow, Report};
use crate::sphere::{Sphere, Status};
use crate::walk::{self, Client, Row};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Fleet;

impl Scenario for Fleet {
    fn name(&self) -> &'static str {
        "fleet"
    }

    fn purpose(&self) -> &'static str {
        "every row of the vendor's table works through the enforcing gateway, everything else is denied"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        let sphere = lab.protect(|_policy| {})?;
        if let Some(daemon) = &lab.daemon {
            report.figure("ready_ms", u64::try_from(daemon.ready_after().as_millis())?);
        }
        let lab = &*lab;
        let port = Link::open(&lab.network.gateway, "lan0")?;
        let (mut rows, mut passed) = (0_u64, 0_u64);
        for device in &lab.network.devices {
            for row in walk::chain() {
                let vendor = u64::from(row.vendor);
                let flow = step(lab, &sphere, device, row)?;
                rows += vendor;
                passed += vendor * u64::from(flow.ok);
                report.flows.push(flow);
            }
        }
        report.figure("vendor_rows_tried", rows);
        report.figure("vendor_rows_passed", passed);
        check_ntp_source_port(&port, report)?;
        lab.address_devices()?;
        let trials = Hostile::new(lab, Some(&sphere))?.try_all()?;
        report.flows.extend(trials.iter().map(|trial| denial(lab, trial)));
        report.figure("denial_kinds", trials.iter().filter(|trial| trial.denied_as_expected()).count());
        report.figure("denial_reasons", hostile::reasons(&trials));
        report.figure("devices", lab.network.devices.len());
        describe(&sphere.status()?, report);
        Ok(())
    }
}

/// One step of a device; the reason comes from the kernel's counters, which must have counted it.
fn step(lab: &Lab, sphere: &Sphere, device: &Device, row: Row) -> Result<Flow> {
    let expected = match row.client {
        Client::Dhcp => Reason::Dhcp,
        _ => Reason::Endpoint,
    };
    let passed = |status: &Status| status.counters().of(Direction::Ingress, Verdict::Pass, expected);
    let before = passed(&sphere.status()?);
    let attempt = walk::take(&lab.network, device, &row, &lab.root)?;
    let counted = passed(&sphere.status()?) > before;
    let flow = row.flow(device, attempt);
    let reason = if counted { expected.word().to_owned() } else { String::new() };
    Ok(Flow { reason, ok: flow.ok && counted, ..flow })
}

fn denial(lab: &Lab, trial: &Trial) -> Flow {
    let kind = &trial.kind;
    let from = match kind.direction {
        Direction::Ingress => lab.network.hostile.name(),
        Direction::Egress => "internet",
    };
    Flow {
        device: from.to_owned(),
        client: kind.client.to_owned(),
        name: kind.name.to_owned(),
        protocol: kind.protocol.to_owned(),
        port: kind.target.and_then(|(_address, port)| port),
        expected: format!("{} ({})", Verdict::Deny.word(), kind.reason.word()),
        verdict: if trial.came_out { Verdict::Pass } else { Verdict::Deny }.word(),
        reason: trial.reason.clone().unwrap_or_default(),
        step: "misbehaviour",
        seen: trial.seen.clone(),
        ok: trial.denied_as_expected(),
    }
}

/// The devices' NTP questions leave from port 124 and must pass as such.
fn check_ntp_source_port(port: &Link, report: &mut Report) -> Result<()> {
    let questions =
        port.drain()?.iter().filter_map(|frame| udp_ports(frame)).filter(|ports| ports.1 == 123).collect::<Vec<_>>();
    let right = questions.iter().filter(|ports| ports.0 == ntp::SOURCE_PORT).count();
    let ok = right > 0 && right == questions.len();
    let seen = format!("{right} of {}", questions.len());
    report.check("NTP questions seen on the device port", "all from UDP port 124", (seen, ok));
    Ok(())
}

fn udp_ports(frame: &[u8]) -> Option<(u16, u16)> {
    match etherparse::SlicedPacket::from_ethernet(frame).ok()?.transport? {
        etherparse::TransportSlice::Udp(udp) => Some((udp.source_port(), udp.destination_port())),
        _ => None,
    }
}

/// How it is enforced, and what the verifier said of the programs.
fn describe(status: &Status, report: &mut Report) {
    let mut verified = Map::new();
    for program in &status.programs {
        verified.insert(program.name.clone(), program.verified_instructions.map_or(Value::Null, Value::from));
    }
    report.figure("verified_instructions", verified);
    report.figure("denied_packets", status.counters().denied());
    for port in &status.ports {
        let (ingress, egress) = (port.ingress.as_deref().unwrap_or("-"), port.egress.as_deref().unwrap_or("-"));
        let seen = format!("{}, {ingress} and {egress}", port.state);
        let ok = port.state == "protected" && ingress == "xdp-native" && egress == "tcx";
        report.check(format!("device port {}", port.interface), "protected, xdp-native and tcx", (seen, ok));
    }
}
