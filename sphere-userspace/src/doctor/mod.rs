//! What keeps a gateway from doing its work, and the command that mends it.
//!
//! Place in the data flow: policy, `/proc`, `/sys`, what `ethtool` and `nft` say, the network → [`Finding`]s. Changes nothing,
//! and sends nothing but questions for names of the policy, connections to them, and questions for the time.

mod finding;
mod forwarding;
mod kernel;
mod ports;
mod reach;

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

pub use finding::{Area, Finding, State};

use crate::policy::Policy;

/// What was found: schema `sphere.doctor/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    schema: &'static str,
    /// Whether nothing is a problem.
    pub healthy: bool,
    /// What was looked at, area by area.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Of some findings.
    #[must_use]
    pub fn new(findings: Vec<Finding>) -> Self {
        let healthy = findings.iter().all(|finding| finding.state != State::Problem);
        Self { schema: "sphere.doctor/1", healthy, findings }
    }
}

/// Looks at everything; at what is beyond the gateway only with `network`.
///
/// # Errors
///
/// When the network cannot be asked at all.
pub fn examine(policy: &Policy, pin_root: &Path, network: bool) -> std::io::Result<Report> {
    let mut findings = kernel::findings(pin_root);
    findings.extend(ports::findings(policy));
    findings.extend(forwarding::findings(policy));
    if network {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        findings.extend(runtime.block_on(reach::findings(policy)));
    }
    Ok(Report::new(findings))
}

/// What a command prints; [`None`] when it is not installed or fails.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
