//! The kernel side: loads, attaches, adopts, pins and writes the tables. The only user of aya and of `unsafe`.
//!
//! Place in the data flow: the reconciler's changesets go in, samples of denied packets come out. Invariant: nothing
//! in here decides what the tables should hold, and nothing that Sphere did not create is detached, deleted or
//! overwritten.

mod allocator;
mod apply;
mod attach;
mod batch;
mod carry;
mod clock;
mod config;
mod denied;
mod endpoints;
mod error;
pub mod fake;
mod fill;
mod handover;
mod inspect;
mod kernel;
mod keys;
mod learned;
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
mod ring;
mod sender;
pub mod snapshot;
mod sweep;
mod sys;
mod table;
mod tally;
mod tc;
mod traces;
mod undo;

pub use allocator::share_arenas;
pub use attach::PortSpec;
pub use batch::Dump;
pub use denied::{Account, Accounts};
pub use error::DatapathError;
pub use inspect::{Inspection, OpenFlow, inspect, open_flows};
pub use kernel::Kernel;
pub use keys::{Cidr4Key, Cidr6Key, NameKey, SubnetTrieKey};
pub use learned::Exchange;
pub use lock::{Lock, is_running, socket_of};
#[cfg(feature = "datapath-log")]
pub use log::ProgramLog;
pub use maps::{Maps, PINNED};
pub use object::Object;
pub use origin::Origin;
pub use pins::{Part, Pins, Side};
pub use port::{Attachment, PortState, port_state};
pub use raw_map::{RawMap, Shape};
pub use ring::Ring;
pub use sender::Sender;
pub use snapshot::detach;
pub use sweep::Swept;
pub use table::{Plain, Table, Totals};
pub use tally::Tally;
pub use tc::TcHook;
pub use traces::{Trace, Traces};

use std::collections::BTreeMap;

use sphere_common::abi::{SightingKey, SightingValue};

use crate::reconcile::{Changeset, Clock, GatewayFacts, Installed};

/// What a look at all tables found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// What devices have left, before anything was taken away.
    pub traces: Traces,
    /// What has ended and was taken away.
    pub swept: Swept,
    /// What the tables hold.
    pub installed: Installed,
}

/// A look at all tables, to be taken wherever it holds up nobody.
pub type Surveyor = Box<dyn FnOnce() -> Result<Survey, DatapathError> + Send>;

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

    /// A sweep and a look at all tables, which take their time.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    fn surveyor(&self) -> Result<Surveyor, DatapathError>;

    /// Sets how many entries the programs may still add for each group.
    ///
    /// # Errors
    ///
    /// When the table cannot be written.
    fn set_shares(&mut self, shares: &BTreeMap<u32, u32>) -> Result<(), DatapathError>;

    /// How many entries the programs may still add for each group.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    fn shares_left(&self) -> Result<BTreeMap<u32, u32>, DatapathError>;

    /// How often the programs have learned or prolonged an address: while this stays, so do the sightings.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    fn learned(&self) -> Result<u64, DatapathError>;

    /// Addresses that the programs saw in answers.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    fn sightings(&self) -> Result<Vec<(SightingKey, SightingValue)>, DatapathError>;

    /// Notes addresses that the daemon saw in answers, beside those of the programs.
    ///
    /// # Errors
    ///
    /// When the table cannot be written.
    fn note_sightings(&mut self, sightings: &[(SightingKey, SightingValue)]) -> Result<(), DatapathError>;

    /// Whether an answer belongs to something that the device asked.
    ///
    /// # Errors
    ///
    /// When a table cannot be read.
    fn is_asked(&self, exchange: &Exchange) -> Result<bool, DatapathError>;
}
