//! Reads records of denied packets (`sphere.record/1`, one JSON object a line) for what the store does not keep: names
//! that were asked for, and ports of devices at which others knocked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, BufRead, Read as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Deserialize;
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::evidence::{Asked, Evidence, Reached, Seen};
use crate::policy::is_at_or_below;
use crate::store::{Filter, Target};

/// Names, and ports, that are kept; what comes beyond is counted.
const ROOM: usize = 50_000;
/// Longest line that is read; a record takes less than a tenth of it.
const LINE_BYTES: u64 = 64 << 10;
const SCHEMA: &str = "sphere.record/1";

/// Records cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the records of {path}: {source}")]
pub struct RecordsError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordsRead {
    /// Records.
    pub records: u64,
    /// Lines that are no records of this version.
    pub unreadable: u64,
    /// Names and ports beyond those that are kept.
    pub left_out: u64,
}

/// Fields of a record that matter here.
#[derive(Debug, Deserialize)]
struct Row {
    schema: String,
    #[serde(rename = "@timestamp")]
    time: String,
    #[serde(rename = "event.start")]
    start: Option<String>,
    #[serde(rename = "event.action")]
    action: String,
    #[serde(rename = "event.reason")]
    reason: String,
    #[serde(rename = "network.direction")]
    direction: String,
    #[serde(rename = "network.iana_number")]
    protocol: Option<String>,
    #[serde(rename = "network.packets", default)]
    packets: u64,
    #[serde(rename = "source.ip")]
    source: Option<IpAddr>,
    #[serde(rename = "source.port")]
    source_port: Option<u16>,
    #[serde(rename = "destination.ip")]
    destination: Option<IpAddr>,
    #[serde(rename = "destination.port")]
    destination_port: Option<u16>,
    #[serde(rename = "sphere.device.ip")]
    device: Option<IpAddr>,
    #[serde(rename = "sphere.group", default)]
    group: String,
    #[serde(rename = "sphere.peer.names", default)]
    peer_names: Vec<String>,
    #[serde(rename = "dns.question.name")]
    question: Option<String>,
    #[serde(rename = "sphere.dns.names", default)]
    questions: Vec<String>,
}

/// A row whose words are known.
struct Denied {
    row: Row,
    reason: Reason,
    verdict: Verdict,
    direction: Direction,
    protocol: Option<u8>,
    first: SystemTime,
    last: SystemTime,
}

impl Denied {
    fn of(line: &[u8]) -> Option<Self> {
        let row: Row = serde_json::from_slice(line).ok().filter(|row: &Row| row.schema == SCHEMA)?;
        let last = humantime::parse_rfc3339(&row.time).ok()?;
        let first = row.start.as_deref().and_then(|start| humantime::parse_rfc3339(start).ok()).unwrap_or(last);
        Some(Self {
            reason: Reason::ALL.iter().copied().find(|reason| reason.word() == row.reason)?,
            verdict: Verdict::ALL.into_iter().find(|verdict| verdict.word() == row.action)?,
            direction: if row.direction == "inbound" { Direction::Egress } else { Direction::Ingress },
            protocol: row.protocol.as_deref().and_then(|number| number.parse().ok()),
            first: first.min(last),
            last,
            row,
        })
    }

    fn is_wanted(&self, filter: &Filter) -> bool {
        let (peer, port) = self.other_side();
        let any = |is_empty, matches| is_empty || matches;
        any(filter.devices.is_empty(), self.row.device.is_some_and(|d| filter.devices.iter().any(|n| n.contains(&d))))
            && any(filter.groups.is_empty(), filter.groups.contains(&self.row.group))
            && any(filter.reasons.is_empty(), filter.reasons.contains(&self.reason))
            && any(filter.protocols.is_empty(), self.protocol.is_some_and(|p| filter.protocols.contains(&p)))
            && any(
                filter.ports.is_empty(),
                filter.ports.iter().any(|(p, number)| port == Some(*number) && (p.is_none() || *p == self.protocol)),
            )
            && filter.verdict.is_none_or(|verdict| verdict == self.verdict)
            && filter.direction.is_none_or(|direction| direction == self.direction)
            && filter.since.is_none_or(|since| self.last >= since)
            && filter.until.is_none_or(|until| self.first <= until)
            && filter.to.as_ref().is_none_or(|to| match to {
                Target::Net(net) => peer.is_some_and(|peer| net.contains(&peer)),
                Target::Name(suffix) => {
                    self.names().chain(&self.row.peer_names).any(|name| is_at_or_below(name, suffix))
                }
            })
    }

