//! Polling of names: when to ask, what came of it, and which addresses an answer may bring.
//!
//! Everything that decides is pure and takes the moment as an argument; one thin module asks over the network.

mod outcome;
mod special;

pub use outcome::{AddressRecord, Answer, Family, Outcome, Question, Resolution};
pub use special::Special;
