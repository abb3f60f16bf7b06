//! Figures of the gateway in Prometheus' text format, served at a Unix socket or a TCP port.
//!
//! Place in the data flow: what is pinned ([`Snapshot`](crate::datapath::snapshot::Snapshot)) and what the daemon says
//! ([`Figures`], the store's state) → [`Exposition`] → text → [`Server`]. [`table`] declares every metric once;
//! `docs/metrics.md` is written from it. Invariant: only metrics of the table are told, each with its labels and no more
//! series than it may have; and who reads them holds up nobody: connections, their time and the readings are bounded.

mod daemon;
mod exposition;
mod figures;
mod kernel;
mod reference;
mod request;
mod server;
pub mod table;

pub use exposition::{Exposition, Number};
pub use figures::{Figures, PolicyLoads, PolicyMarks};
pub use reference::reference;
pub use server::{MetricsError, Page, Server};
