//! How old a file of service tags is: prefixes change every week, and a new one is not used for at least a week.

use std::time::{Duration, SystemTime};

use super::warning;
use crate::policy::{Diagnostic, plain};

const DAY: Duration = Duration::from_secs(86_400);
/// A new prefix is published at least a week before it is used, and files come weekly.
const MOST_DAYS: u64 = 14;

/// How old a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// Whole days.
    pub days: u64,
    /// Where that is from: "by its name", "by its date of change".
    pub by: &'static str,
}

impl Age {
    /// The age of a file of this name, or that was changed at this time; [`None`] when neither tells.
    #[must_use]
    pub fn of(file_name: &str, changed: Option<SystemTime>, now: SystemTime) -> Option<Self> {
        let (since, by) = match published(file_name) {
            Some(published) => (published, "by its name"),
            None => (changed?, "by its date of change"),
        };
        let age = now.duration_since(since).unwrap_or_default();
        Some(Self { days: age.as_secs() / DAY.as_secs(), by })
    }

    pub(super) fn warning(self, path: &str) -> Option<Diagnostic> {
        let Self { days, by } = self;
        (days > MOST_DAYS).then(|| {
            let message = format!("{} is {days} days old {by}: services may have moved to other prefixes", plain(path));
            warning(message, "load the file of this week, and import it again".to_owned())
        })
    }
}

/// The date at the end of the name: `ServiceTags_Public_20251124.json`.
pub(super) fn published(file_name: &str) -> Option<SystemTime> {
    let stem = file_name.strip_suffix(".json")?;
    let digits = stem.get(stem.len().checked_sub(8)?..)?;
    let is_date = digits.bytes().all(|byte| byte.is_ascii_digit()) && stem.contains("ServiceTags");
    let [year, month, day] = [digits.get(..4)?, digits.get(4..6)?, digits.get(6..)?];
    let date = format!("{year}-{month}-{day}T00:00:00Z");
    humantime::parse_rfc3339(&date).ok().filter(|_| is_date)
}
