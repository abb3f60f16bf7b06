//! The daemon's records of denied flows, as they are written.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

use crate::wait;

/// One line of `sphere.denied/1`, as far as the lab looks at it.
#[derive(Clone, Debug, Deserialize)]
pub struct Record {
    /// `deny` or `audit`.
    pub verdict: String,
    /// Word of the reason.
    pub reason: String,
    /// `from-device` or `to-device`.
    pub direction: String,
    /// Address of the device.
    pub device: Option<IpAddr>,
    /// Address of the peer.
    pub peer: Option<IpAddr>,
    /// Word of the protocol.
    pub protocol: Option<String>,
    /// Port of the peer.
    pub peer_port: Option<u16>,
    /// Packets that it stands for, when there are several.
    pub count: Option<u64>,
    /// Names that the peer was allowed for.
    #[serde(default)]
    pub peer_names: Vec<String>,
}

/// A reader of the records from some moment on.
#[derive(Debug)]
pub struct Records {
    path: PathBuf,
    at: u64,
    rest: String,
}

impl Records {
    /// Skips what is there already.
    pub(super) fn follow(path: &Path) -> Self {
        let at = path.metadata().map_or(0, |metadata| metadata.len());
        Self { path: path.to_owned(), at, rest: String::new() }
    }

    /// The records that came since the last call.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is no record.
    pub fn news(&mut self) -> Result<Vec<Record>> {
        let Ok(mut file) = File::open(&self.path) else {
            return Ok(Vec::new());
        };
        file.seek(SeekFrom::Start(self.at))?;
        let mut text = String::new();
        self.at += file.read_to_string(&mut text)? as u64;
        self.rest += &text;
        let Some(end) = self.rest.rfind('\n') else {
            return Ok(Vec::new());
        };
        let later = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, later);
        lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Waits for a record like this.
    ///
    /// # Errors
    /// When none comes within `limit`; says which came instead.
    pub fn wait(&mut self, limit: Duration, wanted: impl Fn(&Record) -> bool) -> Result<Record> {
        let mut others = Vec::new();
        let found = wait::until("a record of the denial", limit, || match self.news() {
            Ok(records) => {
                let found = records.iter().find(|record| wanted(record)).cloned();
                others.extend(records.into_iter().map(|record| record.reason));
                found.map(Ok)
            }
            Err(error) => Some(Err(error)),
        });
        found.map_err(|error| error.context(format!("other records: {others:?}")))?
    }
}
