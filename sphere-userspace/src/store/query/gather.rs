//! Adds up what the files have, a device at a time on several cores, and keeps the lines that are wanted.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use foldhash::fast::RandomState;
use rusqlite::Connection;

use super::answer::Came;
use super::plan::{FilePlan, Plan};
use super::scan::{Key, Reads};
use crate::store::StoreError;
use crate::store::file::open_to_read;

/// Cores that a question may take: a gateway has other things to do.
const CORES: usize = 4;

/// Bytes of a file that are mapped into memory.
const MAPPED: i64 = 1 << 30;
/// For each device whose lines are wanted there are so many whose lines are not: then it is faster to find those with the
/// most packets first, and what else came to them afterwards.
const FEW: usize = 8;

/// What came to lines.
type Sums = HashMap<Key, Came, RandomState>;

/// A line, in numbers of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) device: u32,
    pub(super) key: Key,
    pub(super) came: Came,
}

impl Found {
    /// What decides which comes first: the packets, and then anything that is always the same.
    const fn order(&self) -> (Reverse<u64>, u32, Key) {
        (Reverse(self.came.sum.packets), self.device, self.key)
    }
}

/// What has been gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    top: Option<usize>,
    /// The wanted lines, the largest first when all are gathered.
    pub(super) lines: Vec<Found>,
    /// How many packets a line must have to be among the wanted ones.
    least: u64,
    pub(super) lines_in_all: u64,
    pub(super) packets_in_all: u64,
}

impl Gathered {
    fn new(top: Option<usize>) -> Self {
        Self { top, ..Self::default() }
    }

    /// Takes a line that is complete.
    fn take(&mut self, found: Found) {
        self.lines_in_all += 1;
        self.packets_in_all = self.packets_in_all.saturating_add(found.came.sum.packets);
        if found.came.sum.packets >= self.least {
            self.lines.push(found);
            self.drop_unwanted();
        }
    }

    /// Drops the lines that are not wanted, when there are many of them.
    fn drop_unwanted(&mut self) {
        let Some(top) = self.top.filter(|top| self.lines.len() > top.saturating_mul(2).saturating_add(1024)) else {
            return;
        };
        let (wanted, _, _) = self.lines.select_nth_unstable_by_key(top, Found::order);
        self.least = wanted.iter().map(|found| found.came.sum.packets).min().unwrap_or(u64::MAX);
        self.lines.truncate(top);
    }

    fn merge(&mut self, other: Self) {
        self.lines_in_all += other.lines_in_all;
        self.packets_in_all = self.packets_in_all.saturating_add(other.packets_in_all);
        self.lines.extend(other.lines);
    }

    fn sort(&mut self) {
        self.lines.sort_unstable_by_key(Found::order);
        self.lines.truncate(self.top.unwrap_or(usize::MAX));
    }
}

/// Reads everything that a plan says.
pub(super) fn gather(plan: &Plan, top: Option<usize>) -> Result<Gathered, StoreError> {
    let all: Vec<usize> = (0..plan.devices.len()).collect();
    let is_few = |top: usize| plan.scan.is_by_device && top.saturating_mul(FEW) <= all.len();
    if !top.is_some_and(is_few) {
        return read(plan, &Part { devices: &all, reads: Reads::Sums, only: None, top });
    }
    let mut found = read(plan, &Part { devices: &all, reads: Reads::Packets, only: None, top })?;
    let only: HashSet<(u32, Key)> = found.lines.iter().map(|found| (found.device, found.key)).collect();
    let mut devices: Vec<usize> = only.iter().map(|(device, _)| *device as usize).collect();
    devices.sort_unstable();
    devices.dedup();
    found.lines = read(plan, &Part { devices: &devices, reads: Reads::Sums, only: Some(&only), top: None })?.lines;
    Ok(found)
}

/// What is read in one go.
#[derive(Clone, Copy, Debug)]
struct Part<'p> {
    /// Devices, by their place in the plan.
    devices: &'p [usize],
    reads: Reads,
    /// Lines that are wanted, when not all are.
    only: Option<&'p HashSet<(u32, Key)>>,
    top: Option<usize>,
}

fn read(plan: &Plan, part: &Part<'_>) -> Result<Gathered, StoreError> {
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = cores.min(CORES).min(part.devices.len());
    let results = thread::scope(|scope| {
        let work = || work(plan, part, &next);
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = vec![work()];
        results.extend(others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))));
        results
    });
    let (mut all, mut sums) = (Gathered::new(part.top), Sums::default());
    for result in results {
        let (gathered, more) = result?;
        all.merge(gathered);
        add(&mut sums, more);
    }
    for (key, came) in sums {
        all.take(Found { device: 0, key, came });
    }
    all.sort();
    Ok(all)
}

/// Opens a file for many questions: mapped into memory, which spares copies, and in one transaction, which spares locks. A
/// file is never made shorter while it is there, so what is mapped stays.
fn open_to_scan(path: &Path) -> Result<Connection, StoreError> {
    let file = open_to_read(path)?;
    let prepared = file
        .pragma_update_and_check(None, "mmap_size", MAPPED, |row| row.get::<_, i64>(0))
        .and_then(|_| file.execute_batch("BEGIN"));
    prepared.map_err(StoreError::file("read", path))?;
    Ok(file)
}

/// Adds the smaller of two to the larger.
fn add(all: &mut Sums, mut more: Sums) {
    if more.len() > all.len() {
        std::mem::swap(all, &mut more);
    }
    for (key, came) in more {
        all.entry(key).or_default().add(&came);
    }
}

/// One thread's part: devices, as long as there are any. Lines that are not made of devices are complete only when
/// everybody is done.
fn work(plan: &Plan, part: &Part<'_>, next: &AtomicUsize) -> Result<(Gathered, Sums), StoreError> {
    let files = plan.files.iter().map(|file| open_to_scan(&file.path)).collect::<Result<Vec<Connection>, _>>()?;
    let mut statements = Vec::with_capacity(files.len());
    for (file, of_plan) in files.iter().zip(&plan.files) {
        let failed = StoreError::file("read", &of_plan.path);
        statements.push((plan.scan.prepare(file, of_plan, part.reads).map_err(failed)?, of_plan));
    }
    let (mut gathered, mut sums) = (Gathered::new(part.top), Sums::default());
    loop {
        let number = part.devices.get(next.fetch_add(1, Ordering::Relaxed)).copied();
        let Some((number, device)) = number.and_then(|number| Some((number, plan.devices.get(number)?))) else { break };
        for (index, id) in &device.files {
            let Some((statement, file)) = statements.get_mut(*index) else { continue };
            let file: &FilePlan = file;
            // Rows of a flow are next to each other: they are added up before anything is looked up.
            let mut run: Option<(Key, Came)> = None;
            let take = |key, came: &Came| match &mut run {
                Some((last, sum)) if *last == key => sum.add(came),
                _ => {
                    if let Some((key, came)) = run.replace((key, *came)) {
                        sums.entry(key).or_default().add(&came);
                    }
                }
            };
            let read = plan.scan.read((statement, file), (*id, part.reads), take);
            read.map_err(StoreError::file("read", &file.path))?;
            if let Some((key, came)) = run {
                sums.entry(key).or_default().add(&came);
            }
        }
        if plan.scan.is_by_device {
            let device = u32::try_from(number).unwrap_or(u32::MAX);
            let is_wanted = |key| part.only.is_none_or(|only| only.contains(&(device, key)));
            for (key, came) in sums.drain().filter(|(key, _)| is_wanted(*key)) {
                gathered.take(Found { device, key, came });
            }
        }
    }
    Ok((gathered, sums))
}
