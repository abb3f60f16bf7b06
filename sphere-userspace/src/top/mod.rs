//! What happens on the gateway now: rates and standings, from what was read at two moments.
//!
//! Place in the data flow: pins and daemon → [`Sample`], two of them → [`Frame`] → `render::top`; keys → [`Controls`].
//! Pure: nothing here reads, draws or waits. Invariant: a counter that went back, since a new data plane began to count, gives
//! no rate that never was.

mod controls;
mod devices;
mod frame;
mod losses;
mod rate;
mod sample;
#[cfg(test)]
pub(crate) mod tests;
mod trouble;

pub use controls::{Controls, Key, Order, View, What};
pub use devices::{DenialRow, DeviceRow};
pub use frame::{Frame, TableRow, Traffic};
pub use losses::Loss;
pub use rate::{Elapsed, Rate};
pub use sample::Sample;
pub use trouble::{Severity, Trouble};
