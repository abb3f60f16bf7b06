//! Two samples become what is shown.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Arc;
use std::time::Duration;

use sphere_common::abi::{Counter, DeniedKey, DeniedValue, DeviceValue, FlowValue, LessonCount};
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::*;
use crate::audit::SinkState;
use crate::datapath::snapshot::{CounterState, Fill, GroupState, Snapshot};
use crate::datapath::{Account, OpenFlow, Traces};
use crate::names::{LeaseView, NameView, QuestionView, View as Names};
use crate::reconcile::{Clock, Moment};

const METERS: u32 = 3;
const FIRST: [u8; 4] = [10, 20, 0, 5];
const SECOND: [u8; 4] = [10, 20, 0, 6];

/// A sample at a second since the start; a tick is a second.
fn sample(second: u64) -> Sample {
    let at = Moment::new(Duration::from_secs(second));
    let clock = Clock { ticks_per_second: 1, anchor: at, anchor_ticks: second };
    let group = GroupState { number: METERS, name: "meters".to_owned(), enforce: true, ..GroupState::default() };
    let snapshot =
        Snapshot { pin_root: "/sys/fs/bpf/sphere".into(), running: true, groups: vec![group], ..Snapshot::default() };
    Sample {
        at,
        snapshot,
        traces: Traces::new(clock),
        flows: Vec::new(),
        names: Arc::default(),
        by_address: Arc::default(),
        store: None,
        sinks: Vec::new(),
        silence: None,
    }
}

fn counter(direction: Direction, verdict: Verdict, reason: Reason, packets: u64) -> CounterState {
    CounterState { direction, verdict, reason, count: Counter { packets, bytes: packets * 100 } }
}

const fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

fn account(device: [u8; 4], peer: u8, verdict: Verdict, (packets, first, last): (u64, u64, u64)) -> Account {
    let key = DeniedKey {
        device: mapped(device),
        peer: mapped([198, 51, 100, peer]),
        group: METERS,
        peer_port_be: 8_080_u16.to_be_bytes(),
        protocol: 6,
        reason: Reason::Destination as u8,
        verdict: verdict as u8,
        direction: Direction::Ingress as u8,
        pad: [0; 2],
    };
    Account { key, is_others: false, value: DeniedValue { packets, bytes: packets * 74, first, last } }
}

fn flow(peer_port: u16, created: u64, received: u64) -> OpenFlow {
    let value = FlowValue { created, received, last_seen: 95, group: METERS, ..FlowValue::default() };
    let (device, peer) = (FIRST.into(), [192, 0, 2, 1].into());
    OpenFlow { device, peer, device_port: 50_000, peer_port, protocol: 6, value }
}

fn others(packets: u64, last: u64) -> Account {
    let account = account(SECOND, 0, Verdict::Deny, (packets, 1, last));
    let key = DeniedKey { peer: [0; 16], peer_port_be: [0; 2], protocol: 0, ..account.key };
    Account { key, is_others: true, ..account }
}

fn question(family: &str, outcome: &str, since_ms: u64) -> QuestionView {
    let (family, outcome) = (family.to_owned(), outcome.to_owned());
    QuestionView { family, outcome, since_ms, asked_ms: since_ms, times: 1, answered_ms: None }
}

fn lease(last: u8, live_until_ms: u64, ends_ms: u64) -> LeaseView {
    LeaseView {
        address: [192, 0, 2, last].into(),
        group: None,
        source: "polled".to_owned(),
        device: None,
        since_ms: 0,
        renewed_ms: 0,
        live_until_ms,
        ends_ms,
    }
}

fn name(questions: Vec<QuestionView>, leases: Vec<LeaseView>) -> NameView {
    NameView { groups: ["meters".to_owned()].into(), questions, leases }
}

