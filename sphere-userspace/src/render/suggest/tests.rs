//! Suggestions as they are written, and that they are what a policy file can take.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::*;
use crate::policy::{self, Policy};
use crate::snapshots::check;
use crate::suggest::{Asked, Bounds, Evidence, Flow, suggest};

const HEAD: &str = "version = 1\n";

fn group(name: &str, number: u8, keys: &str) -> String {
    format!(
        "[[group]]\nname = \"{name}\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\n\
         subnets = [\"10.20.{number}.0/24\", \"fd00:20:{number}::/64\"]\n{keys}\n"
    )
}

fn seen(device: u8, reason: Reason, packets: u64) -> Seen {
    let first: SystemTime = humantime::parse_rfc3339("2026-11-25T10:00:00Z").unwrap();
    Seen {
        devices: [IpAddr::from([10, 20, 0, device])].into(),
        packets,
        first,
        last: first + Duration::from_secs(packets),
        reasons: [reason.word()].into(),
        verdicts: [Verdict::Audit.word()].into(),
    }
}

fn flow(device: u8, (peer, names): (&str, &[&str]), service: (u8, u16), reason: Reason) -> Flow {
    Flow {
        group: "sphere".to_owned(),
        device: Some(IpAddr::from([10, 20, 0, device])),
        peer: peer.parse().ok(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        service: Some(service),
        direction: Direction::Ingress,
        reason,
        seen: seen(device, reason, 3),
    }
}

fn asked(name: &str, reason: Reason) -> Asked {
    Asked { group: "sphere".to_owned(), name: name.to_owned(), reason, seen: seen(5, reason, 7) }
}

fn evidence() -> Evidence {
    let to = |peer: &str, names: &[&str], service| flow(5, (peer, names), service, Reason::Destination);
    let inward = |flow: Flow| Flow { direction: Direction::Egress, ..flow };
    let mut flows = vec![
        to("20.0.0.7", &["api.example.com", "cdn.example.net"], (6, 443)),
        Flow {
            device: Some([10, 20, 0, 6].into()),
            seen: seen(6, Reason::Destination, 1),
            ..to("20.0.0.7", &["api.example.com"], (17, 443))
        },
        to("20.0.0.8", &["shop.azurefd.net"], (6, 443)),
        to("2a01:1::8", &[], (6, 8883)),
        to("20.0.0.9", &[], (1, 0x0800)),
        to("10.9.0.9", &["printer.corp.example"], (6, 631)),
        flow(5, ("20.0.0.53", &[]), (6, 853), Reason::EncryptedDns),
        flow(5, ("20.0.0.53", &[]), (17, 53), Reason::Resolver),
        inward(flow(5, ("20.3.0.1", &[]), (6, 50_000), Reason::Unsolicited)),
        inward(flow(5, ("20.3.0.2", &[]), (6, 443), Reason::Unsolicited)),
        flow(5, ("20.0.0.1", &[]), (6, 80), Reason::Malformed),
        Flow { peer: None, service: None, ..to("", &[], (0, 0)) },
        to("255.255.255.255", &[], (17, 9)),
    ];
    for (label, peer) in ["a", "b", "c", "d", "e", "f"].into_iter().zip(1..) {
        let name = format!("{label}.devices.example.org");
        flows.push(to(&format!("20.7.0.{peer}"), &[name.as_str()], (6, 443)));
    }
    flows.extend((1..10).map(|port| to("20.9.0.1", &[], (6, port))));
    let asked = vec![
        asked("contoso.azure-devices.net", Reason::QueryName),
        asked("new.example.com", Reason::QueryName),
        asked("api.example.com", Reason::QueryType),
        asked("9.9.9.9.in-addr.arpa", Reason::QueryName),
    ];
    Evidence { flows, asked, ..Evidence::default() }
}

fn policy() -> Policy {
    let rules = "resolvers = [\"gateway\"]\nprofiles = [\"azure-sphere\"]\n[group.azure-sphere]\nhubs = [\"fabrikam\"]\n\
                 [[group.allow]]\nhost = \"api.example.com\"\nports = [\"tcp/80\"]\n";
    policy::parse(&format!("{HEAD}{}", group("sphere", 0, rules)), "policy.toml").unwrap()
}

fn text(all: &Suggestions) -> String {
    let mut output = Vec::new();
    write_policy_lines(&mut output, all).unwrap();
    String::from_utf8(output).unwrap()
}

#[test]
fn policy_lines_fit_80_columns() {
    check("suggest.txt", &text(&suggest(&evidence(), Some(&policy()), Bounds::default())));
}

#[test]
fn json_is_one_object_a_line() {
    let mut output = Vec::new();
    write_json(&mut output, &suggest(&evidence(), Some(&policy()), Bounds::default())).unwrap();
    check("suggest.json", std::str::from_utf8(&output).unwrap());
}

#[test]
fn nothing_is_said_so_and_what_is_too_little_is_told() {
    let nothing = suggest(&Evidence::default(), None, Bounds::default());
    assert_eq!(text(&nothing), "# nothing to suggest\n");
    let few = suggest(&evidence(), None, Bounds { packets: 4, devices: 2 });
    let written = text(&few);
    assert_eq!(few.suggestions.len(), 1, "{written}");
    assert!(written.contains("too-few, \"sphere\"") && !written.contains("20.0.0.8"), "{written}");
}

/// Parts of the text by group.
fn parts(text: &str) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let mut group = None;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ---- ") {
            group =
                title.strip_prefix("group \"").and_then(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned());
        } else if let Some(group) = &group {
            let part: &mut String = parts.entry(group.clone()).or_default();
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

/// What must hold of whatever is written.
fn hold(all: &Suggestions) -> Result<(), TestCaseError> {
    let written = text(all);
    prop_assert!(toml::de::DeTable::parse(&written).is_ok(), "no TOML: {}", written);
    let is_word = |line: &str| line.split_whitespace().any(|word| word.len() > 60);
    for line in written.lines() {
        prop_assert!(line.chars().count() <= 80 || is_word(line), "wide: {}", line);
        prop_assert!(line.chars().all(crate::policy::is_plain), "{:?}", line);
    }
    let mut whole = HEAD.to_owned();
    for ((name, part), number) in parts(&written).into_iter().zip(0..) {
        let keys = all.suggestions.iter().filter(|one| one.group.as_str() == name);
        let keys = keys.filter(|one| matches!(one.change, Change::Resolvers { .. }));
        let keys: String = keys.map(|one| lines(&one.change)).collect();
        whole += &group(&name, number, &(keys + &part));
    }
    if whole != HEAD {
        let read = policy::parse(&whole, "suggested.toml");
        prop_assert!(read.is_ok(), "{}\n{}", read.unwrap_err(), whole);
    }
    Ok(())
}

/// Names that are none, odd ones, and ordinary ones.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}\\.example\\.(com|net)",
        "[a-z_-]{1,63}\\.[a-z]{1,63}\\.(azurefd\\.net|local|co\\.uk|com)",
        "\\PC{0,20}",
        Just("x".repeat(250)),
        Just("192.0.2.1".to_owned()),
        Just("*.example.com".to_owned()),
        Just("a\u{7}.example".to_owned()),
    ]
}

