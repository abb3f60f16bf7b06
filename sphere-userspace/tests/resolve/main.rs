//! The resolver: its schedule, and its questions to a server on loopback.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod outcomes;
mod polling;
mod schedule;
mod server;
