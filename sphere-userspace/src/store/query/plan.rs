//! What of the store a question is about: its files, in each the kinds and names, and the devices over all of them.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Result, params};

use super::answer::{Answer, Line, time};
use super::filter::Span;
use super::gather::{Found, Gathered};
use super::kinds::{KindPart, Kinds, Numbers};
use super::scan::Scan;
use super::{Field, Fields, Filter, Query, Target};
use crate::store::StoreError;
use crate::store::day;
use crate::store::file::open_to_read;
use crate::store::schema::reversed;

const MILLIS_AN_HOUR: i64 = 3_600_000;
const HOURS_A_DAY: i64 = 24;

/// A file that a question is about.
#[derive(Debug)]
pub(super) struct FilePlan {
    pub(super) path: PathBuf,
    pub(super) kinds: Kinds,
    /// The numbers of names that are wanted, unless all are.
    pub(super) wanted_names: Option<HashSet<i64>>,
    /// For each number of names in the file that of the question, when lines have names.
    names: Vec<u32>,
    /// The times that are wanted, unless all that the file has are.
    pub(super) span: Option<Span>,
}

impl FilePlan {
    /// The number of names in the question.
    pub(super) fn name(&self, id: i64) -> u32 {
        usize::try_from(id).ok().and_then(|id| self.names.get(id)).copied().unwrap_or(0)
    }
}

/// A device, and its numbers in the files that have something of it.
#[derive(Debug)]
pub(super) struct DevicePlan {
    address: IpAddr,
    pub(super) files: Vec<(usize, i64)>,
}

/// What a question is about.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) scan: Scan,
    pub(super) files: Vec<FilePlan>,
    pub(super) devices: Vec<DevicePlan>,
    by: Fields,
    kinds: Numbers<KindPart>,
    names: Numbers<Arc<str>>,
    left_out: Vec<String>,
    has: Option<(i64, i64)>,
}

impl Plan {
    /// Looks into every file but those that turned out to be unreadable further in, for which the reason is given.
    pub(super) fn new(
        directory: &Path,
        query: &Query,
        unreadable: &BTreeMap<PathBuf, String>,
    ) -> Result<Self, StoreError> {
        let mut names = Numbers::new();
        // The number of no names is 0, here as in the files.
        names.number(Arc::from(""));
        let mut plan = Self {
            scan: Scan::new(query),
            files: Vec::new(),
            devices: Vec::new(),
            by: query.by,
            kinds: Numbers::new(),
            names,
            left_out: unreadable.values().cloned().collect(),
            has: None,
        };
        let mut devices: BTreeMap<IpAddr, Vec<(usize, i64)>> = BTreeMap::new();
        for name in day::files(directory)? {
            let path = name.path(directory);
            if unreadable.contains_key(&path) {
                continue;
            }
            let opened = open_to_read(&path).and_then(|file| {
                plan.look_into(&file, &path, query, &mut devices).map_err(StoreError::file("read", &path))
            });
            match opened {
                Ok(()) => {}
                // It went since the directory was read.
                Err(_) if !path.exists() => {}
                Err(error) if error.is_of_one_file() => plan.left_out.push(error.whole()),
                Err(error) => return Err(error),
            }
        }
        plan.devices = devices.into_iter().map(|(address, files)| DevicePlan { address, files }).collect();
        Ok(plan)
    }