    fn other_side(&self) -> (Option<IpAddr>, Option<u16>) {
        match self.direction {
            Direction::Ingress => (self.row.destination, self.row.destination_port),
            Direction::Egress => (self.row.source, self.row.source_port),
        }
    }

    /// Names that were asked for; of many, those that the record has.
    fn names(&self) -> impl Iterator<Item = &String> {
        self.row.question.iter().chain(&self.row.questions)
    }

    fn seen(&self, packets: u64) -> Seen {
        Seen {
            devices: self.row.device.into_iter().collect(),
            packets,
            first: self.first,
            last: self.last,
            reasons: [self.reason.word()].into(),
            verdicts: [self.verdict.word()].into(),
        }
    }

    fn reached(&self) -> Option<Reached> {
        let row = &self.row;
        let knocked = self.direction == Direction::Egress && self.reason == Reason::Unsolicited;
        let (device, peer) = row.device.zip(row.source).filter(|_| knocked)?;
        let (peer_port, port) = row.source_port.zip(row.destination_port)?;
        Some(Reached { device, peer: peer.to_canonical(), protocol: self.protocol?, port, peer_port })
    }
}

impl Evidence {
    /// Adds what records tell that the filter wants.
    ///
    /// # Errors
    ///
    /// When the input fails. Lines that are no records are counted, not refused: a daemon may be writing the last one.
    pub fn read_records(&mut self, mut input: impl BufRead, filter: &Filter) -> io::Result<RecordsRead> {
        let (mut read, mut line) = (RecordsRead::default(), Vec::new());
        let mut asked: BTreeMap<(String, String, &'static str), Asked> = BTreeMap::new();
        loop {
            line.clear();
            if input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let Some(denied) = Denied::of(&line) else {
                read.unreadable += 1;
                continue;
            };
            read.records += 1;
            if !denied.is_wanted(filter) {
                continue;
            }
            if matches!(denied.reason, Reason::QueryName | Reason::QueryType) {
                read.left_out += note(&denied, filter, &mut asked);
            }
            if let Some(reached) = denied.reached() {
                if self.reached.len() < ROOM {
                    self.reached.insert(reached);
                } else {
                    read.left_out += 1;
                }
            }
        }
        self.asked.extend(asked.into_values());
        Ok(read)
    }
}

/// Notes the names of a query; gives back how many there was no room for.
fn note(denied: &Denied, filter: &Filter, asked: &mut BTreeMap<(String, String, &'static str), Asked>) -> u64 {
    let count = denied.names().count();
    let mut left_out = 0;
    for name in denied.names() {
        let is_wanted = match &filter.to {
            Some(Target::Name(suffix)) => is_at_or_below(name, suffix),
            Some(Target::Net(_)) | None => true,
        };
        if !is_wanted {
            continue;
        }
        // A record of several names does not say how often each was asked for.
        let seen = denied.seen(if count == 1 { denied.row.packets.max(1) } else { 1 });
        let is_full = asked.len() >= ROOM;
        match asked.entry((denied.row.group.clone(), name.clone(), denied.reason.word())) {
            Entry::Occupied(mut there) => there.get_mut().seen.add(&seen),
            Entry::Vacant(_) if is_full => left_out += 1,
            Entry::Vacant(free) => {
                let (group, name) = (denied.row.group.clone(), name.clone());
                free.insert(Asked { group, name, reason: denied.reason, seen });
            }
        }
    }
    left_out
}
