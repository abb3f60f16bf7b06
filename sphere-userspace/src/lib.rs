//! The daemon and command line of Sphere.

pub mod audit;
pub mod cli;
pub mod control;
pub mod daemon;
pub mod datapath;
pub mod doctor;
pub mod export;
pub mod history;
pub mod import;
pub mod ladder;
pub mod metrics;
pub mod names;
pub mod overhear;
pub mod policy;
pub mod privilege;
pub mod reconcile;
pub mod render;
pub mod resolve;
#[cfg(test)]
mod snapshots;
pub mod store;
pub mod suggest;
pub mod top;
pub mod usage;
