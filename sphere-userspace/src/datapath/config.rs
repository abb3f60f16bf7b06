//! The configuration of the programs, replaced as a whole.

use std::hash::{BuildHasher, Hasher, RandomState};

use sphere_common::abi::Config;

use super::error::DatapathError;
use super::maps::Maps;

/// The configuration in force; blank before the first one.
pub(super) fn in_force(maps: &Maps) -> Result<Config, DatapathError> {
    let active = maps.active.lookup(&0)?.unwrap_or_default();
    Ok(maps.config.lookup(&active)?.unwrap_or_default())
}

/// Writes the configuration into the slot that is not in force, then switches. What belongs to the data plane, clock
/// and seed, stays as it is.
pub(super) fn write(maps: &Maps, rate: u32, wanted: &Config) -> Result<(), DatapathError> {
    let active = maps.active.lookup(&0)?.unwrap_or_default() & 1;
    let current = maps.config.lookup(&active)?.unwrap_or_default();
    let seed = if current.seed == 0 { random_seed() } else { current.seed };
    let config = Config { clock_offset: current.clock_offset, seed, ticks_per_second: rate, ..*wanted };
    let other = active ^ 1;
    maps.config.insert(&other, &config)?;
    maps.active.insert(&0, &other)
}

/// A number that nobody outside can guess, and that is not zero.
fn random_seed() -> u32 {
    // The standard library takes the keys of its hashers from the system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    (random ^ random >> 32) as u32 | 1
}
