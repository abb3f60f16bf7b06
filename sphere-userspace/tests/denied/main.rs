//! `sphere denied` as it is run: against a store of its own, as any user, without a daemon.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod follow;
mod store;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sphere_common::verdict::{Direction, Reason, Verdict};
use sphere_userspace::store::{Denial, Outcome, Store, StoreSettings};

/// A store that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sphere-denied-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        Self(path)
    }

    fn with(name: &str, denials: &[Denial]) -> Self {
        let place = Self::new(name);
        let mut store = Store::open(StoreSettings::new(&place.0)).unwrap();
        assert_eq!(store.ingest(denials, SystemTime::now()).unwrap(), Outcome::Written);
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn denial(device: u8, peer: u8, reason: Reason, packets: u64) -> Denial {
    let last = SystemTime::now() - Duration::from_secs(30);
    Denial {
        device: IpAddr::from([10, 20, 0, device]),
        group_number: 0,
        group: "sphere".to_owned(),
        peer: Some(IpAddr::from([203, 0, 113, peer])),
        peer_names: if peer == 7 { vec!["api.example.com".to_owned()] } else { Vec::new() },
        protocol: Some(6),
        peer_port: Some(443),
        direction: Direction::Ingress,
        verdict: Verdict::Deny,
        reason,
        episode: u64::from(device) << 8 | u64::from(peer),
        boot: 1,
        packets,
        bytes: packets * 74,
        first: last - Duration::from_secs(90),
        last,
    }
}

fn denied(store: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sphere"))
        .args(["denied", "--store"])
        .arg(store)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_table_without_colour_says_what_was_denied_and_why() {
    let denials = [denial(5, 7, Reason::Destination, 12), denial(6, 9, Reason::EncryptedDns, 3)];
    let place = Place::with("table", &denials);
    let output = denied(&place.0, &[]);
    let shown = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{shown}");
    for words in [
        "10.20.0.5",
        "api.example.com",
        "tcp/443",
        "destination: no rule allows this destination",
        "encrypted-dns: encrypted DNS to a server that is not allowed",
        "2 lines; in all 15 packets",
    ] {
        assert!(shown.contains(words), "`{words}` is not in:\n{shown}");
    }
    assert!(shown.is_ascii() && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn json_has_what_makes_a_line_and_what_came_to_it() {
    let denials = [denial(5, 7, Reason::Destination, 12), denial(6, 7, Reason::Destination, 3)];
    let place = Place::with("json", &denials);
    let output = denied(&place.0, &["--json", "--by", "to,name,reason", "--to", "example.com", "--since", "1h"]);
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let mut line = lines[0].clone();
    for time in ["first_time", "last_time"] {
        let time = line.as_object_mut().unwrap().remove(time).unwrap();
        humantime::parse_rfc3339(time.as_str().unwrap()).unwrap();
    }
    let expected = serde_json::json!({
        "schema": "sphere.denied-total/1", "peer": "203.0.113.7", "peer_names": ["api.example.com"],
        "reason": "destination", "explanation": "no rule allows this destination",
        "remedy": "an answer opens a documentation address only with `allow_private = true` in a [[group.allow]] for its name",
        "packets": 15, "bytes": 1110,
    });
    assert_eq!(line, expected);
}

#[test]
fn csv_begins_with_its_header() {
    let place = Place::with("csv", &[denial(5, 7, Reason::Destination, 12)]);
    let output = text(&denied(&place.0, &["--csv", "--by", "device"]).stdout);
    assert!(output.starts_with("device,packets,bytes,first_time,last_time\r\n10.20.0.5,12,888,20"), "{output}");
}

#[test]
fn what_cannot_be_answered_ends_with_what_to_do() {
    let place = Place::new("errors");
    let said = |arguments: &[&str]| {
        let output = denied(&place.0, arguments);
        assert_eq!(output.stdout, b"");
        (output.status.code(), text(&output.stderr))
    };
    let (code, words) = said(&[]);
    assert!(code == Some(5) && words.contains("no store at") && words.contains("--store"), "{words}");
    let (code, words) = said(&["--reason", "destinatoin"]);
    assert!(code == Some(2) && words.contains("similar value") && words.contains("'destination'"), "{words}");
    let (code, words) = said(&["--by", "devices"]);
    assert!(code == Some(2) && words.contains("'device'"), "{words}");
    for (arguments, remedy) in [
        (["--since", "yesterday"], "how long ago: 30m, 2h, 7d"),
        (["--device", "sensor-1"], "a network such as 10.20.0.0/24"),
        (["--to", "a..b"], "a network such as 203.0.113.0/24"),
        (["--port", "https"], "such as 443 or tcp/443"),
        (["--top", "many"], "how many lines, 0 for all"),
        (["--since=1h", "--until=2h"], "give the earlier time to --since"),
        (["--protocol", "http"], "tcp, udp, icmp, icmpv6 or a number"),
    ] {
        let (code, words) = said(&arguments);
        assert!(code == Some(2) && words.contains(remedy), "{words}");
    }
    fs::create_dir_all(&place.0).unwrap();
    let output = denied(&place.0, &[]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "nothing is in the store yet\n"));
}
