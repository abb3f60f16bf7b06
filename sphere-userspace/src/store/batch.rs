//! Writes the differences of a batch into a file, within one transaction of the caller's.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, Result, params};

use super::bases::{Base, Row};
use super::denial::{Account, Denial};
use super::dictionary::Dictionary;
use super::schema::{Peer, count, hour_of, millis};

const ACCOUNT: &str = "INSERT INTO account (boot, episode, device, kind, peer, names, packets, bytes) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (boot, episode, device, kind, peer) \
    DO UPDATE SET packets = excluded.packets, bytes = excluded.bytes";
const HIT: &str = "INSERT INTO hit (device, kind, peer, names, hour, packets, bytes, first, last) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (device, kind, peer, names, hour) DO UPDATE SET \
    packets = packets + excluded.packets, bytes = bytes + excluded.bytes, \
    first = min(first, excluded.first), last = max(last, excluded.last)";
const TOTAL: &str = "INSERT INTO total (device, kind, hour, packets, bytes, first, last) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
    ON CONFLICT (device, kind, hour) DO UPDATE SET packets = packets + excluded.packets, bytes = bytes + excluded.bytes, \
    first = min(first, excluded.first), last = max(last, excluded.last)";
const COVERAGE: &str = "INSERT INTO coverage (id, from_hour, to_hour) VALUES (1, ?1, ?2) \
    ON CONFLICT (id) DO UPDATE SET from_hour = excluded.from_hour, to_hour = excluded.to_hour";

/// What came to something.
#[derive(Clone, Copy, Debug)]
struct Sum {
    packets: i64,
    bytes: i64,
    first: i64,
    last: i64,
}

/// A batch while it is written.
pub(super) struct Batch<'f> {
    file: &'f Connection,
    dictionary: &'f mut Dictionary,
    serial: u64,
    account: CachedStatement<'f>,
    hit: CachedStatement<'f>,
    /// By device, kind and hour: written once, at the end.
    totals: HashMap<(i64, i64, i64), Sum>,
    /// First and last hour of all that the file has.
    pub(super) coverage: Option<(i64, i64)>,
}

impl<'f> Batch<'f> {
    /// Begins a batch in the opening `serial` of a file, which has the hours of `coverage`.
    pub(super) fn new(
        file: &'f Connection,
        dictionary: &'f mut Dictionary,
        serial: u64,
        coverage: Option<(i64, i64)>,
    ) -> Result<Self> {
        let (account, hit) = (file.prepare_cached(ACCOUNT)?, file.prepare_cached(HIT)?);
        Ok(Self { file, dictionary, serial, account, hit, totals: HashMap::new(), coverage })
    }

    /// Adds what is new of an account since `base`, and gives back what is now its base.
    pub(super) fn add(&mut self, (denial, account): (&Denial, &Account), base: Base) -> Result<Base> {
        let now = base.later(Base { packets: denial.packets, bytes: denial.bytes, row: None });
        let last = millis(denial.last);
        let sum = Sum {
            packets: count(now.packets - base.packets),
            bytes: count(now.bytes - base.bytes),
            // Of what went on, only the last packet surely came after what was written before.
            first: if base.is_nothing() { millis(denial.first).min(last) } else { last },
            last,
        };
        if sum.packets == 0 && sum.bytes == 0 {
            return Ok(now);
        }
        let boot = self.dictionary.boot(self.file, account.boot)?;
        let device = self.dictionary.device(self.file, account.device)?;
        // Names are those of the moment in which the account was entered.
        let row = match now.row.filter(|row| row.file == self.serial) {
            Some(row) => row,
            None => Row {
                file: self.serial,
                kind: self.dictionary.kind(self.file, account.kind, &denial.group)?,
                names: self.dictionary.names(self.file, &denial.peer_names)?,
            },
        };
        let Row { kind, names, .. } = row;
        let (peer, hour) = (Peer::of(account.peer), hour_of(last));
        let (episode, packets, bytes) = (count(account.episode), count(now.packets), count(now.bytes));
        self.account.execute(params![boot, episode, device, kind, peer, names, packets, bytes])?;
        let Sum { packets, bytes, first, last } = sum;
        self.hit.execute(params![device, kind, peer, names, hour, packets, bytes, first, last])?;
        let total = self.totals.entry((device, kind, hour)).or_insert(Sum { packets: 0, bytes: 0, ..sum });
        total.packets = total.packets.saturating_add(sum.packets);
        total.bytes = total.bytes.saturating_add(sum.bytes);
        (total.first, total.last) = (total.first.min(sum.first), total.last.max(sum.last));
        Ok(Base { row: Some(row), ..now })
    }

    /// Writes the totals, in the order of their table, and the hours that the file now has.
    pub(super) fn finish(mut self) -> Result<Option<(i64, i64)>> {
        let mut totals: Vec<_> = self.totals.drain().collect();
        totals.sort_unstable_by_key(|(key, _)| *key);
        let mut insert = self.file.prepare_cached(TOTAL)?;
        let mut coverage = self.coverage;
        for ((device, kind, hour), sum) in totals {
            insert.execute(params![device, kind, hour, sum.packets, sum.bytes, sum.first, sum.last])?;
            coverage = Some(coverage.map_or((hour, hour), |(from, to)| (from.min(hour), to.max(hour))));
        }
        if let Some((from, to)) = coverage
            && coverage != self.coverage
        {
            self.file.prepare_cached(COVERAGE)?.execute(params![from, to])?;
        }
        Ok(coverage)
    }
}
