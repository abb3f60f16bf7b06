//! The store as a Parquet file, for DuckDB, ClickHouse, Spark and whatever else reads it.
//!
//! Place in the data flow: records of every file → [`Columns`] of some ten thousand rows → row groups. Invariant: memory
//! holds one row group, and the file has its name only when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::records::{Record, each_record};
use super::{Filter, StoreError, day};

/// Rows of a row group.
const GROUP_ROWS: usize = 65_536;
/// Version of what the columns mean, in the file's metadata.
const SCHEMA_VERSION: &str = "sphere.denied-hours/1";
/// The columns. What an account of other destinations has not, and what is not known, is null.
const SCHEMA: &str = "message denied {
    required int64 hour (TIMESTAMP(MILLIS, true));
    required int64 first_time (TIMESTAMP(MILLIS, true));
    required int64 last_time (TIMESTAMP(MILLIS, true));
    required binary group (STRING);
    required binary device (STRING);
    optional binary peer (STRING);
    optional binary peer_names (STRING);
    optional int32 protocol;
    optional int32 peer_port;
    required binary direction (STRING);
    required binary verdict (STRING);
    required binary reason (STRING);
    required int64 packets;
    required int64 bytes;
}";

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written as Parquet.
    #[error("cannot write {} as Parquet", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// It would be in the place of one of the store's own.
    #[error("{} is a file of the store itself: name another one", path.display())]
    OwnFile {
        /// The file.
        path: PathBuf,
    },
    /// There is something else in the place of the file.
    #[error("{} is there and no file: name another one", path.display())]
    NoFile {
        /// What is there.
        path: PathBuf,
    },
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows: what a flow had in an hour, each.
    pub rows: u64,
    /// Files of the store that could not be read, or not to their end, with the reason.
    pub left_out: Vec<String>,
}

/// Writes what the store has between the times of a filter to a file, and replaces the file if it is there. Nothing but a
/// file is replaced; the new one is for its owner only, as what is in it is.
///
/// # Errors
///
/// When the store cannot be read or the file not be written; then the file is as it was.
pub fn export(directory: &Path, filter: &Filter, path: &Path) -> Result<Exported, ExportError> {
    // Of a link it is asked itself, not what it leads to.
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(ExportError::NoFile { path: path.to_owned() });
    }
    let file_name = path.file_name().and_then(|name| name.to_str());
    let place = path
        .parent()
        .and_then(|parent| fs::canonicalize(if parent == Path::new("") { Path::new(".") } else { parent }).ok());
    if file_name.is_some_and(day::is_of_the_store) && place.is_some() && place == fs::canonicalize(directory).ok() {
        return Err(ExportError::OwnFile { path: path.to_owned() });
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}.part", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let failed = |source| ExportError::Write { path: path.to_owned(), source };
    let written = write(directory, filter, &unfinished)
        .and_then(|exported| fs::rename(&unfinished, path).map(|()| exported).map_err(failed));
    if written.is_err() {
        // Nobody else has such a file, and what is left of it is of no use.
        drop(fs::remove_file(&unfinished));
    }
    written
}

fn write(directory: &Path, filter: &Filter, path: &Path) -> Result<Exported, ExportError> {
    let failed = |source| ExportError::Write { path: path.to_owned(), source };
    let spoiled = |source| ExportError::Parquet { path: path.to_owned(), source };
    let file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let whole = file.try_clone().map_err(failed)?;
    let schema = Arc::new(parse_message_type(SCHEMA).map_err(spoiled)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("sphere {} ({SCHEMA_VERSION})", env!("CARGO_PKG_VERSION")))
        .build();
    let mut writer = SerializedFileWriter::new(BufWriter::new(file), schema, Arc::new(properties)).map_err(spoiled)?;
    let (mut columns, mut rows) = (Columns::default(), 0);
    let left_out = each_record(directory, filter, |record| -> Result<(), ExportError> {
        columns.push(&record);
        rows += 1;
        if columns.hour.len() >= GROUP_ROWS {
            columns.write(&mut writer).map_err(spoiled)?;
        }
        Ok(())
    })?;
    columns.write(&mut writer).map_err(spoiled)?;
    writer.close().map_err(spoiled)?;
    whole.sync_all().map_err(failed)?;
    Ok(Exported { rows, left_out })
}

/// A column that may have nulls: the values that are there, and for each row whether there is one.
#[derive(Debug)]
struct Optional<T> {
    values: Vec<T>,
    is_there: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self { values: Vec::new(), is_there: Vec::new() }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.is_there.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// The rows of a row group, by column.
#[derive(Debug, Default)]
struct Columns {
    hour: Vec<i64>,
    first: Vec<i64>,
    last: Vec<i64>,
    group: Vec<ByteArray>,
    device: Vec<ByteArray>,
    peer: Optional<ByteArray>,
    names: Optional<ByteArray>,
    protocol: Optional<i32>,
    port: Optional<i32>,
    direction: Vec<ByteArray>,
    verdict: Vec<ByteArray>,
    reason: Vec<ByteArray>,
    packets: Vec<i64>,
    bytes: Vec<i64>,
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text)
}

