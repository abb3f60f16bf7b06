//! What grows in the store, as it grows.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::day::{self, FileName};
use super::query::{Field, Fields, Filter, KindPart, Line, Query, Sum};
use super::{StoreError, schema};

/// How far back packets may be counted that the daemon hands over only now.
const BACK: Duration = Duration::from_secs(3600);

/// What tells lines apart.
type Identity = (Option<SystemTime>, Option<IpAddr>, Option<IpAddr>, Option<Arc<str>>, Arc<KindPart>);
/// A file, its bytes and when it was written last.
type State = Vec<(FileName, u64, Option<SystemTime>)>;

/// Looks at the store again and again. It remembers two hours of lines and no more.
#[derive(Debug)]
pub struct Follow {
    directory: PathBuf,
    filter: Filter,
    by: Fields,
    /// What came to each line, as of the last look.
    seen: Option<HashMap<Identity, Sum>>,
    state: State,
}

impl Follow {
    /// Follows the store in a directory. The times of the filter are not asked about.
    #[must_use]
    pub fn new(directory: PathBuf, filter: Filter, by: Fields) -> Self {
        Self { directory, filter, by, seen: None, state: State::new() }
    }

    /// Takes a look: what came to each line since the last one, nothing at the first.
    ///
    /// # Errors
    ///
    /// When there is no store, or it cannot be read.
    pub fn look(&mut self, now: SystemTime) -> Result<Vec<Line>, StoreError> {
        let state = state(&self.directory)?;
        if self.seen.is_some() && state == self.state {
            return Ok(Vec::new());
        }
        let hour = schema::hour_of(schema::millis(now.checked_sub(BACK).unwrap_or(now)));
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(hour).unwrap_or(0) * 3600);
        let filter = Filter { since: Some(since), until: None, ..self.filter.clone() };
        // By the hour, so that what an hour had is not lost with it.
        let by = self.by.iter().chain([Field::Hour]).collect();
        let lines = Query { filter, by, top: None }.ask(&self.directory)?.lines;
        let mut grown = Vec::new();
        // What a file had that cannot be read for a moment is not new when it can.
        let mut seen = self.seen.clone().unwrap_or_default();
        seen.retain(|(time, ..): &Identity, _| time.is_none_or(|time| time >= since));
        for line in lines {
            let identity = identity(&line, self.by);
            let before = self.seen.as_ref().map(|seen| seen.get(&identity).copied());
            seen.insert(identity, line.sum);
            if let Some(before) = before
                && let Some(sum) = growth(line.sum, before)
            {
                grown.push(Line { sum, ..line });
            }
        }
        grown.sort_by_key(|line| line.sum.last_ms);
        (self.seen, self.state) = (Some(seen), state);
        Ok(grown)
    }
}

fn identity(line: &Line, by: Fields) -> Identity {
    let names = line.names.clone().filter(|_| by.has(Field::Name));
    (line.time, line.device, line.peer, names, Arc::clone(&line.kind))
}

/// What came to a line since it was seen, if anything did.
fn growth(now: Sum, before: Option<Sum>) -> Option<Sum> {
    let Some(before) = before else { return Some(now) };
    let packets = now.packets.saturating_sub(before.packets);
    let bytes = now.bytes.saturating_sub(before.bytes);
    (packets > 0).then_some(Sum { packets, bytes, first_ms: before.last_ms.min(now.last_ms), last_ms: now.last_ms })
}

/// How the files are: another state when one was written.
fn state(directory: &Path) -> Result<State, StoreError> {
    let files = day::files(directory)?.into_iter();
    Ok(files
        .map(|name| {
            let written = |path: PathBuf| fs::metadata(path).and_then(|found| found.modified()).ok();
            (name, name.bytes(directory), written(name.log(directory)).max(written(name.path(directory))))
        })
        .collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use crate::store::writer::tests::{Place, denial, time};
    use crate::store::{Denial, Outcome, Store};

    #[test]
    fn only_what_grew_is_told() {
        let place = Place::new();
        let mut store = Store::open(place.settings()).unwrap();
        let mut write = |denials: &[Denial]| {
            assert_eq!(store.ingest(denials, denials[0].last).unwrap(), Outcome::Written);
        };
        let at = time("2026-11-25T23:59:00Z");
        write(&[denial(1, 7, 3, at), denial(2, 8, 5, at)]);
        let by = [Field::Device, Field::Reason].into_iter().collect();
        let mut follow = Follow::new(place.path().to_owned(), Filter::default(), by);
        let mut look = |now| -> Vec<(String, u64)> {
            let told = follow.look(now).unwrap();
            told.iter().map(|line| (line.device.unwrap().to_string(), line.sum.packets)).collect()
        };
        assert_eq!(look(at), []);
        assert_eq!(look(at), []);
        write(&[denial(1, 7, 10, at), denial(2, 8, 5, at)]);
        assert_eq!(look(at), [("10.20.0.1".to_owned(), 7)]);
        // The next day has another file, and the account goes on in it.
        let later = at + Duration::from_secs(120);
        write(&[Denial { last: later, ..denial(1, 7, 11, at) }, denial(3, 9, 2, later)]);
        let told = look(later);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.contains(&("10.20.0.1".to_owned(), 1)) && told.contains(&("10.20.0.3".to_owned(), 2)));
        assert_eq!(look(later), []);
    }
}
