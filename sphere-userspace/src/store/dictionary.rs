//! Numbers for what rows have in common: devices, names, kinds, boots.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use rusqlite::{Connection, Params, Result, params};

use super::denial::Kind;
use super::schema::{number_or_none, octets, reversed};

/// Entries of a kind that are remembered.
const ROOM: usize = 131_072;
/// The number that stands for nothing.
const NONE: i64 = 0;

/// The numbers of one file, as far as they were used.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    devices: HashMap<IpAddr, i64>,
    /// With the name that the group had.
    kinds: HashMap<Kind, (String, i64)>,
    names: HashMap<Vec<String>, i64>,
    boots: HashMap<u64, i64>,
}

impl Dictionary {
    /// The number of a device.
    pub(super) fn device(&mut self, file: &Connection, address: IpAddr) -> Result<i64> {
        number(&mut self.devices, address, || {
            let key = octets(address);
            found_or_new(
                file,
                ("SELECT id FROM device WHERE key = ?1", params![key]),
                ("INSERT INTO device (key, text) VALUES (?1, ?2)", params![key, address.to_string()]),
            )
        })
    }

    /// The number of a boot.
    pub(super) fn boot(&mut self, file: &Connection, boot: u64) -> Result<i64> {
        number(&mut self.boots, boot, || {
            let hash = boot.cast_signed();
            found_or_new(
                file,
                ("SELECT id FROM boot WHERE hash = ?1", params![hash]),
                ("INSERT INTO boot (hash) VALUES (?1)", params![hash]),
            )
        })
    }

    /// The number of a kind, whose group has this name now.
    pub(super) fn kind(&mut self, file: &Connection, kind: Kind, group: &str) -> Result<i64> {
        if let Some((_, number)) = self.kinds.get(&kind).filter(|(name, _)| name == group) {
            return Ok(*number);
        }
        let (direction, verdict, reason) = (kind.direction.word(), kind.verdict.word(), kind.reason.word());
        let (protocol, port) = (number_or_none(kind.protocol), number_or_none(kind.port));
        let values = params![group, direction, verdict, reason, protocol, port, kind.group];
        let number = found_or_new(
            file,
            (
                "SELECT id FROM kind WHERE port = ?6 AND protocol = ?5 AND reason = ?4 AND verdict = ?3 \
                 AND direction = ?2 AND group_number = ?7 AND grp = ?1",
                values,
            ),
            (
                "INSERT INTO kind (grp, direction, verdict, reason, protocol, port, group_number) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                values,
            ),
        )?;
        remember(&mut self.kinds, kind, (group.to_owned(), number));
        Ok(number)
    }

    /// The number of several names together.
    pub(super) fn names(&mut self, file: &Connection, names: &[String]) -> Result<i64> {
        if names.is_empty() {
            return Ok(NONE);
        }
        if let Some(number) = self.names.get(names) {
            return Ok(*number);
        }
        let mut sorted: Vec<String> =
            names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let text = sorted.join(" ");
        number(&mut self.names, names.to_vec(), || {
            let found = ("SELECT id FROM names WHERE text = ?1", params![text]);
            let number = found_or_new(file, found, ("INSERT INTO names (text) VALUES (?1)", params![text]))?;
            let mut insert = file.prepare_cached("INSERT OR IGNORE INTO name (reversed, names) VALUES (?1, ?2)")?;
            for name in &sorted {
                insert.execute(params![reversed(name), number])?;
            }
            Ok(number)
        })
    }
}

/// The number of a key, remembered or asked for.
fn number<K: Eq + Hash>(known: &mut HashMap<K, i64>, key: K, ask: impl FnOnce() -> Result<i64>) -> Result<i64> {
    if let Some(number) = known.get(&key) {
        return Ok(*number);
    }
    let number = ask()?;
    remember(known, key, number);
    Ok(number)
}

fn remember<K: Eq + Hash, N>(known: &mut HashMap<K, N>, key: K, number: N) {
    if known.len() >= ROOM {
        known.clear();
    }
    known.insert(key, number);
}

/// The number that a query finds, or else the one that an insertion gives.
fn found_or_new(file: &Connection, query: (&str, impl Params), insertion: (&str, impl Params)) -> Result<i64> {
    let mut rows = file.prepare_cached(query.0)?;
    let mut rows = rows.query(query.1)?;
    if let Some(row) = rows.next()? {
        return row.get(0);
    }
    file.prepare_cached(insertion.0)?.insert(insertion.1)
}
