//! What is used: flows that are open, and rules with their hits.
//!
//! Place in the data flow: pins and what the daemon remembers → [`FlowsReport`], [`RulesReport`]. Pure.

mod flows;
mod rules;

pub use flows::{FlowReport, FlowsReport, Towards};
pub use rules::{RuleReport, RulesReport, SharedAddress, Unused};
