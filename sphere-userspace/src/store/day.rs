//! Days and the files that are named after them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::StoreError;

const SECONDS_A_DAY: u64 = 86_400;
const PREFIX: &str = "denied-";
const SUFFIX: &str = ".sqlite";
/// What SQLite keeps beside a file while it is written.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// A day (UTC), counted from the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(u64);

impl Day {
    /// The day of a time.
    pub(super) fn of(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / SECONDS_A_DAY))
    }

    /// So many days before.
    pub(super) const fn back(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days as u64))
    }

    fn text(self) -> String {
        // Days of file names have four digits of a year.
        let time = UNIX_EPOCH + Duration::from_secs(self.0.min(LAST_DAY) * SECONDS_A_DAY);
        humantime::format_rfc3339_seconds(time).to_string().chars().take(10).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok().map(Self::of)
    }
}

/// 9999-12-31.
const LAST_DAY: u64 = 2_932_896;

/// A file of the store: a day, and which of that day's files. A day has another one when one has grown too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileName {
    pub(super) day: Day,
    pub(super) part: u32,
}

impl FileName {
    /// The first file of a day.
    pub(super) const fn first(day: Day) -> Self {
        Self { day, part: 1 }
    }

    /// The day's next file.
    pub(super) const fn next(self) -> Self {
        Self { day: self.day, part: self.part.saturating_add(1) }
    }

    /// `denied-2026-11-25.sqlite`, then `denied-2026-11-25-2.sqlite`.
    pub(super) fn text(self) -> String {
        let day = self.day.text();
        if self.part <= 1 { format!("{PREFIX}{day}{SUFFIX}") } else { format!("{PREFIX}{day}-{}{SUFFIX}", self.part) }
    }

    fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let day = Day::parse(name.get(..10)?)?;
        let part = match name.get(10..)? {
            "" => 1,
            rest => rest.strip_prefix('-')?.parse().ok().filter(|part| *part > 1)?,
        };
        // Only names that this gives back: no zeros in front, no dates that are another day's.
        Some(Self { day, part }).filter(|parsed| parsed.text() == text)
    }

    /// Where it is.
    pub(super) fn path(self, directory: &Path) -> PathBuf {
        directory.join(self.text())
    }

    /// Where its log is while it is written.
    pub(super) fn log(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}{}", self.text(), BESIDE[0]))
    }

    /// Its bytes, with what is beside it; zero when it is not there.
    pub(super) fn bytes(self, directory: &Path) -> u64 {
        let length = |path: PathBuf| fs::metadata(path).map_or(0, |found| found.len());
        length(self.path(directory)) + length(self.log(directory))
    }

    /// Whether it was left as it was being written.
    pub(super) fn is_unfinished(self, directory: &Path) -> bool {
        self.log(directory).exists()
    }

    /// Removes it, and what is beside it.
    pub(super) fn remove(self, directory: &Path) -> Result<(), StoreError> {
        let name = self.text();
        // Itself first: without it the others are nothing, but it is not whole without them.
        for path in [name.clone()].into_iter().chain(BESIDE.map(|end| format!("{name}{end}"))) {
            let path = directory.join(path);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::directory("remove from", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a file of this name, or what SQLite keeps beside it, is one of the store.
pub(super) fn is_of_the_store(name: &str) -> bool {
    let plain = BESIDE.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    FileName::parse(plain).is_some()
}

/// The files in a directory, the oldest first.
pub(super) fn files(directory: &Path) -> Result<Vec<FileName>, StoreError> {
    let listed = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = listed.map_err(StoreError::reading(directory))?;
    let mut files: Vec<FileName> =
        entries.iter().filter_map(|entry| FileName::parse(entry.file_name().to_str()?)).collect();
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_day() {
        let day = Day::of(humantime::parse_rfc3339("2026-11-25T23:59:59Z").unwrap());
        let first = FileName::first(day);
        assert_eq!(first.text(), "denied-2026-11-25.sqlite");
        assert_eq!(first.next().text(), "denied-2026-11-25-2.sqlite");
        assert_eq!(day.back(25).text(), "2026-10-31");
        for name in [first, first.next(), first.next().next()] {
            assert_eq!(FileName::parse(&name.text()), Some(name));
        }
    }

    #[test]
    fn other_names_are_no_files_of_the_store() {
        for name in [
            "denied-2026-11-25.sqlite-wal",
            "denied-2026-11-25-1.sqlite",
            "denied-2026-11-25-02.sqlite",
            "denied-2026-13-01.sqlite",
            "denied-2026-02-30.sqlite",
            "denied-.sqlite",
            "denied-2026-11-2é.sqlite",
            "events.sqlite",
        ] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_clock_before_the_epoch_is_its_first_day() {
        assert_eq!(Day::of(UNIX_EPOCH - Duration::from_secs(5)), Day(0));
        assert_eq!(Day(u64::MAX).text(), "9999-12-31");
    }
}
