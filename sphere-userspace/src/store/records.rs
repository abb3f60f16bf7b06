//! Everything that the files have, row by row, for those who take it elsewhere.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Result, Row, params};

use super::StoreError;
use super::day;
use super::file::open_to_read;
use super::kind::StoredKind;
use super::query::{Filter, Span};
use super::schema::Peer;

/// What a flow had in an hour. Times are in milliseconds since the epoch.
#[derive(Debug)]
pub(super) struct Record {
    /// Beginning of the hour.
    pub(super) hour_ms: i64,
    /// The first packet.
    pub(super) first_ms: i64,
    /// The last packet.
    pub(super) last_ms: i64,
    /// The device.
    pub(super) device: Arc<str>,
    /// The other side; absent in an account of other destinations.
    pub(super) peer: Option<IpAddr>,
    /// Its names, with spaces between them; absent when none was known.
    pub(super) names: Option<Arc<str>>,
    /// What else it was.
    pub(super) kind: Arc<StoredKind>,
    /// Packets.
    pub(super) packets: i64,
    /// Bytes.
    pub(super) bytes: i64,
}

/// Gives every record between the times of a filter, file by file; a file is as it was when the reading of it began. Gives
/// back the files that were left out, or the rest of which was, with the reason.
///
/// # Errors
///
/// When there is no store, when it cannot be read, or when `take` fails.
pub(super) fn each_record<E: From<StoreError>>(
    directory: &Path,
    filter: &Filter,
    mut take: impl FnMut(Record) -> std::result::Result<(), E>,
) -> std::result::Result<Vec<String>, E> {
    let mut left_out = Vec::new();
    for name in day::files(directory)? {
        let path = name.path(directory);
        let file = match open_to_read(&path) {
            Ok(file) => file,
            // It went since the directory was read.
            Err(_) if !path.exists() => continue,
            Err(error) if error.is_of_one_file() => {
                left_out.push(error.whole());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match read_file(&file, Span::of(filter), &mut take).map_err(StoreError::file("read", &path)) {
            Ok(taken) => taken?,
            // What was read before the damage stays taken: it is as good as ever.
            Err(error) if error.is_of_one_file() => left_out.push(format!("the rest of it: {}", error.whole())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(left_out)
}

/// What stands for the numbers of a file.
struct Meanings {
    devices: HashMap<i64, Arc<str>>,
    names: HashMap<i64, Arc<str>>,
    kinds: HashMap<i64, Arc<StoredKind>>,
}

impl Meanings {
    fn read(file: &Connection) -> Result<Self> {
        let texts = |query: &str| -> Result<HashMap<i64, Arc<str>>> {
            let mut statement = file.prepare(query)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let kinds = StoredKind::all(file)?.into_iter().map(|(id, kind)| (id, Arc::new(kind))).collect();
        Ok(Self { devices: texts("SELECT id, text FROM device")?, names: texts("SELECT id, text FROM names")?, kinds })
    }

    fn record(&self, row: &Row<'_>) -> Result<Record> {
        let unknown = |column| rusqlite::Error::InvalidColumnIndex(column);
        let (device, kind, names): (i64, i64, i64) = (row.get(3)?, row.get(4)?, row.get(6)?);
        Ok(Record {
            hour_ms: row.get::<_, i64>(0)?.saturating_mul(3_600_000),
            first_ms: row.get(1)?,
            last_ms: row.get(2)?,
            device: self.devices.get(&device).cloned().ok_or_else(|| unknown(3))?,
            kind: self.kinds.get(&kind).cloned().ok_or_else(|| unknown(4))?,
            peer: Peer::read(row.get_ref(5)?).ok_or_else(|| unknown(5))?.address(),
            names: self.names.get(&names).cloned(),
            packets: row.get(7)?,
            bytes: row.get(8)?,
        })
    }
}

fn read_file<E>(
    file: &Connection,
    span: Span,
    take: &mut impl FnMut(Record) -> std::result::Result<(), E>,
) -> Result<std::result::Result<(), E>> {
    file.execute_batch("BEGIN")?;
    let meanings = Meanings::read(file)?;
    let mut statement = file.prepare(
        "SELECT hour, first, last, device, kind, peer, names, packets, bytes FROM hit \
         WHERE hour BETWEEN ?1 AND ?2 AND last >= ?3 AND first <= ?4",
    )?;
    let (from, to) = span.hours();
    let mut rows = statement.query(params![from, to, span.since, span.until])?;
    while let Some(row) = rows.next()? {
        if let Err(error) = take(meanings.record(row)?) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}
