//! What is known of names and addresses, and why a device may or may not reach one.
//!
//! The daemon knows leases and how each question stands; the pins hold what the programs saw, what is open and which
//! flows use it. [`View`] is the daemon's part, or what the pins tell of it when no daemon runs; [`NamesReport`] and
//! [`Explanation`] put both together.

mod explain;
mod gateway;
mod report;
mod view;

pub use explain::{Explanation, HistoryLine, PortLine, Query, QueryError, VerdictLine, explain};
pub use report::{AddressReport, AskerReport, FamilyReport, NameReport, NamesReport};
pub use view::{LeaseView, NameView, QuestionView, View};
