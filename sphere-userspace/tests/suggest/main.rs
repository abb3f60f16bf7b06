//! `sphere suggest` as it is run: what it suggests is put into the policy, `sphere check` takes it, and the tables that
//! come of it have what was denied.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod place;

use std::net::IpAddr;

use sphere_common::abi::{Cidr4Data, Cidr6Data, Endpoint4Key, Endpoint6Key, INBOUND};
use sphere_common::verdict::{Direction, Reason};
use sphere_userspace::policy::{self, DomainName, Policy};
use sphere_userspace::reconcile::{
    Clock, Desired, GatewayFacts, Inputs, LeaseSource, LeaseTerms, Leases, Moment, Tables,
};
use sphere_userspace::resolve::{AddressRecord, Answer};
use sphere_userspace::store::Denial;

use place::{Place, RECORDS, denial, text};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A policy that allows next to nothing, and another group that knows a name.
const POLICY: &str = r#"version = 1
[[group]]
name = "cameras"
mode = "enforce"
interfaces = ["lan0"]
subnets = ["10.21.0.0/24"]
[[group.allow]]
host = "firmware.example.com"
ports = ["tcp/8443"]
[[interface]]
name = "lan0"
other_sources = "deny"
[[group]]
name = "sphere"
mode = "enforce"
interfaces = ["lan0"]
subnets = ["10.20.0.0/24", "fd00:20::/64"]
resolvers = ["gateway"]
profiles = ["azure-sphere"]
[group.azure-sphere]
ntp = false
"#;

/// One denial of each kind for which there is something to suggest.
fn denials() -> Vec<Denial> {
    let to = |number, peer: &str, service| denial(number, peer, service, Reason::Destination);
    let inward = |denial: Denial| Denial { direction: Direction::Egress, ..denial };
    let named = |denial: Denial, name: &str| Denial { peer_names: vec![name.to_owned()], ..denial };
    vec![
        named(to(1, "20.0.0.7", (TCP, 443)), "api.example.com"),
        named(to(2, "2a01:1::7", (TCP, 443)), "api.example.com"),
        named(to(3, "10.9.0.9", (UDP, 5000)), "intern.example.com"),
        to(4, "20.0.0.8", (UDP, 5683)),
        to(5, "2a01:1::8", (TCP, 8883)),
        to(6, "20.0.0.9", (1, 0x0800)),
        to(7, "2a01:1::9", (58, 0x8000)),
        denial(8, "20.0.0.53", (UDP, 53), Reason::Resolver),
        denial(9, "2a01:1::53", (TCP, 53), Reason::Resolver),
        denial(10, "20.0.0.85", (TCP, 853), Reason::EncryptedDns),
        inward(denial(11, "20.3.0.1", (TCP, 50_000), Reason::Unsolicited)),
        inward(denial(12, "2a01:3::1", (TCP, 50_001), Reason::Unsolicited)),
        inward(denial(13, "20.3.0.2", (1, 0x0800), Reason::Unsolicited)),
        named(to(14, "20.0.0.123", (UDP, 123)), "time.sphere.azure.net"),
        denial(15, "20.0.0.1", (UDP, 53), Reason::QueryName),
        denial(16, "20.0.0.66", (TCP, 80), Reason::FragmentOverlap),
    ]
}

/// What is suggested, as it is pasted: tables behind the group, commented keys where they say that they belong.
fn paste(policy: &str, suggested: &str) -> String {
    let key = |name: &str| {
        let line = suggested.lines().find(|line| line.starts_with(&format!("# {name} = ")));
        line.unwrap_or_else(|| panic!("no `{name}` in:\n{suggested}")).trim_start_matches("# ").to_owned()
    };
    let policy = policy.replace("resolvers = [\"gateway\"]", &key("resolvers"));
    let policy = policy.replace("ntp = false", &format!("{}\n{}", key("ntp"), key("hubs")));
    format!("{policy}{suggested}")
}

