//! The store and `sphere denied`: how fast a million aggregated records are written, and how fast each filter answers.
//!
//! A record is what a flow had in an hour. The fleet: a thousand devices for a week, half of what they are denied the same
//! every hour, the other half to addresses that nobody has tried before. Each question is the command itself, from its
//! start to its end. The process fails when a goal of [`goals`] is missed.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measurement prints, and stops when it cannot be set up"
)]

mod fleet;
mod goals;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use fleet::Fleet;
use goals::{FILTER_GOAL, Figures, INGEST_GOAL, RECORDS};
use serde_json::{Value, json};
use sphere_userspace::store::{Outcome, Query, Store, StoreSettings};

const HOURS: u64 = 168;
/// Records of a transaction.
const BATCH: usize = 8_192;
/// Filling ends after this time, complete or not.
const PATIENCE: Duration = Duration::from_secs(180);
const RUNS: usize = 9;

/// What is asked: each filter alone, some together, and other lines than the usual ones.
const QUESTIONS: [&str; 22] = [
    "",
    "--device 10.20.1.44",
    "--device 10.20.1.0/24",
    "--group cameras",
    "--to 198.18.0.77",
    "--to 198.18.0.0/24",
    "--to 0.0.0.0/0",
    "--to h7.vendor7.example",
    "--to vendor7.example",
    "--port 443",
    "--port tcp/23",
    "--protocol udp",
    "--reason destination",
    "--reason resolver",
    "--verdict audit",
    "--since 2h",
    "--since 3d",
    "--since 60h --until 12h",
    "--top 100",
    "--group cameras --reason destination --since 24h",
    "--by device",
    "--by hour,reason",
];

/// A directory that goes with the measurement.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    // Cargo's tests start it too, without this.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let is_json = arguments.iter().any(|argument| argument == "--json");
    let tell = |value: &Value, text: String| if is_json { println!("{value}") } else { println!("{text}") };
    let place = Place(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-store-{}", std::process::id())));
    let (records, taken) = fill(&place.0);
    let rate = records as f64 / taken.as_secs_f64();
    let bytes = size(&place.0);
    tell(
        &json!({ "bench": "store", "sample": "ingest", "records": records, "seconds": taken.as_secs_f64(),
            "records_per_second": rate.round(), "bytes_per_record": bytes / records.max(1) }),
        format!("ingest {records} records in {taken:.1?}: {rate:.0} a second, {} bytes each", bytes / records.max(1)),
    );
    let sphere = sphere();
    let mut slowest = (Duration::ZERO, "");
    for question in QUESTIONS {
        let mut times: Vec<Duration> = (0..RUNS).map(|_| ask(&sphere, &place.0, question)).collect();
        times.sort_unstable();
        let (median, worst) = (times[RUNS / 2], times[RUNS - 1]);
        slowest = slowest.max((median, question));
        tell(
            &json!({ "bench": "store", "sample": "denied", "arguments": question, "runs": RUNS,
                "median_ms": millis(median), "slowest_ms": millis(worst) }),
            format!("{:>7.1} ms, at most {:>7.1} ms: sphere denied {question}", millis(median), millis(worst)),
        );
    }
    let missed = Figures { records, records_per_second: rate, slowest: slowest.0 }.missed();
    tell(
        &json!({ "bench": "store", "summary": true, "records": records, "records_per_second": rate.round(),
            "slowest_median_ms": millis(slowest.0), "slowest_arguments": slowest.1, "goal_records": RECORDS,
            "goal_records_per_second": INGEST_GOAL, "goal_ms": millis(FILTER_GOAL), "missed": missed }),
        if missed.is_empty() { "every goal is reached".to_owned() } else { format!("missed: {}", missed.join("; ")) },
    );
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Fills a store, and says how many records it has and how long the store took to write them.
fn fill(directory: &Path) -> (u64, Duration) {
    let begin = Instant::now();
    let mut taken = Duration::ZERO;
    let mut fleet = Fleet::new(SystemTime::now(), HOURS, RECORDS);
    let mut store = Store::open(StoreSettings::new(directory)).expect("the store opens");
    while begin.elapsed() < PATIENCE {
        let (batch, now) = fleet.next(BATCH);
        if batch.is_empty() {
            break;
        }
        let start = Instant::now();
        let outcome = store.ingest(&batch, now).expect("the store is written");
        taken += start.elapsed();
        assert_eq!(outcome, Outcome::Written);
    }
    drop(store);
    // What was written is there.
    let answer = Query::default().ask(directory).expect("the store is read");
    assert_eq!(answer.packets_in_all, fleet.packets());
    (fleet.records(), taken)
}

fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).expect("the store is there");
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

/// The command, which `cargo xtask bench` builds next to this.
fn sphere() -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let path = own.parent().and_then(Path::parent).expect("cargo puts it two levels down").join("sphere");
    assert!(path.exists(), "{} is not built: run `cargo xtask bench store`", path.display());
    path
}

fn ask(sphere: &Path, store: &Path, question: &str) -> Duration {
    let mut command = Command::new(sphere);
    command.args(["denied", "--store"]).arg(store).args(question.split_whitespace());
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("the command starts");
    let taken = start.elapsed();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("in all"), "sphere denied {question}: {output:?}");
    taken
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
