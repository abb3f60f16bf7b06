//! What became of the answers that the programs left to the daemon, counted beside their own counts.

use std::sync::Arc;

use sphere_common::abi::LessonCount;

use super::error::DatapathError;
use super::maps::Maps;

/// The daemon's rows of the lesson counters. Only one task counts: what two write at once would be lost.
#[derive(Debug)]
pub struct Tally {
    maps: Arc<Maps>,
}

impl Tally {
    pub(super) fn new(maps: Arc<Maps>) -> Self {
        Self { maps }
    }

    /// Counts one more; of a row that the programs count, nothing.
    ///
    /// # Errors
    ///
    /// When the table cannot be read or written.
    pub fn count(&self, what: LessonCount) -> Result<(), DatapathError> {
        if what.is_of_daemon() { self.maps.lesson_counters.increment(what as u32) } else { Ok(()) }
    }
}