fn tables(policy: &Policy) -> Tables {
    let mut leases = Leases::new();
    let now = Moment::default();
    for (name, addresses) in [
        ("api.example.com", ["20.0.0.7", "2a01:1::7"].as_slice()),
        ("intern.example.com", &["10.9.0.9"]),
        ("time.sphere.azure.net", &["20.0.0.123"]),
        ("firmware.example.com", &["20.0.0.44"]),
        ("contoso.azure-devices.net", &["20.0.0.45"]),
    ] {
        let record = |address: &&str| AddressRecord {
            address: address.parse().unwrap(),
            ttl: std::time::Duration::from_secs(60),
        };
        let answer = Answer { records: addresses.iter().map(record).collect(), chain: Vec::new(), chain_ttl: None };
        let terms = LeaseTerms::from(&policy.resolver);
        leases.learn(&DomainName::parse(name).unwrap(), &answer, &terms, (now, LeaseSource::Polled));
    }
    let clock = Clock { ticks_per_second: 250, anchor: now, anchor_ticks: 1 << 32 };
    let facts = GatewayFacts::default();
    let inputs = Inputs { policy, leases: &leases, facts: &facts, clock: &clock, now };
    Desired::new(&inputs, &Tables::default()).unwrap().tables
}

/// Whether the tables let devices of the second group reach an address.
fn opens(tables: &Tables, address: &str, (protocol, port): (u8, u16)) -> bool {
    let (group, port_be) = (1, port.to_be_bytes());
    match address.parse().unwrap() {
        IpAddr::V4(address) => {
            let key = Endpoint4Key { group, address: address.octets(), port_be, protocol, pad: 0 };
            tables.endpoints4.contains_key(&key)
        }
        IpAddr::V6(address) => {
            let key = Endpoint6Key { group, address: address.octets(), port_be, protocol, pad: 0 };
            tables.endpoints6.contains_key(&key)
        }
    }
}

/// Whether the tables let an address open flows to devices of the second group.
fn lets_in(tables: &Tables, address: &str, (protocol, port): (u8, u16)) -> bool {
    let (group_be, port_be) = ((1 | INBOUND).to_be_bytes(), port.to_be_bytes());
    match address.parse().unwrap() {
        IpAddr::V4(address) => {
            let data = Cidr4Data { group_be, protocol, pad: 0, port_be, address: address.octets() };
            tables.cidrs4.keys().any(|key| key.data == data && key.prefix_len == Cidr4Data::FIXED_BITS + 32)
        }
        IpAddr::V6(address) => {
            let data = Cidr6Data { group_be, protocol, pad: 0, port_be, address: address.octets() };
            tables.cidrs6.keys().any(|key| key.data == data && key.prefix_len == Cidr6Data::FIXED_BITS + 128)
        }
    }
}

