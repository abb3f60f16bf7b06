//! One file of the store, open for reading or for writing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row, Transaction, TransactionBehavior, params,
};

use super::StoreError;
use super::bases::{Base, Row as Numbers};
use super::day::FileName;
use super::denial::Account;
use super::dictionary::Dictionary;
use super::schema::{Peer, SCHEMA, VERSION, count, number_or_none, octets};

/// How long the writer waits for somebody who holds the file.
const WRITER_PATIENCE: Duration = Duration::from_millis(100);
/// How long a reader waits.
const READER_PATIENCE: Duration = Duration::from_secs(2);
/// Statements that are kept prepared.
const STATEMENTS: usize = 32;

/// The latest episode of each boot: what has begun later is not in the file.
#[derive(Debug, Default)]
struct Latest(HashMap<u64, i64>);

impl Latest {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let query = "SELECT hash, (SELECT max(episode) FROM account WHERE boot = boot.id) FROM boot";
        let mut statement = connection.prepare(query)?;
        let rows = statement.query_map([], |row| {
            let (boot, episode): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok((boot.cast_unsigned(), episode.unwrap_or(i64::MIN)))
        })?;
        Ok(Self(rows.collect::<rusqlite::Result<_>>()?))
    }

    fn may_have(&self, account: &Account) -> bool {
        self.0.get(&account.boot).is_some_and(|latest| *latest >= count(account.episode))
    }

    fn note(&mut self, account: &Account) {
        let latest = self.0.entry(account.boot).or_insert(i64::MIN);
        *latest = count(account.episode).max(*latest);
    }
}

/// A file that is complete: only looked into, for accounts that went on after it.
#[derive(Debug)]
pub(super) struct Elder {
    pub(super) name: FileName,
    path: PathBuf,
    connection: Connection,
    latest: Latest,
}

impl Elder {
    /// Opens a file to look into it.
    pub(super) fn open(directory: &Path, name: FileName) -> Result<Self, StoreError> {
        let path = name.path(directory);
        let connection = open_to_read(&path)?;
        let latest = Latest::read(&connection).map_err(StoreError::file("read", &path))?;
        Ok(Self { name, path, connection, latest })
    }

    /// What it has of an account.
    pub(super) fn base(&self, account: &Account) -> Result<Base, StoreError> {
        if !self.latest.may_have(account) {
            return Ok(Base::default());
        }
        let found = look_up(&self.connection, account).map_err(StoreError::file("read", &self.path))?;
        Ok(found.map_or_else(Base::default, |(packets, bytes, _, _)| Base { packets, bytes, row: None }))
    }
}

/// The file that is being written.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) name: FileName,
    pub(super) path: PathBuf,
    /// Which opening of a file this is.
    pub(super) serial: u64,
    pub(super) connection: Connection,
    pub(super) dictionary: Dictionary,
    pub(super) coverage: Option<(i64, i64)>,
    latest: Latest,
}

impl Current {
    /// Opens a file to write it, and makes it when it is not there.
    pub(super) fn open(directory: &Path, name: FileName, serial: u64) -> Result<Self, StoreError> {
        let path = name.path(directory);
        let connection = open_to_write(&path)?;
        let opened = || -> rusqlite::Result<_> {
            let coverage = connection.query_row("SELECT from_hour, to_hour FROM coverage", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            });
            Ok((coverage.optional()?, Latest::read(&connection)?))
        };
        let (coverage, latest) = opened().map_err(StoreError::file("read", &path))?;
        Ok(Self { name, path, serial, connection, dictionary: Dictionary::default(), coverage, latest })
    }

    /// What it has of an account.
    pub(super) fn base(&self, account: &Account) -> Result<Base, StoreError> {
        if !self.latest.may_have(account) {
            return Ok(Base::default());
        }
        let found = look_up(&self.connection, account).map_err(StoreError::file("read", &self.path))?;
        let base = |(packets, bytes, kind, names)| Base {
            packets,
            bytes,
            row: Some(Numbers { file: self.serial, kind, names }),
        };
        Ok(found.map_or_else(Base::default, base))
    }

    /// Notes that it has an account.
    pub(super) fn note(&mut self, account: &Account) {
        self.latest.note(account);
    }

    /// Leaves it as one plain file, without what SQLite keeps beside it.
    pub(super) fn finish(self) {
        finish(&self.connection, &self.path);
    }
}

/// Makes a plain file of one that was left as it was being written.
pub(super) fn finish_left(directory: &Path, name: FileName) -> Result<(), StoreError> {
    let path = name.path(directory);
    let connection = open_to_write(&path)?;
    finish(&connection, &path);
    Ok(())
}

