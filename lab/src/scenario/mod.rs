//! Scenarios: each is a file that implements [`Scenario`] and a line in [`all`].

mod badinput;
mod baseline;
mod churn;
mod confirm;
mod crash;
mod daemonless;
mod doctor;
mod fleet;
mod flood;
mod ladder;
mod outage;
mod oversize;
mod poison;
mod query_policy;
mod race;
mod reload;
mod rotation;
mod session;
mod sinks;
mod split_view;
mod traffic;

use anyhow::Result;

use crate::lab::Lab;
use crate::report::Report;

/// Something the lab shows, with its own network.
pub trait Scenario: Sync {
    /// The word on the command line.
    fn name(&self) -> &'static str;

    /// One line for `--list`.
    fn purpose(&self) -> &'static str;

    /// Carries it through on a fresh lab. A daemon it leaves in the lab is kept by `--keep`.
    ///
    /// # Errors
    /// When it cannot be carried through; what is other than expected goes into the report instead.
    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()>;
}

/// Every scenario, in the order of `--list`.
#[must_use]
pub fn all() -> &'static [&'static dyn Scenario] {
    &[
        &fleet::Fleet,
        &baseline::Baseline,
        &rotation::Rotation,
        &outage::Outage,
        &crash::Crash,
        &badinput::BadInput,
        &split_view::SplitView,
        &race::Race,
        &daemonless::Daemonless,
        &churn::Churn,
        &oversize::Oversize,
        &query_policy::QueryPolicy,
        &poison::Poison,
        &flood::Flood,
        &flood::FloodCrash,
        &sinks::Sinks,
        &ladder::Ladder,
        &reload::Reload,
        &confirm::Confirm,
        &doctor::Doctor,
    ]
}

/// The scenario with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static dyn Scenario> {
    all().iter().copied().find(|scenario| scenario.name() == name)
}
