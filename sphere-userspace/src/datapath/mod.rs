//! The kernel side: loads, attaches, adopts, pins and writes the tables. The only user of aya and of `unsafe`.
//!
//! Place in the data flow: the reconciler's changesets go in, samples of denied packets come out. Invariant: nothing
//! in here decides what the tables should hold, and nothing that Sphere did not create is detached, deleted or
//! overwritten.

mod apply;
mod attach;
mod batch;
mod carry;
mod clock;
mod config;
mod error;
mod events;
pub mod fake;
mod handover;
mod kernel;
mod keys;
mod link_name;
mod lock;
#[cfg(feature = "datapath-log")]
mod log;
mod maps;
pub mod monotonic;
pub mod netlink;
mod object;
mod origin;
mod pins;
mod port;
mod raw_map;
pub mod snapshot;
mod sweep;
mod sys;
mod table;
mod tc;
mod undo;

pub use attach::PortSpec;
pub use batch::Dump;
pub use error::DatapathError;
pub use events::EventRing;
pub use kernel::Kernel;
pub use keys::{Cidr4Key, Cidr6Key, NameKey, SubnetTrieKey};
pub use lock::{Lock, is_running};
#[cfg(feature = "datapath-log")]
pub use log::ProgramLog;
pub use maps::{Maps, PINNED};
pub use object::Object;
pub use origin::Origin;
pub use pins::{Part, Pins, Side};
pub use port::{Attachment, PortState, port_state};
pub use raw_map::{RawMap, Shape};
pub use snapshot::detach;
pub use sweep::Swept;
pub use table::{Plain, Table, Totals};
pub use tc::TcHook;

use crate::reconcile::{Changeset, Clock, GatewayFacts, Installed};

/// What the daemon needs of a data plane.
pub trait Datapath {
    /// The kernel's ticks next to the monotonic clock.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    fn clock(&self) -> Result<Clock, DatapathError>;

    /// Interfaces and addresses of the gateway.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    fn facts(&self) -> Result<GatewayFacts, DatapathError>;

    /// What the tables hold.
    ///
    /// # Errors
    ///
    /// When a table cannot be read.
    fn installed(&self) -> Result<Installed, DatapathError>;

    /// Takes the steps of a changeset, in their order.
    ///
    /// # Errors
    ///
    /// When a table is full or cannot be written; the steps before are taken.
    fn apply(&mut self, changes: &Changeset) -> Result<(), DatapathError>;

    /// Whether these ports could be guarded; changes nothing.
    ///
    /// # Errors
    ///
    /// When an interface is missing, or carries somebody else's program.
    fn check(&self, ports: &[PortSpec]) -> Result<(), DatapathError>;

    /// Guards these ports, all of them or, on failure, none that was not guarded before; then takes the guard off
    /// every other.
    ///
    /// # Errors
    ///
    /// When one cannot be guarded.
    fn guard(&mut self, ports: &[PortSpec]) -> Result<(), DatapathError>;

    /// Guards one port anew, after its interface came back.
    ///
    /// # Errors
    ///
    /// When it cannot be guarded.
    fn guard_again(&mut self, port: &PortSpec) -> Result<(), DatapathError>;

    /// Whether these ports are guarded.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    fn ports(&self, interfaces: &[String]) -> Result<Vec<PortState>, DatapathError>;

    /// Takes away flows and devices that have ended.
    ///
    /// # Errors
    ///
    /// When a table cannot be read or written.
    fn sweep(&mut self) -> Result<Swept, DatapathError>;
}