fn finish(connection: &Connection, path: &Path) {
    let finished = connection.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get::<_, String>(0));
    if let Err(error) = finished {
        // Somebody reads it: it is as good as it is, and is tried again at the next start.
        tracing::debug!(path = %path.display(), %error, "the file keeps its log");
    }
}

/// Packets and bytes of an account, and the numbers of its kind and its names, if the file has it.
fn look_up(connection: &Connection, account: &Account) -> rusqlite::Result<Option<(u64, u64, i64, i64)>> {
    const ACCOUNT: &str = "SELECT packets, bytes, kind, names FROM account \
        WHERE boot = (SELECT id FROM boot WHERE hash = ?1) AND episode = ?2 \
        AND device = (SELECT id FROM device WHERE key = ?3) \
        AND kind IN (SELECT id FROM kind WHERE port = ?9 AND protocol = ?8 AND reason = ?7 AND verdict = ?6 \
            AND direction = ?5 AND group_number = ?4) \
        AND peer = ?10 ORDER BY packets DESC";
    let kind = &account.kind;
    let values = params![
        account.boot.cast_signed(),
        count(account.episode),
        octets(account.device),
        kind.group,
        kind.direction.word(),
        kind.verdict.word(),
        kind.reason.word(),
        number_or_none(kind.protocol),
        number_or_none(kind.port),
        Peer::of(account.peer),
    ];
    let mut statement = connection.prepare_cached(ACCOUNT)?;
    let total = |row: &Row<'_>, index| row.get(index).map(i64::cast_unsigned);
    statement.query_row(values, |row| Ok((total(row, 0)?, total(row, 1)?, row.get(2)?, row.get(3)?))).optional()
}

/// Opens a file read-only, whether it is being written or not.
///
/// # Errors
///
/// When it is no file of the store, or cannot be read.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    refuse_others(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let version = |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
    let plain = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(READER_PATIENCE)?;
        let version: i64 = version(&connection)?;
        Ok((connection, version))
    };
    // Who may not write the directory cannot make the index of a log; a file without a log needs none.
    let alone = || {
        let uri = format!("file:{}?immutable=1", escaped(path));
        let connection = Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?;
        let version: i64 = version(&connection)?;
        Ok((connection, version))
    };
    let opened = match plain() {
        Err(error) if is_closed_to_us(&error) && !has_log(path) => alone(),
        other => other,
    };
    let (connection, version) = opened.map_err(|error| match std::fs::File::open(path) {
        Err(closed) if closed.kind() == std::io::ErrorKind::PermissionDenied => StoreError::Closed(path.to_owned()),
        _ => StoreError::file("open", path)(error),
    })?;
    let foreign = |what| StoreError::Foreign { path: path.to_owned(), what };
    match version {
        VERSION if has_tables(&connection).map_err(StoreError::file("read", path))? => {}
        VERSION => return Err(foreign("it has other tables")),
        0 => return Err(foreign("it is empty, or another program's")),
        version => return Err(StoreError::Version { path: path.to_owned(), version }),
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Refuses what is no regular file: to open it could wait for ever, or lead elsewhere.
fn refuse_others(path: &Path) -> Result<(), StoreError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(StoreError::Foreign { path: path.to_owned(), what: "it is no regular file" })
        }
        // What cannot be looked at is told of by whoever opens it.
        _ => Ok(()),
    }
}

/// Whether a file has every table that is read.
fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    const TABLES: [&str; 9] = ["device", "boot", "kind", "names", "name", "account", "hit", "total", "coverage"];
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let there: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(TABLES.iter().all(|table| there.iter().any(|name| name == table)))
}

fn is_closed_to_us(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if matches!(failure.code, ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// A path within a URI.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

fn open_to_write(path: &Path) -> Result<Connection, StoreError> {
    refuse_others(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(WRITER_PATIENCE)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let things: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((connection, version, things))
    };
    let (connection, version, things) = opened().map_err(StoreError::file("open", path))?;
    if version != VERSION && (version != 0 || things != 0) {
        return Err(StoreError::Version { path: path.to_owned(), version });
    }
    prepare(&connection, version).map_err(StoreError::file("prepare", path))?;
    Ok(connection)
}

/// Sets a file up to be written.
fn prepare(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    // After a loss of power the last moments may be missing, never more; the kernel's totals are gone then too.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update_and_check(None, "journal_size_limit", 4_194_304, |row| row.get::<_, i64>(0))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if version == 0 {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}
