//! Policy and leases become the desired tables, and the difference to the installed ones a list of steps. Pure.
//!
//! Only this module decides what the kernel tables should hold; only `datapath` writes them.

mod changeset;
mod clock;
mod facts;
mod lease;
mod tables;

pub use changeset::{Changeset, Step};
pub use clock::{Clock, Moment};
pub use facts::{GatewayFacts, InterfaceFacts};
pub use lease::{Lease, LeaseSource, LeaseState, LeaseTerms, Leases};
pub use tables::{Desired, Installed, PrefixKey, SubnetPrefix, Tables};
