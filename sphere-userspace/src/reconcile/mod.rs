//! Policy and leases become the desired tables, and the difference to the installed ones a list of steps. Pure.
//!
//! Only this module decides what the kernel tables should hold; only `datapath` writes them. [`Desired::new`] works
//! out the tables, [`Changeset::between`] the steps to them, [`Leases::restored`] reads back at start what was known.

mod changeset;
mod clock;
mod desired;
mod diff;
mod facts;
mod label;
mod lease;
mod lesson;
mod merge;
mod misfit;
mod names;
mod numbers;
mod permits;
mod ports;
mod restore;
mod shares;
mod sighting;
mod standing;
mod tables;

pub use changeset::{Changeset, Step};
pub use clock::{Clock, Moment};
pub use desired::{Desired, Inputs, Refusal};
pub use facts::{GatewayFacts, InterfaceFacts};
pub use label::{first_word as name_of_rule, until_zero as label_text};
pub use lease::{Lease, LeaseEntry, LeaseSource, LeaseState, LeaseTerms, Leases};
pub use lesson::{Heard, Taught, allows, teach};
pub use misfit::Misfit;
pub(crate) use names::REFUSED_ROOM;
pub use shares::shares;
pub(crate) use sighting::plain;
pub use sighting::{AllowedNames, Sighting};
pub use standing::{Standing, Standings, Turn};
pub use tables::{Installed, PrefixKey, SubnetPrefix, Tables};
