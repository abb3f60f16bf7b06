//! Without Sphere everything gets through: the lab's servers answer, and its misbehaviour comes out.
//!
//! This is what makes the denials of the other scenarios mean something.

use anyhow::Result;
use sphere_common::verdict::Verdict;

use super::Scenario;
use crate::hostile::Hostile;
use crate::lab::Lab;
use crate::report::{Flow, Report};
use crate::walk;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Baseline;

impl Scenario for Baseline {
    fn name(&self) -> &'static str {
        "baseline"
    }

    fn purpose(&self) -> &'static str {
        "without Sphere: every server answers, and every misbehaviour comes out"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let device = lab.device(0)?;
        for row in walk::chain() {
            let attempt = walk::take(&lab.network, device, &row, &lab.root)?;
            report.flows.push(row.flow(device, attempt));
        }
        let trials = Hostile::new(lab, None)?.try_all()?;
        for trial in trials.iter().filter(|trial| trial.kind.passes_unprotected) {
            report.flows.push(Flow {
                device: lab.network.hostile.name().to_owned(),
                client: trial.kind.client.to_owned(),
                name: trial.kind.name.to_owned(),
                protocol: trial.kind.protocol.to_owned(),
                port: trial.kind.target.and_then(|(_address, port)| port),
                expected: Verdict::Pass.word().to_owned(),
                verdict: if trial.came_out { Verdict::Pass } else { Verdict::Deny }.word(),
                reason: String::new(),
                step: "misbehaviour",
                seen: trial.seen.clone(),
                ok: trial.came_out,
            });
        }
        let came_out = trials.iter().filter(|trial| trial.came_out).count();
        report.figure("misbehaviour_that_came_out", came_out);
        Ok(())
    }
}
