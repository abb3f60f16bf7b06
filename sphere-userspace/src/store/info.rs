//! The files of the store: what they have, and how large they are.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Result};
use serde::Serialize;

use super::StoreError;
use super::day;
use super::file::open_to_read;

/// The store: schema `sphere.store/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreInfo {
    schema: &'static str,
    /// Where it is.
    pub directory: PathBuf,
    /// Its files, the oldest first.
    pub files: Vec<FileInfo>,
}

impl StoreInfo {
    /// Files of a directory.
    pub(crate) fn new(directory: PathBuf, files: Vec<FileInfo>) -> Self {
        Self { schema: "sphere.store/1", directory, files }
    }
}

/// A file of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// Its bytes, with the log beside it.
    pub bytes: u64,
    /// What flows had in an hour, each; absent when the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Packets that were denied, or would have been; absent when the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
    /// The first hour (UTC) of which it has something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last hour (UTC) of which it has something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why it cannot be read: `damaged`, `foreign`, `other version` or `in use`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<&'static str>,
}

/// Looks into every file.
///
/// # Errors
///
/// When there is no store, or it cannot be read.
pub fn info(directory: &Path) -> std::result::Result<StoreInfo, StoreError> {
    let mut files = Vec::new();
    for name in day::files(directory)? {
        let path = name.path(directory);
        let bytes = name.bytes(directory);
        let (name, problem) = (name.text(), None);
        let empty = FileInfo { name, bytes, records: None, packets: None, from: None, to: None, problem };
        let found = open_to_read(&path).and_then(|file| read(&file, &empty).map_err(StoreError::file("read", &path)));
        match found {
            Ok(file) => files.push(file),
            // It went since the directory was read.
            Err(_) if !path.exists() => {}
            Err(error) if error.is_of_one_file() || matches!(error, StoreError::File { .. }) => {
                files.push(FileInfo { problem: Some(error.word()), ..empty });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(StoreInfo::new(directory.to_owned(), files))
}

fn read(file: &Connection, empty: &FileInfo) -> Result<FileInfo> {
    let count = |query: &str| -> Result<Option<u64>> {
        let count: i64 = file.query_row(query, [], |row| row.get(0))?;
        Ok(u64::try_from(count).ok())
    };
    const HOURS: &str = "SELECT strftime('%Y-%m-%dT%H:00:00Z', from_hour * 3600, 'unixepoch'), \
        strftime('%Y-%m-%dT%H:00:00Z', to_hour * 3600, 'unixepoch') FROM coverage";
    let hours = file.query_row(HOURS, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (from, to) = hours.unwrap_or_default();
    let records = count("SELECT count(*) FROM hit")?;
    let packets = count("SELECT coalesce(sum(packets), 0) FROM total")?;
    Ok(FileInfo { records, packets, from, to, ..empty.clone() })
}
