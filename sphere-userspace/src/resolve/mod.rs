//! Polling of names: when to ask, what came of it, and which addresses an answer may bring.
//!
//! [`Schedule`] decides and takes the moment as an argument; [`Asker`] asks over the network; [`poll()`] is the task
//! around them, and what comes of each question leaves through a bounded channel. Whatever a failure means for what is
//! allowed is decided in `reconcile`.

mod ask;
mod outcome;
mod poll;
mod schedule;
mod special;
mod walk;

pub use ask::{Asker, ResolverError};
pub use outcome::{AddressRecord, Answer, Family, Outcome, Question, Resolution};
pub use poll::{Orders, poll};
pub use schedule::Schedule;
pub use special::Special;
