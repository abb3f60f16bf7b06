//! What a scenario found out: for people as a table, for machines as one JSON object.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// The outcome of one scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: String,
    /// Whether everything was as expected.
    pub passed: bool,
    /// What was measured.
    pub figures: BTreeMap<&'static str, Value>,
    /// Flows that were tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<Flow>,
    /// Other things that were checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Why the scenario could not be carried through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One flow that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    /// Who tried it.
    pub device: String,
    /// With which program.
    pub client: String,
    /// The host name, or what was tried.
    pub name: String,
    /// Protocol word.
    pub protocol: String,
    /// Destination port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The expected verdict, and for a denial its reason.
    pub expected: String,
    /// The verdict: `pass` or `deny`.
    pub verdict: &'static str,
    /// The reason that the gateway gave; empty when it gave none.
    pub reason: String,
    /// Step of the boot chain, or `denial`.
    pub step: &'static str,
    /// What the client saw.
    pub seen: String,
    /// Whether it was as expected.
    #[serde(skip)]
    pub ok: bool,
}

/// Something else that was checked.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was done.
    pub what: String,
    /// What had to happen.
    pub expected: String,
    /// What happened.
    pub seen: String,
    /// Whether it was as expected.
    pub ok: bool,
}

impl Report {
    /// Adds something measured.
    pub fn figure(&mut self, name: &'static str, value: impl Into<Value>) {
        self.figures.insert(name, value.into());
    }

    /// Adds something checked.
    pub fn check(
        &mut self,
        what: impl Into<String>,
        expected: impl Into<String>,
        (seen, ok): (impl Into<String>, bool),
    ) {
        self.checks.push(Check { what: what.into(), expected: expected.into(), seen: seen.into(), ok });
    }

    /// Checks that a number is as it must be.
    pub fn check_equal(&mut self, what: &str, expected: u64, seen: u64) {
        self.check(what, expected.to_string(), (seen.to_string(), expected == seen));
    }

    /// Decides whether the scenario passed: it has shown something, and nothing was other than expected.
    #[must_use]
    pub fn conclude(mut self, scenario: &str) -> Self {
        scenario.clone_into(&mut self.scenario);
        let shown = !self.flows.is_empty() || !self.checks.is_empty();
        let flows = self.flows.iter().all(|flow| flow.ok);
        let checks = self.checks.iter().all(|check| check.ok);
        self.passed = shown && flows && checks && self.error.is_none();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_without_anything_shown_has_not_passed() {
        assert!(!Report::default().conclude("x").passed);
    }

    #[test]
    fn one_wrong_check_fails_the_report() {
        let mut report = Report::default();
        report.check_equal("lost", 0, 0);
        assert!(report.clone().conclude("x").passed);
        report.check_equal("leaked", 0, 1);
        assert!(!report.conclude("x").passed);
    }
}
