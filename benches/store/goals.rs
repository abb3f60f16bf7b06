//! What the store has to be able to do on a gateway of two cores, and whether it is.

use std::time::Duration;

/// Records that are written.
pub(crate) const RECORDS: u64 = 1_000_000;
/// Records written a second.
pub(crate) const INGEST_GOAL: f64 = 50_000.0;
/// Time for each question: the median of its runs stays below.
pub(crate) const FILTER_GOAL: Duration = Duration::from_millis(200);

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) records: u64,
    pub(crate) records_per_second: f64,
    /// The slowest question: the median of its runs.
    pub(crate) slowest: Duration,
}

impl Figures {
    /// The goals that were missed, in words.
    pub(crate) fn missed(self) -> Vec<String> {
        let mut missed = Vec::new();
        if self.records < RECORDS {
            missed.push(format!("{} of {RECORDS} records were written before time was up", self.records));
        }
        if self.records_per_second.is_nan() || self.records_per_second < INGEST_GOAL {
            missed.push(format!("{:.0} records a second, wanted {INGEST_GOAL:.0}", self.records_per_second));
        }
        if self.slowest >= FILTER_GOAL {
            missed.push(format!("{:.1?} for a question, wanted less than {FILTER_GOAL:.0?}", self.slowest));
        }
        missed
    }
}
