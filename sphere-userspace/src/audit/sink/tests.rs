//! Sinks to files that grow, move, and cannot be written.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sphere_common::abi::Event;
use sphere_common::verdict::{Reason, Verdict};
use zerocopy::FromZeros as _;

use super::{SinkState, Sinks};
use crate::audit::{Directory, Record, Summary, WallClock};
use crate::policy::{RecordFile, SinkSettings, SinkTarget};

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn record(number: u64) -> Arc<Record> {
    let mut event = Event::new_zeroed();
    event.reason = Reason::Destination as u8;
    event.verdict = Verdict::Deny as u8;
    event.monotonic_ns = number * 1_000_000;
    let clock = WallClock::new(SystemTime::UNIX_EPOCH, Duration::ZERO);
    Arc::new(Record::new(&Summary::of(&event), &Directory::default(), clock).unwrap())
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sphere-sink-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> RecordFile {
        RecordFile { path: self.path(""), rotate_bytes: None, keep: None }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.0.join(format!("denied.jsonl{suffix}"))
    }

    /// Numbers of the records in a file.
    fn numbers(&self, suffix: &str) -> Vec<u64> {
        numbers(&self.path(suffix))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn numbers(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "a line is torn");
    let number = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let time = humantime::parse_rfc3339(value["@timestamp"].as_str().unwrap()).unwrap();
        u64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
    };
    text.lines().map(number).collect()
}

fn start(files: impl IntoIterator<Item = RecordFile>, queue: usize) -> Sinks {
    let settings = |file| SinkSettings { target: SinkTarget::File(file), queue };
    Sinks::start(&files.into_iter().map(settings).collect::<Vec<_>>()).unwrap()
}

/// Sends records, each only when all before it are out.
fn send(sinks: &Sinks, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        sinks.send(&record(number));
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

fn settle(sinks: &Sinks) -> Vec<SinkState> {
    let states = || sinks.counts().iter().map(|counts| counts.state()).collect::<Vec<_>>();
    until("nothing waits", || states().iter().all(|state| state.waiting == 0));
    states()
}

#[test]
fn what_was_sent_is_written_before_the_drain_ends() {
    let scratch = Scratch::new("drain");
    let sinks = start([scratch.file()], 4096);
    send(&sinks, 0..1_000);
    let [state] = sinks.drain(PATIENCE).try_into().unwrap();
    assert_eq!((state.delivered, state.waiting, state.lost), (1_000, 0, 0));
    assert_eq!(scratch.numbers(""), (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_file_that_others_put_aside_is_opened_again() {
    let scratch = Scratch::new("others");
    let sinks = start([scratch.file()], 16);
    send(&sinks, [1]);
    settle(&sinks);
    std::fs::rename(scratch.path(""), scratch.path(".old")).unwrap();
    send(&sinks, [2]);
    settle(&sinks);
    std::fs::remove_file(scratch.path("")).unwrap();
    send(&sinks, [3]);
    settle(&sinks);
    assert_eq!((scratch.numbers(".old"), scratch.numbers("")), (vec![1], vec![3]));
}

#[test]
fn a_file_that_has_grown_is_put_aside_and_as_many_are_kept_as_wanted() {
    let scratch = Scratch::new("size");
    let line = record(1_000).line().unwrap().len() as u64;
    let file = RecordFile { rotate_bytes: Some(line * 3 + 1), keep: Some(2), ..scratch.file() };
    let sinks = start([file], 16);
    send(&sinks, 1_000..1_010);
    let [state] = sinks.drain(PATIENCE).try_into().unwrap();
    assert_eq!((state.delivered, state.lost), (10, 0));
    assert_eq!(scratch.numbers(".2"), [1_003, 1_004, 1_005]);
    assert_eq!(scratch.numbers(".1"), [1_006, 1_007, 1_008]);
    assert_eq!(scratch.numbers(""), [1_009]);
    assert!(!scratch.path(".3").exists());
}

#[test]
fn a_file_that_is_to_be_kept_is_put_aside_when_the_operator_says_so() {
    let scratch = Scratch::new("signal");
    let kept = RecordFile { keep: Some(1), ..scratch.file() };
    let plain = RecordFile { path: scratch.path("-plain"), ..scratch.file() };
    let sinks = start([kept, plain], 16);
    send(&sinks, [1]);
    settle(&sinks);
    sinks.rotate();
    until("it is put aside without a record", || scratch.path(".1").exists());
    send(&sinks, [2]);
    settle(&sinks);
    assert_eq!((scratch.numbers(".1"), scratch.numbers("")), (vec![1], vec![2]));
    assert_eq!(scratch.numbers("-plain"), [1, 2]);
}

#[test]
fn a_sink_that_fails_keeps_what_its_queue_holds_and_the_other_goes_on() {
    let scratch = Scratch::new("full");
    let full = RecordFile { path: "/dev/full".into(), ..scratch.file() };
    let sinks = start([full, scratch.file()], 512);
    // One by one for the other's sake: its queue is as short.
    for number in 0..2_000 {
        send(&sinks, [number]);
        let other = &sinks.counts()[1];
        until("the other keeps up", || other.state().waiting == 0);
    }
    let states = sinks.counts().iter().map(|counts| counts.state()).collect::<Vec<_>>();
    let [full, other] = states.as_slice() else { panic!("{states:?}") };
    assert_eq!((full.delivered, full.waiting + full.lost), (0, 2_000));
    assert!((512..=512 + 128).contains(&full.waiting), "{full:?}");
    assert!(full.failure.as_ref().is_some_and(|failure| failure.contains("No space left")), "{full:?}");
    assert_eq!((other.delivered, other.lost, other.failure.as_ref()), (2_000, 0, None));
    let [full, _] = sinks.drain(PATIENCE).try_into().unwrap();
    assert_eq!((full.delivered, full.waiting, full.lost), (0, 0, 2_000));
}

#[test]
fn what_was_kept_is_delivered_when_the_sink_works_again() {
    let scratch = Scratch::new("back");
    let missing = scratch.0.join("later");
    let sinks = start([RecordFile { path: missing.join("denied.jsonl"), ..scratch.file() }], 64);
    send(&sinks, 0..20);
    until("it is seen that it fails", || sinks.counts()[0].state().failure.is_some());
    send(&sinks, 20..40);
    std::fs::create_dir_all(&missing).unwrap();
    let [state] = settle(&sinks).try_into().unwrap();
    assert_eq!((state.delivered, state.lost, state.failure), (40, 0, None));
    assert_eq!(numbers(&missing.join("denied.jsonl")), (0..40).collect::<Vec<_>>());
}
