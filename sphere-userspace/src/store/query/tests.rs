//! Questions against what was written: the answer is what adding up by hand gives.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::*;
use crate::store::writer::tests::{Place, denial, time};
use crate::store::{Denial, Outcome, Store};

/// A store with these denials, each written when its last packet came.
fn store(denials: &[Denial]) -> Place {
    let place = Place::new();
    let mut store = Store::open(place.settings()).unwrap();
    for denial in denials {
        assert_eq!(store.ingest(std::slice::from_ref(denial), denial.last).unwrap(), Outcome::Written);
    }
    place
}

/// The answer as lines of text: what makes them, packets, bytes, first, last.
fn ask(place: &Place, filter: Filter, by: &[Field], top: Option<usize>) -> Vec<String> {
    let answer = Query { filter, by: by.iter().copied().collect(), top }.ask(place.path()).unwrap();
    assert_eq!(answer.left_out, Vec::<String>::new());
    answer.lines.iter().map(line).collect()
}

fn line(line: &Line) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(line.time.map(|time| humantime::format_rfc3339_seconds(time).to_string()));
    words.extend(line.device.map(|device| device.to_string()));
    words.extend(line.kind.group.as_ref().map(ToString::to_string));
    words.extend(line.peer.map(|peer| peer.to_string()));
    words.extend(line.names.as_ref().filter(|names| !names.is_empty()).map(ToString::to_string));
    words.extend(line.kind.port.map(|port| port.to_string()));
    words.extend(line.kind.verdict.as_ref().map(ToString::to_string));
    words.extend(line.kind.reason.as_ref().map(ToString::to_string));
    words.push(line.sum.packets.to_string());
    words.join(" ")
}

fn week() -> Place {
    let (one, two) = (time("2026-11-24T09:30:00Z"), time("2026-11-25T10:15:00Z"));
    let peer = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let other = Denial { peer: peer("2001:db8::7"), peer_port: Some(8883), ..denial(2, 30, 20, one) };
    store(&[
        denial(1, 10, 5, one),
        Denial { peer_names: vec!["api.example.com".to_owned(), "cdn.example.net".to_owned()], ..other.clone() },
        Denial { group: "cameras".to_owned(), verdict: Verdict::Audit, ..denial(3, 40, 7, one) },
        // The first account goes on the next day, and another opens for the same flow.
        Denial { last: two, ..denial(1, 10, 9, one) },
        denial(1, 90, 2, two),
        Denial { reason: Reason::QueryName, protocol: Some(17), peer_port: Some(53), ..denial(1, 91, 3, two) },
        Denial { peer: None, protocol: None, peer_port: None, ..denial(2, 92, 100, two) },
        Denial { peer: peer("198.51.100.77"), direction: Direction::Egress, ..denial(2, 93, 1, two) },
    ])
}

fn reasons(words: &[&str]) -> Vec<Reason> {
    Reason::ALL.iter().copied().filter(|reason| words.contains(&reason.word())).collect()
}

#[test]
fn flows_are_added_up_over_days_and_accounts() {
    let place = week();
    let by = [Field::Device, Field::To, Field::Port, Field::Reason];
    assert_eq!(
        ask(&place, Filter::default(), &by, None),
        [
            "10.20.0.2 destination 100",
            "10.20.0.2 2001:db8::7 api.example.com cdn.example.net 8883 destination 20",
            "10.20.0.1 198.51.100.1 443 destination 11",
            "10.20.0.3 198.51.100.1 443 destination 7",
            "10.20.0.1 198.51.100.1 53 query-name 3",
            "10.20.0.2 198.51.100.77 443 destination 1",
        ]
    );
}

#[test]
fn only_the_lines_with_the_most_packets_are_given_and_the_others_counted() {
    let query = Query { top: Some(2), by: [Field::Device].into_iter().collect(), ..Query::default() };
    let answer = query.ask(week().path()).unwrap();
    assert_eq!(answer.lines.iter().map(line).collect::<Vec<_>>(), ["10.20.0.2 121", "10.20.0.1 14"]);
    assert_eq!((answer.lines_in_all, answer.packets_in_all), (3, 142));
    let sum = answer.lines[0].sum;
    assert_eq!((sum.bytes, sum.first()), (121 * 60, time("2026-11-24T09:30:00Z")));
    assert_eq!(sum.last(), time("2026-11-25T10:15:00Z"));
    assert_eq!(answer.has, Some((time("2026-11-24T09:00:00Z"), time("2026-11-25T10:00:00Z"))));
}