fn groups() -> impl Strategy<Value = String> {
    prop_oneof![Just("sphere".to_owned()), Just("cameras".to_owned()), Just(String::new()), "\\PC{1,8}"]
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..8, any::<u8>()).prop_map(|(net, host)| IpAddr::from([20, 0, net, host])),
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        any::<u16>().prop_map(|low| IpAddr::from([0x2a01, 1, 0, 0, 0, 0, 0, low])),
        Just("::".parse().unwrap()),
        Just("ff02::1".parse().unwrap()),
        Just("fe80::1".parse().unwrap()),
    ]
}

fn flows() -> impl Strategy<Value = Flow> {
    let service = prop::option::of((prop::sample::select(vec![0, 1, 6, 17, 58, 132]), any::<u16>()));
    let ordinary = prop_oneof![Just(Some((6, 443))), Just(Some((17, 53))), Just(Some((1, 2048))), service];
    let kind = (prop::sample::select(Reason::ALL.to_vec()), any::<bool>(), 0..u64::MAX);
    let ends = (any::<u8>(), prop::option::of(addresses()), prop::collection::vec(names(), 0..4));
    (groups(), ends, ordinary, kind).prop_map(|(group, (device, peer, names), service, (reason, out, packets))| Flow {
        group,
        device: Some(IpAddr::from([10, 20, 0, device])),
        peer,
        names,
        service,
        direction: if out { Direction::Ingress } else { Direction::Egress },
        reason,
        seen: Seen { packets, ..seen(device, reason, 1) },
    })
}

fn questions() -> impl Strategy<Value = Asked> {
    let reason = prop_oneof![Just(Reason::QueryName), Just(Reason::QueryType)];
    (groups(), names(), reason).prop_map(|(group, name, reason)| Asked { group, ..asked(&name, reason) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_was_denied_becomes_lines_that_a_policy_can_take(
        flows in prop::collection::vec(flows(), 0..60),
        asked in prop::collection::vec(questions(), 0..12),
    ) {
        let evidence = Evidence { flows, asked, ..Evidence::default() };
        let all = suggest(&evidence, None, Bounds::default());
        hold(&all)?;
        let mut backwards = evidence.clone();
        backwards.flows.reverse();
        backwards.asked.reverse();
        prop_assert_eq!(&suggest(&backwards, None, Bounds::default()), &all, "the order of lines matters");
        hold(&suggest(&evidence, Some(&policy()), Bounds::default()))?;
    }

    #[test]
    fn what_is_taken_is_not_suggested_again(flows in prop::collection::vec(flows(), 0..40)) {
        let evidence = Evidence {
            flows: flows.into_iter().map(|flow| Flow { group: "sphere".to_owned(), ..flow }).collect(),
            ..Evidence::default()
        };
        let all = suggest(&evidence, None, Bounds::default());
        let keys = all.suggestions.iter().filter(|one| matches!(one.change, Change::Resolvers { .. }));
        let keys: String = keys.map(|one| lines(&one.change)).collect();
        let part = parts(&text(&all)).remove("sphere").unwrap_or_default();
        let whole = format!("{HEAD}{}", group("sphere", 0, &(keys + &part)));
        let policy = policy::parse(&whole, "taken.toml").unwrap();
        let again = suggest(&evidence, Some(&policy), Bounds::default());
        let left: Vec<_> = again.suggestions.iter().filter(|one| one.change.missing().is_none()).collect();
        prop_assert!(left.is_empty(), "{:?}\n{}", left, whole);
    }
}
