//! What was denied, told: samples from the kernel's ring become records, and records go to sinks.
//!
//! Place in the data flow: ring buffer → [`Digest`] (like denials become one) → [`Record`] (names put to numbers through
//! the [`Directory`]) → every sink's own bounded queue → its thread, which writes it in its own format. Invariant: no
//! sink can slow another, the reader, or enforcement; what a sink cannot take is counted.

mod asked;
mod cef;
mod clock;
mod digest;
mod directory;
mod field;
mod question;
mod reader;
mod record;
mod sink;
mod summary;

pub use asked::Asked;
pub use clock::WallClock;
pub use digest::Digest;
pub use directory::Directory;
pub use field::{Field, Kind};
pub use question::Question;
pub use reader::{Teller, read_events};
pub use record::{Record, Value};
pub use sink::{SinkCounts, SinkState, Sinks};
pub use summary::Summary;
pub(crate) use summary::device_mac;