/// What is read at second 100 and at second 102.
pub(crate) fn samples() -> (Sample, Sample) {
    let (mut earlier, mut later) = (sample(100), sample(102));
    for (sample, passed, denied) in [(&mut earlier, 1_000, 10), (&mut later, 31_000, 25)] {
        sample.snapshot.counters = vec![
            counter(Direction::Ingress, Verdict::Pass, Reason::Endpoint, passed),
            counter(Direction::Ingress, Verdict::Pass, Reason::Flow, 500),
            counter(Direction::Ingress, Verdict::Deny, Reason::Destination, denied),
            counter(Direction::Ingress, Verdict::Audit, Reason::Destination, 4),
            counter(Direction::Egress, Verdict::Pass, Reason::Reply, passed * 2),
        ];
        sample.snapshot.tables = vec![
            Fill { map: "ENDPOINTS4", entries: 13_200, capacity: 16_384 },
            Fill { map: "DEVICES", entries: usize::try_from(denied).unwrap(), capacity: 1_024 },
            Fill { map: "NAMES", entries: 1_000, capacity: 1_024 },
        ];
        sample.snapshot.events_lost = denied - 10;
        sample.snapshot.lessons = vec![(LessonCount::Query, passed), (LessonCount::Quota, 7)];
        let value = DeviceValue { last_seen: 90, group: METERS, ..DeviceValue::default() };
        sample.traces.devices = vec![(FIRST.into(), value)];
        sample.flows = vec![flow(443, 10, passed * 1_000), flow(8_883, denied, denied), flow(123, 20, 5)];
        sample.sinks = vec![SinkState {
            room: 8_192,
            sink: "stdout".to_owned(),
            delivered: 5,
            waiting: 0,
            lost: 0,
            failure: None,
        }];
    }
    earlier.traces.accounts = vec![
        account(FIRST, 7, Verdict::Deny, (4, 50, 99)),
        account(SECOND, 8, Verdict::Deny, (3, 50, 60)),
        account(SECOND, 9, Verdict::Audit, (40, 10, 20)),
        others(90, 70),
    ];
    later.traces.accounts = vec![
        account(FIRST, 7, Verdict::Deny, (14, 50, 102)),
        // Closed since, and opened anew.
        account(SECOND, 8, Verdict::Deny, (5, 101, 101)),
        account(SECOND, 9, Verdict::Audit, (40, 10, 20)),
        others(90, 70),
    ];
    let mut names = Names::default();
    let fine = name(vec![question("A", "answer", 0), question("AAAA", "nodata", 0)], vec![lease(1, 200_000, 300_000)]);
    let failing = name(vec![question("A", "servfail", 90_000)], vec![lease(7, 101_000, 190_000)]);
    let closed = vec![question("A", "nxdomain", 62_000), question("AAAA", "nodata", 12_000)];
    names.names = [
        ("fine.example.com", fine),
        ("failing.example.com", failing),
        ("gone.example.com", name(closed, Vec::new())),
        ("*.example.com", name(Vec::new(), Vec::new())),
        ("nobody.example.com", NameView { groups: Default::default(), ..name(Vec::new(), Vec::new()) }),
    ]
    .into_iter()
    .map(|(name, known)| (name.to_owned(), known))
    .collect();
    later.names = Arc::new(names);
    later.by_address = Arc::new([([198, 51, 100, 7].into(), vec!["cdn.example.net".to_owned()])].into());
    (earlier, later)
}

pub(crate) fn frame() -> Frame {
    let (earlier, later) = samples();
    Frame::new(&earlier, &later)
}

fn rates(rates: &[Rate]) -> Vec<(u64, f64)> {
    rates.iter().map(|rate| (rate.total, rate.per_second.unwrap())).collect()
}

#[test]
fn packets_are_told_by_verdict_and_direction() {
    let frame = frame();
    assert_eq!(frame.elapsed, Duration::from_secs(2));
    let [passed, audited, denied] = frame.traffic.as_slice() else { panic!("{:?}", frame.traffic) };
    assert_eq!(rates(&passed.packets), [(31_500, 15_000.0), (62_000, 30_000.0)]);
    assert_eq!(rates(&passed.bytes), [(3_150_000, 1_500_000.0), (6_200_000, 3_000_000.0)]);
    assert_eq!(rates(&audited.packets), [(4, 0.0), (0, 0.0)]);
    assert_eq!(rates(&denied.packets), [(25, 7.5), (0, 0.0)]);
    assert_eq!(frame.notices, Vec::<String>::new());
}