#[test]
fn what_is_suggested_is_accepted_and_allows_what_was_denied() {
    let place = Place::with("round", &denials());
    let records = place.write("denied.jsonl", RECORDS);
    let config = place.write("policy.toml", POLICY);
    let arguments = ["--config", &config, "--records", &records];
    let output = place.suggest(&arguments);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    let suggested = text(&output.stdout);
    let pasted = paste(POLICY, &suggested);
    let config = place.write("pasted.toml", &pasted);
    let check = place.run(&["check", &config]);
    assert_eq!(check.status.code(), Some(0), "{}\n{suggested}", text(&check.stderr));

    let before = tables(&policy::parse(POLICY, "policy.toml").unwrap());
    let after = tables(&policy::parse(&pasted, "pasted.toml").unwrap());
    for (address, service) in [
        ("20.0.0.7", (TCP, 443)),
        ("2a01:1::7", (TCP, 443)),
        ("10.9.0.9", (UDP, 5000)),
        ("20.0.0.8", (UDP, 5683)),
        ("2a01:1::8", (TCP, 8883)),
        ("20.0.0.9", (1, 0)),
        ("2a01:1::9", (58, 0)),
        ("20.0.0.53", (UDP, 53)),
        ("2a01:1::53", (TCP, 53)),
        ("20.0.0.85", (TCP, 853)),
        ("20.0.0.123", (UDP, 123)),
        ("20.0.0.44", (TCP, 8443)),
        ("20.0.0.45", (TCP, 8883)),
    ] {
        assert!(!opens(&before, address, service), "{address} {service:?}");
        assert!(opens(&after, address, service), "{address} {service:?}\n{suggested}");
    }
    for (address, service) in [("20.3.0.1", (TCP, 8080)), ("2a01:3::1", (TCP, 22)), ("20.3.0.2", (1, 0))] {
        assert!(!lets_in(&before, address, service), "{address} {service:?}");
        assert!(lets_in(&after, address, service), "{address} {service:?}\n{suggested}");
    }
    assert!(!opens(&after, "20.0.0.66", (TCP, 80)), "what attackers send is not suggested");

    let again = text(&place.suggest(&["--config", &config, "--records", &records]).stdout);
    assert!(again.starts_with("# nothing to suggest\n") && again.contains("# already-allowed"), "{again}");
}

#[test]
fn filters_hold_for_the_store_and_for_records() {
    let place = Place::with("filters", &denials());
    let records = place.write("denied.jsonl", RECORDS);
    let suggested = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["--records", &records, "--json"].iter().chain(arguments).copied().collect();
        let lines = text(&place.suggest(&arguments).stdout);
        let rows = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let rows = rows.filter(|row| row["state"] != "not-suggested");
        rows.map(|row| format!("{} {}", row["kind"].as_str().unwrap(), row["target"].as_str().unwrap_or("-")))
            .collect::<Vec<_>>()
    };
    assert_eq!(suggested(&["--device", "10.20.0.4"]), ["address 20.0.0.8"]);
    assert_eq!(suggested(&["--reason", "query-name", "--to", "firmware.example.com"]), ["host firmware.example.com"]);
    assert_eq!(suggested(&["--reason", "resolver"]), ["resolvers -"]);
    assert_eq!(suggested(&["--port", "853"]), ["address 20.0.0.85"]);
    assert_eq!(suggested(&["--group", "nobody"]), [""; 0]);
    assert_eq!(suggested(&["--verdict", "audit"]), [""; 0]);
    assert_eq!(suggested(&["--until", "2026-01-01"]), [""; 0]);
    assert_eq!(suggested(&["--min-devices", "2"]), ["resolvers -", "host api.example.com"]);
    assert_eq!(suggested(&["--min-packets", "1000"]), [""; 0]);
}

#[test]
fn what_cannot_be_done_ends_with_what_to_do() {
    let place = Place::with("errors", &denials());
    let said = |arguments: &[&str]| {
        let output = place.suggest(arguments);
        assert_eq!(output.stdout, b"");
        (output.status.code(), text(&output.stderr))
    };
    let bad = place.write("bad.toml", "version = 1\n");
    let (code, words) = said(&["--config", &bad]);
    assert!(code == Some(3) && words.contains("no groups"), "{words}");
    let (code, words) = said(&["--records", "/nonexistent.jsonl"]);
    assert!(code == Some(1) && words.contains("cannot read the records of /nonexistent.jsonl"), "{words}");
    let (code, words) = said(&["--since=1h", "--until=2h"]);
    assert!(code == Some(2) && words.contains("give the earlier time to --since"), "{words}");
    let empty = Place::new("absent").suggest(&[]);
    assert!(empty.status.code() == Some(5) && text(&empty.stderr).contains("no store at"), "{empty:?}");
    let junk = place.write("junk.jsonl", "no record\n{\"schema\":\"other/1\"}\n");
    let output = place.suggest(&["--records", &junk]);
    assert!(output.status.success() && text(&output.stderr).contains("2 lines are no records"), "{output:?}");
}
