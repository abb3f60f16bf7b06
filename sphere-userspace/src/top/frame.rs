//! Everything that is shown of two moments.

use std::time::Duration;

use sphere_common::abi::Counter;
use sphere_common::verdict::{Direction, Verdict};

use super::devices::{self, DenialRow, DeviceRow};
use super::losses::{self, Loss};
use super::rate::{Elapsed, Rate};
use super::sample::Sample;
use super::trouble::{self, Trouble};
use crate::daemon::StoreStanding;
use crate::datapath::snapshot::Snapshot;

/// Everything that is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Whether a daemon runs.
    pub running: bool,
    /// Pin root.
    pub pin_root: String,
    /// Time between the two moments.
    pub elapsed: Duration,
    /// What a person should know first.
    pub notices: Vec<String>,
    /// Packets by verdict.
    pub traffic: Vec<Traffic>,
    /// The devices, in the order of their addresses.
    pub devices: Vec<DeviceRow>,
    /// What is denied, in the order of device and destination.
    pub denials: Vec<DenialRow>,
    /// Names that do not resolve as they should, the worst first.
    pub names: Vec<Trouble>,
    /// Fill of the tables.
    pub tables: Vec<TableRow>,
    /// What was lost, also where that is nothing.
    pub losses: Vec<Loss>,
}

/// Packets with one verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// The verdict.
    pub verdict: Verdict,
    /// Packets, from devices and to devices.
    pub packets: [Rate; 2],
    /// Bytes, the same.
    pub bytes: [Rate; 2],
}

/// Fill of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// Name of the map.
    pub map: &'static str,
    /// Entries in it.
    pub entries: usize,
    /// Entries it has room for.
    pub capacity: u32,
    /// Entries more than at the earlier moment, or fewer.
    pub change: i64,
}

impl TableRow {
    /// How full it is, in percent.
    #[must_use]
    pub const fn percent(&self) -> u64 {
        let capacity = if self.capacity == 0 { 1 } else { self.capacity as u64 };
        self.entries as u64 * 100 / capacity
    }
}

impl Frame {
    /// What happened between two moments; of one moment alone, when both are the same, the totals.
    #[must_use]
    pub fn new(earlier: &Sample, later: &Sample) -> Self {
        let elapsed = Elapsed(later.at.since_zero().saturating_sub(earlier.at.since_zero()));
        let (before, now) = (&earlier.snapshot, &later.snapshot);
        Self {
            running: now.running,
            pin_root: now.pin_root.display().to_string(),
            elapsed: elapsed.0,
            notices: notices(earlier, later),
            traffic: Verdict::ALL.map(|verdict| traffic((before, now), verdict, elapsed)).into(),
            devices: devices::devices(earlier, later),
            denials: devices::denials(earlier, later),
            names: trouble::names(later),
            tables: tables(before, now),
            losses: losses::losses(earlier, later, elapsed),
        }
    }
}

fn traffic((before, now): (&Snapshot, &Snapshot), verdict: Verdict, elapsed: Elapsed) -> Traffic {
    let sums = Direction::ALL.map(|direction| [before, now].map(|snapshot| sum(snapshot, direction, verdict)));
    Traffic {
        verdict,
        packets: sums.map(|[earlier, later]| elapsed.rate(earlier.packets, later.packets)),
        bytes: sums.map(|[earlier, later]| elapsed.rate(earlier.bytes, later.bytes)),
    }
}

/// Every packet of a direction and verdict, whatever the reason.
fn sum(snapshot: &Snapshot, direction: Direction, verdict: Verdict) -> Counter {
    let of_both = snapshot.counters.iter().filter(|row| row.direction == direction && row.verdict == verdict);
    of_both.fold(Counter::default(), |sum, row| Counter {
        packets: sum.packets.saturating_add(row.count.packets),
        bytes: sum.bytes.saturating_add(row.count.bytes),
    })
}

fn tables(before: &Snapshot, now: &Snapshot) -> Vec<TableRow> {
    let row = |fill: &crate::datapath::snapshot::Fill| {
        let earlier = before.tables.iter().find(|other| other.map == fill.map).map_or(fill.entries, |row| row.entries);
        let [entries, earlier] = [fill.entries, earlier].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        TableRow { map: fill.map, entries: fill.entries, capacity: fill.capacity, change: entries - earlier }
    };
    now.tables.iter().map(row).collect()
}

fn notices(earlier: &Sample, later: &Sample) -> Vec<String> {
    let mut notices = Vec::new();
    let unprotected = later.snapshot.ports.iter().filter_map(|port| Some((&port.interface, port.unprotected()?)));
    notices.extend(unprotected.map(|(interface, why)| format!("{interface} is unprotected: {why}")));
    if !later.snapshot.running {
        notices.push("no daemon runs: the tables stay enforced, and no name is asked for".to_owned());
    }
    notices.extend(later.silence.clone());
    if let Some(store) = &later.store {
        let wrong = matches!(store.standing, StoreStanding::Paused | StoreStanding::Failing);
        let why = store.problem.as_deref().unwrap_or("see the daemon's log");
        notices.extend(wrong.then(|| format!("the account on disk is {}: {why}", store.standing.word())));
    }
    for sink in &later.sinks {
        notices.extend(sink.failure.as_ref().map(|why| format!("records do not reach {}: {why}", sink.sink)));
    }
    if began_anew(&earlier.snapshot, &later.snapshot) {
        notices.push("the counters began anew: these rates are of what came since".to_owned());
    }
    notices
}

/// Whether a counter stands lower than before.
fn began_anew(before: &Snapshot, now: &Snapshot) -> bool {
    before.counters.iter().any(|earlier| {
        let same = now.counters.iter().find(|row| {
            (row.direction, row.verdict, row.reason) == (earlier.direction, earlier.verdict, earlier.reason)
        });
        same.is_none_or(|later| later.count.packets < earlier.count.packets)
    })
}
