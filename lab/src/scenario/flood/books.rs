//! What the store's files say, read with Debian's `sqlite3`: an opinion of its own on what the daemon wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

const LIMIT: Duration = Duration::from_secs(10);
const LINES: &str = "SELECT grp, device, peer, protocol, port, direction, verdict, reason, \
    sum(packets) AS packets, sum(bytes) AS bytes FROM denied GROUP BY 1, 2, 3, 4, 5, 6, 7, 8";
const TOTALS: &str = "SELECT device, verdict, reason, sum(packets) AS packets, sum(bytes) AS bytes \
    FROM denied_total GROUP BY 1, 2, 3";

/// What was denied to a device at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Line {
    pub(super) grp: String,
    pub(super) device: IpAddr,
    /// None: other destinations.
    pub(super) peer: Option<IpAddr>,
    pub(super) protocol: Option<u8>,
    pub(super) port: Option<u16>,
    pub(super) direction: String,
    pub(super) verdict: String,
    pub(super) reason: String,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grp, device, direction, verdict, reason, packets, bytes, .. } = self;
        let peer = self.peer.map_or_else(|| "others".to_owned(), |peer| peer.to_string());
        let number = |number: Option<u16>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let (protocol, port) = (number(self.protocol.map(u16::from)), number(self.port));
        write!(out, "{grp} {device} {direction} {peer} {protocol}/{port} {verdict} {reason} {packets} {bytes}")
    }
}

/// A total of a device.
#[derive(Clone, Debug, Deserialize)]
struct Total {
    device: IpAddr,
    verdict: String,
    reason: String,
    packets: u64,
    bytes: u64,
}

/// Packets and bytes by device, verdict and reason.
pub(super) type Totals = BTreeMap<(IpAddr, String, String), (u64, u64)>;

/// The files of a store.
#[derive(Debug)]
pub(super) struct Books(PathBuf);

impl Books {
    pub(super) fn at(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    /// What was denied to a device, by destination.
    pub(super) fn lines(&self, device: IpAddr) -> Result<Vec<Line>> {
        let lines: Vec<Line> = self.ask(LINES)?;
        Ok(lines.into_iter().filter(|line| line.device == device).collect())
    }

    /// What was denied, by device and reason, from the table that has only that.
    pub(super) fn totals(&self) -> Result<Totals> {
        let totals: Vec<Total> = self.ask(TOTALS)?;
        let mut sums = Totals::new();
        for Total { device, verdict, reason, packets, bytes } in totals {
            let sum = sums.entry((device, verdict, reason)).or_default();
            *sum = (sum.0 + packets, sum.1 + bytes);
        }
        Ok(sums)
    }

    /// Bytes of everything in the directory.
    pub(super) fn bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(&self.0)? {
            bytes += entry?.metadata()?.len();
        }
        Ok(bytes)
    }

    /// Asks every file of the store.
    fn ask<T: for<'de> Deserialize<'de>>(&self, query: &str) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        let files = fs::read_dir(&self.0).with_context(|| format!("no store in {}", self.0.display()))?;
        for file in files {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "sqlite") {
                continue;
            }
            let mut command = Command::new("sqlite3");
            command.args(["-readonly", "-json", "-cmd", ".timeout 2000"]).arg(&path).arg(query);
            let text = process::must(command, LIMIT)?;
            if !text.trim().is_empty() {
                let found: Vec<T> = serde_json::from_str(&text).context("what sqlite3 says")?;
                rows.extend(found);
            }
        }
        Ok(rows)
    }
}
