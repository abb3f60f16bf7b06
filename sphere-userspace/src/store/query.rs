//! Questions to the store: what was denied, how often, since when and why, over all of its files.
//!
//! Place in the data flow: [`Query`] → [`Plan`](plan::Plan) (which files, devices and kinds) → scans, a device at a time
//! and on several cores → [`Answer`]. Reads only, also while the daemon writes: SQLite shows each file as it was when the
//! reading of it began.

mod answer;
mod fields;
mod filter;
mod gather;
mod kinds;
mod plan;
mod scan;

use std::collections::BTreeMap;
use std::path::Path;

use super::StoreError;

pub use answer::{Answer, Line, Sum};
pub use fields::{Field, Fields};
pub(super) use filter::Span;
pub(crate) use filter::net;
pub use filter::{Filter, Target};
pub use kinds::KindPart;

/// A question.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// What is asked about.
    pub filter: Filter,
    /// What makes a line: packets that have all of it in common.
    pub by: Fields,
    /// Lines that are wanted, those with the most packets; all when absent.
    pub top: Option<usize>,
}

/// How often a question is asked again because a file went while it was read.
const ATTEMPTS: usize = 3;

impl Query {
    /// Asks the store in a directory.
    ///
    /// # Errors
    ///
    /// When there is no store, or it cannot be read. Files that cannot be read are left out, and named in the answer.
    pub fn ask(&self, directory: &Path) -> Result<Answer, StoreError> {
        let (mut attempts, mut unreadable) = (0, BTreeMap::new());
        loop {
            let plan = plan::Plan::new(directory, self, &unreadable)?;
            match gather::gather(&plan, self.top) {
                Ok(gathered) => return Ok(plan.answer(gathered)),
                // The oldest files go when there are too many bytes.
                Err(_) if attempts < ATTEMPTS && plan.has_lost_a_file() => attempts += 1,
                // A file may be damaged where nobody has looked yet: then it is asked again without.
                Err(error) if error.is_of_one_file() && !unreadable.contains_key(error.path()) => {
                    unreadable.insert(error.path().to_owned(), error.whole());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
