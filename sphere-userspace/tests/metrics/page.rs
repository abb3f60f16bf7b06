//! A whole page, read back by the parser of Prometheus' own Python client (Debian: `python3-prometheus-client`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sphere_common::abi::{Counter, LessonCount};
use sphere_common::verdict::{Direction, Reason, Verdict};
use sphere_userspace::audit::SinkState;
use sphere_userspace::daemon::StoreState;
use sphere_userspace::datapath::snapshot::{
    CounterState, Fill, FlowCount, GroupState, ProgramState, RuleState, Snapshot,
};
use sphere_userspace::datapath::{Attachment, PortState, TcHook};
use sphere_userspace::metrics::table::ALL;
use sphere_userspace::metrics::{Exposition, Figures, PolicyLoads, PolicyMarks};
use sphere_userspace::policy::{self, DomainName};
use sphere_userspace::reconcile::{Lease, LeaseSource, Leases, Moment, Standings};
use sphere_userspace::resolve::{AddressRecord, Answer, Family, Outcome, Question, Resolution};
use sphere_userspace::store::{Denial, DeniedByGroup, Outcome as StoreOutcome, Store, StoreSettings};

/// Prints a JSON list of `[family, type, sample, labels, value]`.
const READER: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
rows = []
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        rows.append([family.name, family.type, sample.name, sample.labels, sample.value])
json.dump(rows, sys.stdout)
";

const AWKWARD: &str = "a \"quoted\" \\ name\nof two lines, ü";

fn counter(reason: Reason, verdict: Verdict, packets: u64) -> CounterState {
    CounterState { direction: Direction::Ingress, verdict, reason, count: Counter { packets, bytes: packets * 60 } }
}

