//! The reconciler: what the tables should hold, and the steps to them.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod cycles;
mod numbers;
mod order;
mod restart;
mod tables;
mod world;
