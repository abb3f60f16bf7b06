//! The daemon's records of denied flows, as they are written.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;
use sphere_common::verdict::Direction;

use crate::wait;

/// One record, as far as the lab looks at it.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Line")]
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
    /// Packets that it stands for.
    pub packets: u64,
    /// Names that the peer was allowed for.
    pub peer_names: Vec<String>,
    /// Names that were asked for: all, or some of many.
    pub asked: Vec<String>,
    /// The domain that they are in, when they are several.
    pub asked_in: Option<String>,
}

/// One line of `sphere.record/1`.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "event.action")]
    action: String,
    #[serde(rename = "event.reason")]
    reason: String,
    #[serde(rename = "network.direction")]
    direction: String,
    #[serde(rename = "source.ip")]
    source: Option<IpAddr>,
    #[serde(rename = "source.port")]
    source_port: Option<u16>,
    #[serde(rename = "destination.ip")]
    destination: Option<IpAddr>,
    #[serde(rename = "destination.port")]
    destination_port: Option<u16>,
    #[serde(rename = "network.transport")]
    transport: Option<String>,
    #[serde(rename = "network.packets")]
    packets: u64,
    #[serde(rename = "sphere.peer.names", default)]
    peer_names: Vec<String>,
    #[serde(rename = "dns.question.name")]
    question: Option<String>,
    #[serde(rename = "sphere.dns.names", default)]
    questions: Vec<String>,
    #[serde(rename = "sphere.dns.parent")]
    parent: Option<String>,
}

impl From<Line> for Record {
    fn from(line: Line) -> Self {
        let source = (line.source, line.source_port);
        let destination = (line.destination, line.destination_port);
        let (direction, (device, _), (peer, peer_port)) = if line.direction == "outbound" {
            (Direction::Ingress, source, destination)
        } else {
            (Direction::Egress, destination, source)
        };
        Self {
            verdict: line.action,
            reason: line.reason,
            direction: direction.word().to_owned(),
            device,
            peer,
            protocol: line.transport,
            peer_port,
            packets: line.packets,
            peer_names: line.peer_names,
            asked: line.question.into_iter().chain(line.questions).collect(),
            asked_in: line.parent,
        }
    }
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