    fn look_into(
        &mut self,
        file: &Connection,
        path: &Path,
        query: &Query,
        devices: &mut BTreeMap<IpAddr, Vec<(usize, i64)>>,
    ) -> Result<()> {
        let Query { filter, by, .. } = query;
        // One and the same state of the file for all that follows.
        file.execute_batch("BEGIN")?;
        let coverage = file.query_row("SELECT from_hour, to_hour FROM coverage", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        });
        let Some(coverage) = coverage.optional()? else { return Ok(()) };
        let span = Span::of(filter);
        if span.touches(coverage) {
            let kinds = Kinds::read(file, filter, *by, &mut self.kinds)?;
            let wanted_names = match &filter.to {
                Some(Target::Name(name)) => Some(names_below(file, name)?),
                Some(Target::Net(_)) | None => None,
            };
            let is_empty = |wanted: Option<bool>| wanted == Some(true);
            let is_vain = is_empty(kinds.wanted.as_ref().map(Vec::is_empty))
                || is_empty(wanted_names.as_ref().map(HashSet::is_empty));
            if !is_vain {
                let names = if by.has(Field::Name) || by.has(Field::To) {
                    read_names(file, &mut self.names)?
                } else {
                    Vec::new()
                };
                for (address, id) in read_devices(file, filter)? {
                    devices.entry(address).or_default().push((self.files.len(), id));
                }
                let span = (!span.has_all_of(coverage)).then_some(span);
                self.files.push(FilePlan { path: path.to_owned(), kinds, wanted_names, names, span });
            }
        }
        let (from, to) = self.has.unwrap_or(coverage);
        self.has = Some((from.min(coverage.0), to.max(coverage.1)));
        Ok(())
    }

    /// Whether a file went after it was looked into.
    pub(super) fn has_lost_a_file(&self) -> bool {
        self.files.iter().any(|file| !file.path.exists())
    }

    /// Puts names to numbers.
    pub(super) fn answer(self, gathered: Gathered) -> Answer {
        let (lines_in_all, packets_in_all) = (gathered.lines_in_all, gathered.packets_in_all);
        let lines = gathered.lines.into_iter().map(|found| self.line(&found)).collect();
        let hour = |hour: i64| time(hour.saturating_mul(MILLIS_AN_HOUR));
        let has = self.has.map(|(from, to)| (hour(from), hour(to)));
        Answer { by: self.by, lines, lines_in_all, packets_in_all, left_out: self.left_out, has }
    }

    fn line(&self, Found { device, key, came }: &Found) -> Line {
        let by = self.by;
        let hours = i64::from(key.time) * if by.has(Field::Hour) { 1 } else { HOURS_A_DAY };
        let device = self.devices.get(*device as usize).filter(|_| by.has(Field::Device));
        let names = self.names.value(if by.has(Field::Name) { key.names } else { came.names });
        Line {
            time: (by.has(Field::Hour) || by.has(Field::Day)).then(|| time(hours.saturating_mul(MILLIS_AN_HOUR))),
            device: device.map(|device| device.address),
            peer: key.peer.address().filter(|_| by.has(Field::To)),
            names: names.filter(|_| by.has(Field::Name) || by.has(Field::To)).map(|names| Arc::clone(names.as_ref())),
            kind: self.kinds.value(key.kind).cloned().unwrap_or_default(),
            sum: came.sum,
        }
    }
}

fn read_devices(file: &Connection, filter: &Filter) -> Result<Vec<(IpAddr, i64)>> {
    let mut statement = file.prepare("SELECT key, id FROM device")?;
    let rows = statement.query_map([], |row| {
        let key: [u8; 16] = row.get(0)?;
        Ok((Ipv6Addr::from(key).to_canonical(), row.get(1)?))
    })?;
    let is_wanted =
        |address: &IpAddr| filter.devices.is_empty() || filter.devices.iter().any(|net| net.contains(address));
    rows.filter(|row| row.as_ref().map_or(true, |(address, _)| is_wanted(address))).collect()
}

/// The numbers of names that have a name, or one below it, among them.
fn names_below(file: &Connection, name: &str) -> Result<HashSet<i64>> {
    let from = reversed(name);
    // Labels end with a full stop: what follows it is the end of all names below.
    let to = format!("{}/", from.trim_end_matches('.'));
    let mut statement = file.prepare("SELECT names FROM name WHERE reversed >= ?1 AND reversed < ?2")?;
    statement.query_map(params![from, to], |row| row.get(0))?.collect()
}

fn read_names(file: &Connection, all: &mut Numbers<Arc<str>>) -> Result<Vec<u32>> {
    let mut statement = file.prepare("SELECT text FROM names ORDER BY id")?;
    let texts = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut numbers = vec![0];
    for text in texts {
        numbers.push(all.number(Arc::from(text?)));
    }
    Ok(numbers)
}