impl Columns {
    fn push(&mut self, record: &Record) {
        let kind = &record.kind;
        self.hour.push(record.hour_ms);
        self.first.push(record.first_ms);
        self.last.push(record.last_ms);
        self.group.push(text(&kind.group));
        self.device.push(text(&record.device));
        self.peer.push(record.peer.map(|peer| text(&peer.to_string())));
        self.names.push(record.names.as_deref().map(text));
        self.protocol.push(kind.protocol.map(i32::from));
        self.port.push(kind.port.map(i32::from));
        self.direction.push(text(&kind.direction));
        self.verdict.push(text(&kind.verdict));
        self.reason.push(text(&kind.reason));
        self.packets.push(record.packets);
        self.bytes.push(record.bytes);
    }

    /// Writes them as a row group, in the order of the schema, and is empty then.
    fn write(&mut self, writer: &mut SerializedFileWriter<BufWriter<File>>) -> Result<(), ParquetError> {
        let rows = std::mem::take(self);
        if rows.hour.is_empty() {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        for times in [&rows.hour, &rows.first, &rows.last] {
            column::<Int64Type>(&mut group, times, None)?;
        }
        for words in [&rows.group, &rows.device] {
            column::<ByteArrayType>(&mut group, words, None)?;
        }
        for words in [&rows.peer, &rows.names] {
            column::<ByteArrayType>(&mut group, &words.values, Some(&words.is_there))?;
        }
        for numbers in [&rows.protocol, &rows.port] {
            column::<Int32Type>(&mut group, &numbers.values, Some(&numbers.is_there))?;
        }
        for words in [&rows.direction, &rows.verdict, &rows.reason] {
            column::<ByteArrayType>(&mut group, words, None)?;
        }
        for counts in [&rows.packets, &rows.bytes] {
            column::<Int64Type>(&mut group, counts, None)?;
        }
        group.close()?;
        Ok(())
    }
}

/// Writes the next column of a row group.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    values: &[T::T],
    is_there: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more columns than the schema has".to_owned()));
    };
    column.typed::<T>().write_batch(values, is_there, None)?;
    column.close()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::net::IpAddr;

    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::{Field, Row};

    use super::*;
    use crate::store::writer::tests::{Place, denial, time};
    use crate::store::{Denial, Outcome, Store};

    fn value(row: &Row, name: &str) -> Field {
        row.get_column_iter().find(|(column, _)| *column == name).unwrap().1.clone()
    }

    #[test]
    fn every_record_is_in_the_file() {
        let place = Place::new();
        let mut store = Store::open(place.settings()).unwrap();
        let (one, two) = (time("2026-11-24T09:30:00Z"), time("2026-11-25T10:15:00Z"));
        let names = vec!["api.example.com".to_owned()];
        let peer = Some("2001:db8::7".parse::<IpAddr>().unwrap());
        let named = Denial { peer, peer_names: names, ..denial(2, 8, 5, two) };
        let others = Denial { peer: None, protocol: None, peer_port: None, ..denial(3, 9, 2, two) };
        assert_eq!(store.ingest(&[denial(1, 7, 3, one)], one).unwrap(), Outcome::Written);
        assert_eq!(store.ingest(&[named, others], two).unwrap(), Outcome::Written);
        let path = place.path().join("out.parquet");
        fs::write(&path, "what was there before").unwrap();
        let exported = export(place.path(), &Filter::default(), &path).unwrap();
        assert_eq!(exported, Exported { rows: 3, left_out: Vec::new() });
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let rows: Vec<Row> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(value(&rows[0], "device"), Field::Str("10.20.0.1".to_owned()));
        assert_eq!(value(&rows[0], "packets"), Field::Long(3));
        assert_eq!(value(&rows[0], "peer_names"), Field::Null);
        assert_eq!(value(&rows[1], "peer"), Field::Str("2001:db8::7".to_owned()));
        assert_eq!(value(&rows[1], "peer_names"), Field::Str("api.example.com".to_owned()));
        assert_eq!(value(&rows[1], "hour"), Field::TimestampMillis(1_795_600_800_000));
        assert_eq!((value(&rows[2], "peer"), value(&rows[2], "protocol")), (Field::Null, Field::Null));
        let since = Filter { since: Some(two), ..Filter::default() };
        assert_eq!(export(place.path(), &since, &path).unwrap().rows, 2);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let place = Place::new();
        let path = place.path().join("out.parquet");
        assert!(matches!(export(place.path(), &Filter::default(), &path), Err(ExportError::Write { .. })));
        fs::create_dir_all(place.path()).unwrap();
        fs::write(&path, "what was there before").unwrap();
        let absent = place.path().join("absent");
        assert!(matches!(export(&absent, &Filter::default(), &path), Err(ExportError::Store(_))));
        assert_eq!(fs::read(&path).unwrap(), b"what was there before");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