#[test]
fn what_came_to_the_largest_of_many_is_complete() {
    let at = time("2026-11-25T10:00:00Z");
    let denials: Vec<Denial> = (0..40).map(|device| denial(device, 7, u64::from(device) + 1, at)).collect();
    let place = store(&denials);
    let by = [Field::Device, Field::To].into_iter().collect();
    // So few of so many are found by their packets first.
    let few = Query { top: Some(2), by, ..Query::default() }.ask(place.path()).unwrap();
    let all = Query { top: None, by, ..Query::default() }.ask(place.path()).unwrap();
    assert_eq!(few.lines, all.lines[..2]);
    assert_eq!((few.lines[0].sum.bytes, few.lines[0].sum.first()), (40 * 60, at));
    assert_eq!((few.lines_in_all, few.packets_in_all), (all.lines_in_all, all.packets_in_all));
}

#[test]
fn names_are_those_of_the_last_packet_unless_they_make_lines() {
    let at = time("2026-11-25T10:00:00Z");
    let named = |name: &str, minutes, packets| {
        let last = at + Duration::from_secs(minutes * 60);
        Denial { peer_names: vec![name.to_owned()], ..denial(1, minutes, packets, last) }
    };
    let place = store(&[named("new.example", 3, 2), named("old.example", 1, 5), denial(1, 9, 1, at)]);
    let by = [Field::Device, Field::To];
    assert_eq!(ask(&place, Filter::default(), &by, None), ["10.20.0.1 198.51.100.1 new.example 8"]);
    let by = [Field::To, Field::Name];
    let lines = ["198.51.100.1 old.example 5", "198.51.100.1 new.example 2", "198.51.100.1 1"];
    assert_eq!(ask(&place, Filter::default(), &by, None), lines);
}

#[test]
fn each_filter_leaves_what_it_says() {
    let place = week();
    let to = |text: &str| Filter { to: Some(Target::parse(text).unwrap()), ..Filter::default() };
    let device = |text: &str| Filter { devices: vec![filter::net(text).unwrap()], ..Filter::default() };
    let none = Filter::default;
    for (filter, packets) in [
        (none(), 142),
        (device("10.20.0.1"), 14),
        (device("10.20.0.2/31"), 128),
        (device("10.20.0.9"), 0),
        (Filter { groups: vec!["cameras".to_owned()], ..none() }, 7),
        (to("198.51.100.1"), 21),
        (to("198.51.100.0/24"), 22),
        (to("2001:db8::/32"), 20),
        (to("example.com"), 20),
        (to("example.net"), 20),
        (to("api.example.com"), 20),
        (to("pi.example.com"), 0),
        (to("com"), 20),
        (Filter { ports: vec![(None, 443)], ..none() }, 19),
        (Filter { ports: vec![(Some(17), 443), (Some(17), 53)], ..none() }, 3),
        (Filter { protocols: vec![17], ..none() }, 3),
        (Filter { reasons: reasons(&["query-name"]), ..none() }, 3),
        (Filter { reasons: reasons(&["query-name", "destination"]), ..none() }, 142),
        (Filter { verdict: Some(Verdict::Audit), ..none() }, 7),
        (Filter { direction: Some(Direction::Egress), ..none() }, 1),
        (Filter { since: Some(time("2026-11-25T00:00:00Z")), ..none() }, 110),
        (Filter { since: Some(time("2026-11-25T10:15:00Z")), ..none() }, 110),
        (Filter { since: Some(time("2026-11-25T10:15:01Z")), ..none() }, 0),
        (Filter { until: Some(time("2026-11-24T09:30:00Z")), ..none() }, 32),
        (Filter { until: Some(time("2026-11-24T09:29:59Z")), ..none() }, 0),
    ] {
        for by in [Field::Device, Field::To, Field::Name, Field::Reason, Field::Hour] {
            let query = Query { filter: filter.clone(), by: [by].into_iter().collect(), top: None };
            let answer = query.ask(place.path()).unwrap();
            assert_eq!(answer.packets_in_all, packets, "{by}: {filter:?}");
            assert_eq!(answer.lines.iter().map(|line| line.sum.packets).sum::<u64>(), packets, "{by}: {filter:?}");
        }
    }
}

#[test]
fn lines_are_made_of_what_was_asked() {
    let place = week();
    let by = |by: Field| ask(&place, Filter::default(), &[by], None);
    assert_eq!(by(Field::Group), ["sphere 135", "cameras 7"]);
    assert_eq!(by(Field::Name), ["122", "api.example.com cdn.example.net 20"]);
    assert_eq!(by(Field::Day), ["2026-11-25T00:00:00Z 110", "2026-11-24T00:00:00Z 32"]);
    assert_eq!(by(Field::Hour), ["2026-11-25T10:00:00Z 110", "2026-11-24T09:00:00Z 32"]);
    assert_eq!(by(Field::Verdict), ["deny 135", "audit 7"]);
    assert_eq!(ask(&place, Filter::default(), &[], None), ["142"]);
}

