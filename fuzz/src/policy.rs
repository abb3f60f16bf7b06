//! An arbitrary text as a policy file.
//!
//! Nothing may panic. Every finding has its place in the text, a remedy, and a form for people that acts on no terminal;
//! what is accepted can be put into tables, without another check of its meaning.

use sphere_userspace::policy::{self, Diagnostic, Policy};
use sphere_userspace::reconcile::{Clock, Desired, GatewayFacts, Inputs, Leases, Moment, Tables};

/// Reads the input as a policy.
///
/// # Panics
///
/// When a finding is not as it should be, or an accepted policy does not fit.
pub fn read(data: &[u8]) {
    drop(accepted(data));
}

/// What the input means; `None` when it was refused.
///
/// # Panics
///
/// As [`read`].
#[must_use]
pub fn accepted(data: &[u8]) -> Option<Policy> {
    let text = String::from_utf8_lossy(data);
    let lines = text.split('\n').count();
    match policy::parse(&text, "policy.toml") {
        Ok(policy) => {
            policy.warnings.iter().for_each(|warning| assert_found(warning, lines));
            assert_fits(&policy);
            Some(policy)
        }
        Err(errors) => {
            assert!(errors.error_count() > 0, "refused without an error");
            errors.diagnostics().iter().for_each(|found| assert_found(found, lines));
            None
        }
    }
}

pub(crate) fn assert_found(found: &Diagnostic, lines: usize) {
    let (line, column) = found.position().expect("what is found in a text has a place in it");
    assert!((1..=lines).contains(&line) && column > 0, "line {line} of {lines}, column {column}");
    assert!(found.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()), "no remedy: {found}");
    let shown = found.render();
    let acts = shown.chars().find(|character| character.is_control() && *character != '\n');
    assert_eq!(acts, None, "{shown:?}");
}

fn assert_fits(policy: &Policy) {
    let clock = Clock { ticks_per_second: 250, anchor: Moment::default(), anchor_ticks: 1 << 32 };
    let (leases, facts) = (Leases::new(), GatewayFacts::default());
    let inputs = Inputs { policy, leases: &leases, facts: &facts, clock: &clock, now: Moment::default() };
    let desired = Desired::new(&inputs, &Tables::default());
    assert!(desired.is_ok(), "accepted, and then: {:?}", desired.err());
}
