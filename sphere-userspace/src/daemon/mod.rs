//! The daemon: states what is wanted, and keeps it so.
//!
//! `open` → `begin` (guarded from here on) → `run` (resolver, netlink, samples, signals) → `drain`. [`Core`] decides
//! and is plain code over a [`Datapath`](crate::datapath::Datapath); the rest of this module waits for things to happen
//! and tells it. When the daemon ends, in whatever way, enforcement goes on.

mod collector;
mod core;
mod metering;
mod news;
mod notify;
mod overhearing;
mod policies;
mod reload;
mod resolver;
mod run;
mod sightings;
mod watching;

pub use self::collector::{StoreStanding, StoreState};
pub use self::core::{Core, DaemonError, Learned};
pub use self::policies::{KeptPolicy, Reading, Reloaded};
pub use run::{Settings, run};
pub use sightings::Lesson;