#[test]
fn the_store_is_read_while_it_is_written() {
    let place = Place::new();
    let mut store = Store::open(place.settings()).unwrap();
    let at = time("2026-11-25T10:00:00Z");
    for packets in 1..5 {
        assert_eq!(store.ingest(&[denial(1, 7, packets, at)], at).unwrap(), Outcome::Written);
        assert_eq!(ask(&place, Filter::default(), &[], None), [packets.to_string()]);
    }
}

#[test]
fn no_store_and_an_empty_one_are_told_apart() {
    let place = Place::new();
    let absent = Query::default().ask(place.path()).unwrap_err();
    assert!(matches!(absent, StoreError::Absent(_)), "{absent}");
    fs::create_dir_all(place.path()).unwrap();
    let answer = Query::default().ask(place.path()).unwrap();
    assert_eq!((answer.lines.len(), answer.has), (0, None));
}

#[test]
fn a_damaged_file_is_left_out_and_named() {
    let place = week();
    fs::write(place.path().join("denied-2026-11-20.sqlite"), "this is no database".repeat(100)).unwrap();
    let answer = Query::default().ask(place.path()).unwrap();
    assert_eq!(answer.packets_in_all, 142);
    assert!(answer.left_out.len() == 1 && answer.left_out[0].contains("denied-2026-11-20"), "{:?}", answer.left_out);
}

/// Packets by device, other side and hour.
type Expected = BTreeMap<(IpAddr, Option<IpAddr>, SystemTime), u64>;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_asked_adds_up(
        rows in prop::collection::vec((0_u8..6, 0_u8..8, 1_u64..50, 0_u64..300_000), 1..60),
        device in prop::option::of(0_u8..6),
        cidr in prop::option::of(0_u8..4),
        since in prop::option::of(0_u64..300_000),
        top in prop::option::of(1_usize..5),
    ) {
        let begin = time("2026-11-25T00:00:00Z");
        let denials: Vec<Denial> = rows.iter().zip(0..).map(|((device, peer, packets, second), episode)| {
            let peer = (*peer > 0).then(|| IpAddr::from([198, 51, 100, *peer]));
            Denial { peer, ..denial(*device, episode, *packets, begin + Duration::from_secs(*second)) }
        }).collect();
        let place = Place::new();
        let mut order: Vec<&Denial> = denials.iter().collect();
        order.sort_by_key(|denial| denial.last);
        if order.len().is_multiple_of(2) { order.reverse(); }
        let mut store = Store::open(place.settings()).unwrap();
        for denial in order {
            prop_assert_eq!(store.ingest(std::slice::from_ref(denial), denial.last).unwrap(), Outcome::Written);
        }
        let net = cidr.map(|part| format!("198.51.100.{}/31", part * 2).parse().unwrap());
        let since = since.map(|second| begin + Duration::from_secs(second));
        let filter = Filter {
            devices: device.map(|device| filter::net(&format!("10.20.0.{device}")).unwrap()).into_iter().collect(),
            to: net.map(Target::Net),
            since,
            ..Filter::default()
        };
        let mut expected = Expected::new();
        for denial in &denials {
            let is_device = device.is_none_or(|device| denial.device == IpAddr::from([10, 20, 0, device]));
            let is_peer = net.is_none_or(|net| denial.peer.is_some_and(|peer| net.contains(&peer)));
            if is_device && is_peer {
                let seconds = denial.last.duration_since(begin).unwrap().as_secs() / 3600 * 3600;
                let key = (denial.device, denial.peer, begin + Duration::from_secs(seconds));
                *expected.entry(key).or_default() += denial.packets;
            }
        }
        // An hour of a flow counts whole, by its last packet.
        let last = |key: &(IpAddr, Option<IpAddr>, SystemTime)| denials.iter().filter(|denial| {
            let since = denial.last.duration_since(key.2);
            denial.device == key.0 && denial.peer == key.1 && since.is_ok_and(|since| since.as_secs() < 3600)
        }).map(|denial| denial.last).max();
        expected.retain(|key, _| since.is_none_or(|since| last(key).is_some_and(|last| last >= since)));
        let all: u64 = expected.values().sum();
        let by = [Field::Device, Field::To, Field::Hour].into_iter().collect();
        let answer = Query { filter: filter.clone(), by, top }.ask(place.path()).unwrap();
        prop_assert_eq!((answer.lines_in_all, answer.packets_in_all), (expected.len() as u64, all));
        let mut largest: Vec<u64> = expected.values().copied().collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        largest.truncate(top.unwrap_or(usize::MAX));
        prop_assert_eq!(answer.lines.iter().map(|line| line.sum.packets).collect::<Vec<_>>(), largest);
        for line in &answer.lines {
            let key = (line.device.unwrap(), line.peer, line.time.unwrap());
            prop_assert_eq!(expected.get(&key), Some(&line.sum.packets));
        }
        let by_peer = Query { filter, by: [Field::To].into_iter().collect(), top: None }.ask(place.path()).unwrap();
        prop_assert_eq!(by_peer.packets_in_all, all);
    }
}