fn snapshot() -> Snapshot {
    let tc = Some(Attachment::Tc(TcHook::Tcx));
    let port = |interface: &str, egress| PortState {
        interface: interface.to_owned(),
        ifindex: Some(2),
        renamed: None,
        ingress: tc,
        egress,
    };
    Snapshot {
        pin_root: "/sys/fs/bpf/sphere".into(),
        running: true,
        ticks_per_second: 250,
        programs: vec![ProgramState {
            name: "sphere_ingress",
            id: 1,
            tag: 0xabc,
            verified_instructions: None,
            jited_bytes: 1,
            loaded_at: None,
            runs: 3,
            run_time: Duration::from_micros(6),
        }],
        ports: vec![port("lan0", tc), port("lan1", None)],
        settings: BTreeMap::new(),
        groups: vec![GroupState {
            number: 7,
            name: "sensors".to_owned(),
            enforce: true,
            subnets: Vec::new(),
            learnable: 16,
        }],
        tables: vec![Fill { map: "DEVICES", entries: 3, capacity: 8 }],
        flows: vec![FlowCount { family: "ipv4", transport: 5, fragments: 1, queries: 2 }],
        counters: vec![
            counter(Reason::Endpoint, Verdict::Pass, 10),
            counter(Reason::Destination, Verdict::Deny, u64::MAX / 100),
            counter(Reason::Resolver, Verdict::Deny, 4),
        ],
        rules: vec![RuleState {
            rule: 1,
            group: 7,
            label: AWKWARD.to_owned(),
            count: Counter { packets: 2, bytes: 120 },
        }],
        events_sent: 9,
        events_refused: 2,
        events_lost: 3,
        unaccounted: Counter::default(),
        lessons: LessonCount::ALL.map(|count| (count, 1)).into(),
    }
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// Of three names: one answers, one has failed since it answered, one was not asked yet.
fn figures() -> Figures {
    let rule = |host| format!("[[group.allow]]\nhost = \"{host}\"\nports = [\"tcp/443\"]\n");
    let head = "version = 1\n[[group]]\nname = \"g\"\nmode = \"enforce\"\ninterfaces = [\"lan0\", \"lan2\"]\n\
                subnets = [\"10.20.0.0/24\"]\n";
    let rules = ["a.example", "b.example", "c.example"].map(rule).concat();
    let policy = policy::parse(&format!("{head}{rules}"), "policy.toml").unwrap();
    let record = AddressRecord { address: [192, 0, 2, 1].into(), ttl: Duration::from_secs(60) };
    let answer = Outcome::Answer(Answer { records: vec![record], chain: Vec::new(), chain_ttl: None });
    let at = |second| Moment::new(Duration::from_secs(second));
    let mut standings = Standings::default();
    for (host, outcome, second) in
        [("a.example", answer.clone(), 10), ("b.example", answer, 10), ("b.example", Outcome::Timeout, 20)]
    {
        let question = Question { name: name(host), family: Family::V4 };
        standings.record(&Resolution { question, outcome, at: at(second) });
    }
    let mut leases = Leases::new();
    let lease = Lease { since: at(1), renewed: at(1), live_until: at(99), ends: at(99), source: LeaseSource::Polled };
    leases.put_all(&name("a.example"), None, [([192, 0, 2, 1].into(), lease)]);
    let mut loads = PolicyLoads::first(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    loads.refuse();
    let figures = Figures::new(Arc::new(PolicyMarks::of(&policy)), &standings, &leases, at(70));
    Figures { loads: Some(loads), ..figures }
}

/// A store that has written two batches of a denial: its totals are those of the later one.
fn denied() -> DeniedByGroup {
    let directory = std::env::temp_dir().join(format!("sphere-metrics-store-{}", std::process::id()));
    let settings = StoreSettings { directory: directory.clone(), ..StoreSettings::default() };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut store = Store::open(settings).unwrap();
    for packets in [3, 8, 8] {
        let denial = Denial {
            device: [10, 20, 0, 5].into(),
            group_number: 7,
            group: "sensors".to_owned(),
            peer: Some([203, 0, 113, 7].into()),
            peer_names: Vec::new(),
            protocol: Some(6),
            peer_port: Some(443),
            direction: Direction::Ingress,
            verdict: Verdict::Deny,
            reason: Reason::Destination,
            episode: 1,
            boot: 1,
            packets,
            bytes: packets * 60,
            first: now,
            last: now,
        };
        assert_eq!(store.ingest(&[denial], now).unwrap(), StoreOutcome::Written);
    }
    let denied = store.denied().clone();
    drop(store);
    std::fs::remove_dir_all(directory).unwrap();
    denied
}

fn store() -> StoreState {
    let state: StoreState = serde_json::from_value(serde_json::json!({
        "standing": "paused", "directory": "/var/lib/sphere", "complete_at": "2026-01-01T00:00:00.500Z",
        "bytes": 4096, "open_accounts": 1, "closed_accounts": 2, "written": 3, "paused": 4, "waits": 5,
        "unreadable": 6, "aged_files": 7, "dropped_files": 8, "damaged_files": 9,
    }))
    .unwrap();
    StoreState { denied: denied(), ..state }
}

/// A page that has something of everything.
pub(crate) fn page() -> String {
    let mut exposition = Exposition::default();
    let snapshot = snapshot();
    exposition.add_build("0123-4", Duration::from_millis(1500));
    exposition.add_kernel(&snapshot);
    exposition.add_daemon(&figures(), Some(&snapshot));
    exposition.add_store(&store());
    let failure = Some("refused".to_owned());
    let sink = SinkState { sink: "file /x".to_owned(), delivered: 1, waiting: 2, room: 4096, lost: 3, failure };
    exposition.add_records([sink], 5);
    exposition.add_scrape([("kernel", true), ("daemon", true)], Duration::from_millis(3));
    exposition.text()
}

/// The samples as Prometheus' client reads them, by name and labels; [`None`] when it is not there.
fn read_back(text: &str) -> Option<Vec<Value>> {
    let is_there =
        Command::new("/usr/bin/python3").args(["-c", "import prometheus_client"]).stderr(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must not skip this: python3-prometheus-client");
        #[allow(clippy::print_stderr, reason = "says why the test did not run")]
        {
            eprintln!("skipped: the parser is not installed (Debian: python3-prometheus-client)");
        }
        return None;
    }
    let mut reader = Command::new("/usr/bin/python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone())
}

#[test]
fn every_metric_of_the_table_is_told_once_there_is_something_to_tell() {
    let text = page();
    let told: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let missing: Vec<&str> = ALL.iter().map(|metric| metric.name).filter(|name| !told.contains(name)).collect();
    assert_eq!(missing, ["sphere_scrape_omitted_series"], "nothing is omitted here");
}

#[test]
fn prometheus_reads_back_what_was_meant() {
    let text = page();
    let Some(rows) = read_back(&text) else { return };
    assert_eq!(rows.len(), text.lines().filter(|line| !line.starts_with('#')).count());
    for row in &rows {
        let declared = ALL.iter().find(|metric| row[2] == metric.name).unwrap_or_else(|| panic!("{row}"));
        assert_eq!(row[1], declared.kind.word(), "{row}");
        let labels: BTreeSet<&str> = row[3].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(labels, declared.labels.iter().copied().collect(), "{row}");
    }
    let value = |name: &str, labels: &[(&str, &str)]| {
        let is_meant = |row: &&Value| row[2] == name && labels.iter().all(|(label, value)| row[3][*label] == *value);
        let found: Vec<&Value> = rows.iter().filter(is_meant).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
        found[0][4].as_f64().unwrap()
    };
    assert_eq!(value("sphere_packets_total", &[("verdict", "deny"), ("reason", "resolver")]), 4.0);
    assert_eq!(value("sphere_rule_bytes_total", &[("group", "sensors"), ("label", AWKWARD)]), 120.0);
    assert_eq!(value("sphere_samples_total", &[("outcome", "over-budget")]), 2.0);
    assert_eq!(value("sphere_samples_total", &[("outcome", "ring-full")]), 1.0);
    assert_eq!(value("sphere_port_protected", &[("interface", "lan0")]), 1.0);
    assert_eq!(value("sphere_port_protected", &[("interface", "lan1")]), 0.0, "nothing at egress");
    assert_eq!(value("sphere_port_protected", &[("interface", "lan2")]), 0.0, "in the policy, and not pinned");
    assert_eq!(value("sphere_devices", &[]), 3.0);
    assert_eq!(value("sphere_questions", &[("type", "A"), ("state", "unasked")]), 1.0);
    assert_eq!(value("sphere_questions", &[("type", "AAAA"), ("state", "unasked")]), 3.0);
    assert_eq!(value("sphere_name_failing", &[("name", "b.example")]), 1.0);
    assert_eq!(value("sphere_name_answer_age_seconds", &[("name", "b.example"), ("type", "A")]), 60.0);
    assert_eq!(value("sphere_resolver_outcomes_total", &[("type", "A"), ("outcome", "answer")]), 2.0);
    assert_eq!(value("sphere_store_state", &[("state", "paused")]), 1.0);
    assert_eq!(value("sphere_store_state", &[("state", "written")]), 0.0);
    let complete =
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(value("sphere_store_complete_timestamp_seconds", &[]));
    assert_eq!(humantime::format_rfc3339_millis(complete).to_string(), "2026-01-01T00:00:00.500Z");
    let denied = [("group", "sensors"), ("verdict", "deny"), ("reason", "destination")];
    assert_eq!(value("sphere_group_denied_packets_total", &denied), 8.0);
    assert_eq!(value("sphere_group_denied_bytes_total", &denied), 480.0);
    assert_eq!(value("sphere_policy_current", &[]), 0.0, "the last one was refused");
    assert_eq!(value("sphere_policy_loads_total", &[("outcome", "refused")]), 1.0);
    assert_eq!(value("sphere_policy_loaded_timestamp_seconds", &[]), 1.8e9);
    assert_eq!(value("sphere_sink_capacity_records", &[("sink", "file /x")]), 4096.0);
    assert_eq!(value("sphere_unreadable_samples_total", &[]), 5.0);
    assert_eq!(value("sphere_sink_works", &[("sink", "file /x")]), 0.0);
}