#[test]
fn an_account_that_was_opened_anew_counts_whole() {
    let denials = frame().denials;
    let told: Vec<_> = denials
        .iter()
        .map(|row| (row.peer.map(|peer| peer.to_string()), rates(&[row.packets])[0], row.seconds_ago))
        .collect();
    assert_eq!(
        told,
        [
            (Some("198.51.100.7".to_owned()), (14, 5.0), 0),
            (None, (90, 0.0), 32),
            (Some("198.51.100.8".to_owned()), (5, 2.5), 1),
            (Some("198.51.100.9".to_owned()), (40, 0.0), 82),
        ]
    );
    assert_eq!(denials[0].name.as_deref(), Some("cdn.example.net"));
    assert_eq!((denials[0].service.as_str(), denials[1].service.as_str()), ("tcp/8080", ""));
}

#[test]
fn devices_are_those_with_flows_and_those_that_are_denied() {
    let devices = frame().devices;
    let [first, second] = devices.as_slice() else { panic!("{devices:?}") };
    assert_eq!((first.device, first.flows, first.seen_seconds_ago), (Some(FIRST.into()), 3, 0));
    assert_eq!((second.device, second.flows, second.seen_seconds_ago), (Some(SECOND.into()), 0, 1));
    // The flow to port 8883 was opened anew: what it has came since.
    assert_eq!(rates(&[first.received]), [(31_000_030, 15_000_012.5)]);
    assert_eq!(rates(&[first.denied, second.denied, second.audited]), [(14, 5.0), (95, 2.5), (40, 0.0)]);
}

#[test]
fn a_name_is_in_trouble_when_it_fails_or_has_no_address() {
    let names = frame().names;
    let told: Vec<_> = names.iter().map(|name| (name.name.as_str(), name.severity, name.ends_in_seconds)).collect();
    assert_eq!(
        told,
        [("gone.example.com", Severity::Closed, None), ("failing.example.com", Severity::Grace, Some(88))]
    );
    assert_eq!(names[0].questions.len(), 2);
    assert_eq!((names[0].questions[0].outcome.as_str(), names[0].questions[0].for_seconds), ("nxdomain", 40));
}

#[test]
fn counters_of_a_new_data_plane_give_no_rate_that_never_was() {
    let (later, mut earlier) = samples();
    earlier.at = Moment::new(Duration::from_secs(98));
    earlier.traces.clock.anchor = earlier.at;
    let frame = Frame::new(&earlier, &later);
    assert_eq!(rates(&[frame.traffic[0].packets[0]]), [(1_500, 750.0)]);
    assert!(frame.notices.iter().any(|notice| notice.contains("began anew")), "{:?}", frame.notices);
    let lost: f64 = frame.losses.iter().filter_map(|loss| loss.lost.per_second).sum();
    assert_eq!(lost, 0.0);
    assert!(frame.denials.iter().all(|row| row.packets.per_second.unwrap() <= 20.0));
}

#[test]
fn one_sample_alone_tells_totals_and_no_rates() {
    let (_, later) = samples();
    let frame = Frame::new(&later, &later);
    assert_eq!(frame.traffic[0].packets[0], Rate { total: 31_500, per_second: None });
    assert_eq!(frame.devices[0].denied, Rate { total: 14, per_second: None });
    assert!(frame.notices.is_empty());
}

#[test]
fn what_a_person_should_know_first_is_a_notice() {
    let (earlier, mut later) = samples();
    later.snapshot.running = false;
    later.silence = Some("the daemon does not answer at /x".to_owned());
    later.sinks[0].failure = Some("broken pipe".to_owned());
    let notices = Frame::new(&earlier, &later).notices;
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert!(notices[0].starts_with("no daemon runs") && notices[2] == "records do not reach stdout: broken pipe");
}
