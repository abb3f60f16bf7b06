//! The store against a kernel in memory: whatever happens, the files have what the kernel counted.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod property;
mod retention;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::*;
use crate::store::day::files;

/// A directory that goes with the test.
#[derive(Debug)]
pub(in crate::store) struct Place(PathBuf);

impl Place {
    pub(in crate::store) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sphere-store-{}-{number}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        Self(path)
    }

    pub(in crate::store) fn settings(&self) -> StoreSettings {
        StoreSettings { keep_days: 3650, keep_bytes: 1 << 40, ..StoreSettings::new(&self.0) }
    }

    pub(in crate::store) fn path(&self) -> &Path {
        &self.0
    }

    fn names(&self) -> Vec<String> {
        files(&self.0).unwrap().into_iter().map(FileName::text).collect()
    }

    /// What is in every file: packets and bytes by device, other side and reason.
    fn totals(&self) -> BTreeMap<Line, (i64, i64)> {
        let mut totals: BTreeMap<Line, (i64, i64)> = BTreeMap::new();
        for name in files(&self.0).unwrap() {
            for (line, packets, bytes) in lines(&name.path(&self.0)) {
                let total = totals.entry(line).or_default();
                *total = (total.0 + packets, total.1 + bytes);
            }
        }
        totals
    }

    fn packets(&self) -> i64 {
        self.totals().values().map(|(packets, _)| packets).sum()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Device, other side, reason.
type Line = (String, Option<String>, String);

/// What a file has, and a check that its tables agree.
fn lines(path: &Path) -> Vec<(Line, i64, i64)> {
    let connection = Connection::open(path).unwrap();
    let sum = |query: &str| connection.query_row(query, [], |row| row.get::<_, String>(0)).unwrap();
    let by_flow = sum("SELECT printf('%d %d', total(packets), total(bytes)) FROM hit");
    for table in ["total", "denied", "denied_total"] {
        assert_eq!(
            sum(&format!("SELECT printf('%d %d', total(packets), total(bytes)) FROM {table}")),
            by_flow,
            "{table}"
        );
    }
    let query = "SELECT device, peer, reason, sum(packets), sum(bytes) FROM denied GROUP BY 1, 2, 3";
    let mut statement = connection.prepare(query).unwrap();
    let rows = statement.query_map([], |row| {
        let peer: Option<String> = row.get(1)?;
        let peer = peer.map(|text| text.parse::<IpAddr>().unwrap().to_string());
        Ok(((row.get(0)?, peer, row.get(2)?), row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
    });
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

pub(in crate::store) fn time(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).unwrap()
}

/// A denial of a device towards `198.51.100.1`, all of it at one time.
pub(in crate::store) fn denial(device: u8, episode: u64, packets: u64, at: SystemTime) -> Denial {
    Denial {
        device: IpAddr::from([10, 20, 0, device]),
        group_number: 0,
        group: "sphere".to_owned(),
        peer: Some(IpAddr::from([198, 51, 100, 1])),
        peer_names: Vec::new(),
        protocol: Some(6),
        peer_port: Some(443),
        direction: Direction::Ingress,
        verdict: Verdict::Deny,
        reason: Reason::Destination,
        episode,
        boot: u64::MAX - 5,
        packets,
        bytes: packets * 60,
        first: at,
        last: at,
    }
}

#[test]
fn only_what_is_new_is_counted() {
    let place = Place::new();
    let mut store = Store::open(place.settings()).unwrap();
    let at = time("2026-11-25T10:59:59Z");
    for packets in [3, 3, 5, 4] {
        assert_eq!(store.ingest(&[denial(1, 7, packets, at)], at).unwrap(), Outcome::Written);
    }
    let twice = [denial(1, 7, 6, at), denial(1, 7, 8, at), denial(1, 7, 8, at)];
    assert_eq!(store.ingest(&twice, at).unwrap(), Outcome::Written);
    assert_eq!(place.packets(), 8);
    // The same destination again, after its account was closed.
    assert_eq!(store.ingest(&[denial(1, 9, 2, at)], at).unwrap(), Outcome::Written);
    assert_eq!(place.packets(), 10);
}

#[test]
fn what_is_counted_is_in_the_hour_of_its_last_packet() {
    let place = Place::new();
    let mut store = Store::open(place.settings()).unwrap();
    let (one, two) = (time("2026-11-25T10:59:59Z"), time("2026-11-25T11:00:01Z"));
    assert_eq!(store.ingest(&[denial(1, 7, 3, one)], one).unwrap(), Outcome::Written);
    let later = Denial { last: two, ..denial(1, 7, 10, one) };
    assert_eq!(store.ingest(&[later], two).unwrap(), Outcome::Written);
    let connection = Connection::open(place.0.join("denied-2026-11-25.sqlite")).unwrap();
    let mut statement = connection.prepare("SELECT hour, packets, first, last FROM denied ORDER BY hour").unwrap();
    let rows = statement.query_map([], |row| {
        Ok([row.get(0)?, row.get::<_, i64>(1)?.to_string(), row.get(2)?, row.get::<_, String>(3)?])
    });
    let rows: Vec<[String; 4]> = rows.unwrap().map(Result::unwrap).collect();
    assert_eq!(rows[0], ["2026-11-25T10:00:00Z", "3", "2026-11-25T10:59:59Z", "2026-11-25T10:59:59Z"]);
    assert_eq!(rows[1], ["2026-11-25T11:00:00Z", "7", "2026-11-25T11:00:01Z", "2026-11-25T11:00:01Z"]);
}

#[test]
fn an_account_of_other_destinations_has_none() {
    let place = Place::new();
    let mut store = Store::open(place.settings()).unwrap();
    let at = time("2026-11-25T10:00:00Z");
    let others = Denial { peer: None, protocol: None, peer_port: None, ..denial(1, 7, 3, at) };
    assert_eq!(store.ingest(std::slice::from_ref(&others), at).unwrap(), Outcome::Written);
    drop(store);
    let mut store = Store::open(place.settings()).unwrap();
    assert_eq!(store.ingest(&[Denial { packets: 4, bytes: 240, ..others }], at).unwrap(), Outcome::Written);
    let line = ("10.20.0.1".to_owned(), None, "destination".to_owned());
    assert_eq!(place.totals(), BTreeMap::from([(line, (4, 240))]));
}

#[test]
fn a_group_that_gets_another_name_keeps_its_accounts() {
    let place = Place::new();
    let mut store = Store::open(place.settings()).unwrap();
    let at = time("2026-11-25T10:00:00Z");
    let named = |packets, group: &str| Denial { group: group.to_owned(), ..denial(1, 7, packets, at) };
    assert_eq!(store.ingest(&[named(3, "sphere")], at).unwrap(), Outcome::Written);
    assert_eq!(store.ingest(&[named(5, "")], at).unwrap(), Outcome::Written);
    drop(store);
    let mut store = Store::open(place.settings()).unwrap();
    let new = Denial { episode: 8, ..named(10, "cameras") };
    assert_eq!(store.ingest(&[named(6, "cameras"), new], at).unwrap(), Outcome::Written);
    let connection = Connection::open(place.0.join("denied-2026-11-25.sqlite")).unwrap();
    let mut statement = connection.prepare("SELECT grp, packets FROM denied ORDER BY packets").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows: Vec<(String, i64)> = rows.map(Result::unwrap).collect();
    assert_eq!(rows, [("sphere".to_owned(), 6), ("cameras".to_owned(), 10)]);
}

#[test]
fn a_file_that_is_held_pauses_the_store_and_nothing_is_lost() {
    let place = Place::new();
    let mut store = Store::open(place.settings()).unwrap();
    let at = time("2026-11-25T10:00:00Z");
    assert_eq!(store.ingest(&[denial(1, 7, 3, at)], at).unwrap(), Outcome::Written);
    let holder = Connection::open(place.0.join("denied-2026-11-25.sqlite")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(store.ingest(&[denial(1, 7, 9, at)], at).unwrap(), Outcome::Paused);
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.ingest(&[denial(1, 7, 9, at)], at).unwrap(), Outcome::Written);
    let by_group: u64 = store.denied().iter().map(|(_, count)| count.packets).sum();
    assert_eq!(by_group, 9, "what was not written is not told");
    assert_eq!(place.packets(), 9);
    assert_eq!((store.stats().written, store.stats().paused), (2, 1));
}

#[test]
fn a_clock_that_was_not_set_pauses_the_store() {
    let place = Place::new();
    let mut store = Store::open(place.settings()).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(30);
    assert_eq!(store.ingest(&[denial(1, 7, 3, at)], at).unwrap(), Outcome::Paused);
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn a_damaged_file_is_left_alone_and_the_day_gets_another() {
    let place = Place::new();
    let at = time("2026-11-25T10:00:00Z");
    fs::create_dir_all(&place.0).unwrap();
    fs::write(place.0.join("denied-2026-11-25.sqlite"), "this is no database, whatever its name says".repeat(100))
        .unwrap();
    let mut store = Store::open(place.settings()).unwrap();
    assert_eq!(store.ingest(&[denial(1, 7, 3, at)], at).unwrap(), Outcome::Written);
    assert_eq!(place.names(), ["denied-2026-11-25.sqlite", "denied-2026-11-25-2.sqlite"]);
    assert_eq!(store.stats().damaged_files, 1);
    fs::remove_file(place.0.join("denied-2026-11-25.sqlite")).unwrap();
    assert_eq!(place.packets(), 3);
}

#[test]
fn a_file_of_a_later_schema_is_not_written() {
    let place = Place::new();
    let at = time("2026-11-25T10:00:00Z");
    fs::create_dir_all(&place.0).unwrap();
    let path = place.0.join("denied-2026-11-25.sqlite");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    let mut store = Store::open(place.settings()).unwrap();
    assert_eq!(store.ingest(&[denial(1, 7, 3, at)], at).unwrap(), Outcome::Written);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(place.names().len(), 2);
}

#[test]
fn names_are_kept_whole_and_found_by_what_they_end_in() {
    let place = Place::new();
    let mut store = Store::open(place.settings()).unwrap();
    let at = time("2026-11-25T10:00:00Z");
    let names = vec!["www.Example.com.".to_owned(), "cdn.example.net".to_owned(), "www.example.com".to_owned()];
    assert_eq!(store.ingest(&[Denial { peer_names: names, ..denial(1, 7, 3, at) }], at).unwrap(), Outcome::Written);
    let connection = Connection::open(place.0.join("denied-2026-11-25.sqlite")).unwrap();
    let names: String = connection.query_row("SELECT names FROM denied", [], |row| row.get(0)).unwrap();
    assert_eq!(names, "cdn.example.net www.example.com");
    let mut statement = connection.prepare("SELECT reversed FROM name ORDER BY 1").unwrap();
    let reversed: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(reversed, ["com.example.www.", "net.example.cdn."]);
}
