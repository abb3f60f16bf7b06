//! `sphere denied --follow`: it tells what grows, and ends when it is told to or when nobody reads on.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sphere_common::verdict::Reason;
use sphere_userspace::store::{Denial, Outcome, Store, StoreSettings};

use crate::{Place, denial};

const PATIENCE: Duration = Duration::from_secs(60);

/// A device that goes on trying, and somebody who watches.
struct Watched {
    _place: Place,
    store: Store,
    denial: Denial,
    watcher: Child,
}

impl Watched {
    fn new(name: &str) -> Self {
        let denial = denial(5, 7, Reason::Destination, 1);
        let place = Place::with(name, std::slice::from_ref(&denial));
        let store = Store::open(StoreSettings::new(&place.0)).unwrap();
        let watcher = Command::new(env!("CARGO_BIN_EXE_sphere"))
            .args(["denied", "--follow", "--json", "--store"])
            .arg(&place.0)
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { _place: place, store, denial, watcher }
    }

    /// Another packet is denied, and the store has it.
    fn deny(&mut self) {
        let now = SystemTime::now();
        self.denial.packets += 1;
        self.denial.bytes += 74;
        self.denial.last = now;
        assert_eq!(self.store.ingest(std::slice::from_ref(&self.denial), now).unwrap(), Outcome::Written);
    }

    /// The exit code, while packets go on being denied.
    fn end(&mut self) -> Option<i32> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.watcher.try_wait().unwrap() {
                return status.code();
            }
            self.deny();
            thread::sleep(Duration::from_millis(50));
        }
        self.watcher.kill().unwrap();
        panic!("it goes on after {PATIENCE:?}");
    }
}

#[test]
fn what_grows_is_told_until_it_is_interrupted() {
    let mut watched = Watched::new("follow");
    let output = BufReader::new(watched.watcher.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let begin = Instant::now();
    let first = loop {
        // What it finds at its first look has not grown.
        watched.deny();
        match lines.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => break line,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
    };
    let line: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&line["device"], &line["peer"]), (&"10.20.0.5".into(), &"203.0.113.7".into()), "{line}");
    let packets = line["packets"].as_u64().unwrap();
    assert!(packets >= 1 && packets < watched.denial.packets, "{line} of {}", watched.denial.packets);
    kill(Pid::from_raw(watched.watcher.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(watched.end(), Some(0));
    reader.join().unwrap();
}

#[test]
fn it_ends_when_nobody_reads_on() {
    let mut watched = Watched::new("pipe");
    drop(watched.watcher.stdout.take());
    assert_eq!(watched.end(), Some(0));
}
