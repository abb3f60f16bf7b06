//! Metrics from outside: the page as Prometheus' own parser reads it, the reference, and what is in `packaging/`.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod packaging;
mod page;
mod reference;
