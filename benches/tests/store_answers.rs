//! The store that is measured, in small: what it answers is what was written, whatever is asked.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[allow(dead_code, reason = "the measurement counts more")]
#[path = "../store/fleet.rs"]
mod fleet;
#[path = "../store/goals.rs"]
mod goals;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fleet::Fleet;
use goals::{FILTER_GOAL, Figures, INGEST_GOAL, RECORDS};
use sphere_common::verdict::{Reason, Verdict};
use sphere_userspace::store::{Answer, Denial, Field, Filter, Outcome, Query, Store, StoreSettings, Target};

const WRITTEN: u64 = 20_000;
/// Few, so that devices try many destinations in each.
const HOURS: u64 = 3;
const BATCH: usize = 4_096;
const BY: [Field; 4] = [Field::Device, Field::To, Field::Port, Field::Reason];

/// A directory that goes with the test.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// When the last hour of the fleet is: 2026-11-25T12:00:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_608_000)
}

fn filled(directory: &Path) -> Vec<Denial> {
    let mut fleet = Fleet::new(now(), HOURS, WRITTEN);
    let mut store = Store::open(StoreSettings::new(directory)).unwrap();
    let mut all = Vec::new();
    loop {
        let (batch, at) = fleet.next(BATCH);
        if batch.is_empty() {
            return all;
        }
        assert_eq!(store.ingest(&batch, at).unwrap(), Outcome::Written);
        all.extend(batch);
    }
}

type Key = (String, String, Option<u8>, Option<u16>, String);
type Came = (u64, u64, SystemTime, SystemTime);

/// What is written about some denials, added up one by one.
fn added_up(denials: &[Denial], is_asked: impl Fn(&Denial) -> bool) -> HashMap<Key, Came> {
    let mut lines = HashMap::new();
    for denial in denials.iter().filter(|denial| is_asked(denial)) {
        let Denial { device, peer, protocol, peer_port, reason, .. } = denial;
        let key = (device.to_string(), peer.unwrap().to_string(), *protocol, *peer_port, reason.word().to_owned());
        let came: &mut Came = lines.entry(key).or_insert((0, 0, denial.first, denial.last));
        came.0 += denial.packets;
        came.1 += denial.bytes;
        (came.2, came.3) = (came.2.min(denial.first), came.3.max(denial.last));
    }
    lines
}

fn answered(answer: &Answer) -> HashMap<Key, Came> {
    let lines = answer.lines.iter().map(|line| {
        let (device, peer) = (line.device.unwrap().to_string(), line.peer.unwrap().to_string());
        let reason = line.kind.reason.as_deref().unwrap().to_owned();
        let sum = line.sum;
        ((device, peer, line.kind.protocol, line.kind.port, reason), (sum.packets, sum.bytes, sum.first(), sum.last()))
    });
    lines.collect()
}

#[test]
fn every_filter_finds_what_was_written_and_nothing_else() {
    let place = Place(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-answers-{}", std::process::id())));
    let written = filled(&place.0);
    assert_eq!(written.len() as u64, WRITTEN);
    let hour = Duration::from_secs(3600);
    let net = |text: &str| text.parse().unwrap();
    let is_in = |net: ipnet::IpNet| move |denial: &Denial| net.contains(&denial.peer.unwrap());
    let is_below = |denial: &Denial| denial.peer_names.iter().any(|name| name.ends_with(".vendor7.example"));
    type Asked = Box<dyn Fn(&Denial) -> bool>;
    let none = Filter::default;
    let questions: Vec<(Filter, Asked)> = vec![
        (none(), Box::new(|_| true)),
        (Filter { devices: vec![net("10.20.1.44/32")], ..none() }, Box::new(|d| d.device.to_string() == "10.20.1.44")),
        (
            Filter { devices: vec![net("10.20.1.0/24")], ..none() },
            Box::new(|d| d.device.to_string().starts_with("10.20.1.")),
        ),
        (Filter { groups: vec!["cameras".to_owned()], ..none() }, Box::new(|d| d.group == "cameras")),
        (Filter { to: Some(Target::Net(net("198.18.0.0/25"))), ..none() }, Box::new(is_in(net("198.18.0.0/25")))),
        (Filter { to: Some(Target::Net(net("2001:db8::/32"))), ..none() }, Box::new(is_in(net("2001:db8::/32")))),
        (Filter { to: Some(Target::parse("vendor7.example").unwrap()), ..none() }, Box::new(is_below)),
        (Filter { ports: vec![(None, 443)], ..none() }, Box::new(|d| d.peer_port == Some(443))),
        (
            Filter { ports: vec![(Some(6), 23), (Some(17), 53)], ..none() },
            Box::new(|d| matches!((d.protocol, d.peer_port), (Some(6), Some(23)) | (Some(17), Some(53)))),
        ),
        (Filter { protocols: vec![17], ..none() }, Box::new(|d| d.protocol == Some(17))),
        (Filter { reasons: vec![Reason::Resolver], ..none() }, Box::new(|d| d.reason == Reason::Resolver)),
        (Filter { verdict: Some(Verdict::Audit), ..none() }, Box::new(|d| d.verdict == Verdict::Audit)),
        (Filter { since: Some(now() - hour / 4), ..none() }, Box::new(move |d| d.last >= now() - hour / 4)),
        (Filter { until: Some(now() - hour), ..none() }, Box::new(move |d| d.first <= now() - hour)),
    ];
    for (filter, is_asked) in questions {
        let expected = added_up(&written, is_asked);
        let asked = format!("{filter:?}");
        assert!(!expected.is_empty(), "{asked}");
        let mut query = Query { filter, by: BY.into_iter().collect(), top: None };
        let answer = query.ask(&place.0).unwrap();
        assert!(answered(&answer) == expected, "{asked}: {} lines of {}", answer.lines.len(), expected.len());
        let mut packets: Vec<u64> = expected.values().map(|came| came.0).collect();
        packets.sort_unstable_by(|one, other| other.cmp(one));
        query.top = Some(20);
        let top = query.ask(&place.0).unwrap();
        let shown: Vec<u64> = top.lines.iter().map(|line| line.sum.packets).collect();
        assert_eq!(shown, packets.iter().copied().take(20).collect::<Vec<_>>(), "{asked}");
        assert_eq!((top.lines_in_all, top.packets_in_all), (expected.len() as u64, packets.iter().sum()), "{asked}");
        assert!(answered(&top).iter().all(|(key, came)| expected.get(key) == Some(came)), "{asked}");
    }
}

#[test]
fn a_goal_that_is_missed_is_told() {
    let good = Figures { records: RECORDS, records_per_second: INGEST_GOAL, slowest: FILTER_GOAL / 2 };
    assert_eq!(good.missed(), Vec::<String>::new());
    for bad in [
        Figures { records: RECORDS - 1, ..good },
        Figures { records_per_second: INGEST_GOAL - 1.0, ..good },
        Figures { records_per_second: f64::NAN, ..good },
        Figures { slowest: FILTER_GOAL, ..good },
    ] {
        assert_eq!(bad.missed().len(), 1, "{bad:?}");
    }
}
