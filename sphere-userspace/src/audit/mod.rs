//! What was denied, told: samples from the kernel's ring become records, and records go to sinks.
//!
//! Place in the data flow: ring buffer → [`Record`] (names put to numbers through the [`Directory`]) → one JSON line →
//! every sink's own bounded queue. Invariant: no sink can slow another, the reader, or enforcement; what a sink cannot
//! take is counted.

mod directory;
mod reader;
mod record;
mod sink;

pub use directory::Directory;
pub use reader::read_events;
pub use record::{Record, WallClock};
pub use sink::{SinkLoss, Sinks};
