//! Answers as they are written.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::snapshots::check;
use crate::store::{KindPart, Sum};

fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-11-25T12:00:00Z").unwrap()
}

fn line(device: u8, peer: &str, packets: u64) -> Line {
    let last = now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
    let word = |word: &str| Some(Arc::from(word));
    Line {
        time: None,
        device: Some(format!("10.20.0.{device}").parse().unwrap()),
        peer: peer.parse().ok(),
        names: Some(Arc::from("")),
        kind: Arc::new(KindPart {
            group: None,
            protocol: Some(6),
            port: Some(443),
            direction: word("from-device"),
            verdict: word("deny"),
            reason: word("destination"),
        }),
        sum: Sum { packets, bytes: packets * 74, first_ms: last - 90_000_000, last_ms: last - 42_000 },
    }
}

fn answer() -> Answer {
    let named = Line { names: Some(Arc::from("api.example.com cdn.example.net")), ..line(7, "203.0.113.7", 123_456) };
    let mut long = line(9, "2001:db8:1234:5678:9abc:def0:1234:5678", 20);
    long.kind = Arc::new(KindPart {
        protocol: Some(58),
        port: Some(0x0301),
        direction: Some(Arc::from("to-device")),
        verdict: Some(Arc::from("audit")),
        reason: Some(Arc::from("unsolicited")),
        ..(*long.kind).clone()
    });
    let mut others = line(8, "none", 1);
    others.kind = Arc::new(KindPart { protocol: None, port: None, ..(*others.kind).clone() });
    let lines = vec![named, long, others];
    let by = [Field::Device, Field::To, Field::Name, Field::Port, Field::Direction, Field::Verdict, Field::Reason];
    let has = Some((now() - Duration::from_secs(86_400), now()));
    Answer {
        by: by.into_iter().collect(),
        lines,
        lines_in_all: 340,
        packets_in_all: 123_500,
        left_out: Vec::new(),
        has,
    }
}

fn written(answer: &Answer, format: Format) -> String {
    let mut output = Vec::new();
    match format {
        Format::Table => write_table(&mut output, answer, now()).unwrap(),
        Format::Json | Format::Csv => write_answer(&mut output, answer, format).unwrap(),
    }
    String::from_utf8(output).unwrap()
}

#[test]
fn the_table_fits_80_columns() {
    check("denied.txt", &written(&answer(), Format::Table));
}

#[test]
fn json_is_one_object_a_line() {
    check("denied.json", &written(&answer(), Format::Json));
}

#[test]
fn csv_has_a_header_and_a_line_for_each() {
    assert_eq!(
        written(&answer(), Format::Csv).replace("\r\n", "\n"),
        include_str!("../../../tests/snapshots/denied.csv")
    );
}

#[test]
fn other_fields_make_other_columns() {
    let mut answer = answer();
    answer.by = [Field::Hour, Field::Reason, Field::Verdict].into_iter().collect();
    for line in &mut answer.lines {
        *line = Line { time: Some(now()), device: None, peer: None, names: None, ..line.clone() };
    }
    answer.lines_in_all = 3;
    check("denied-hours.txt", &written(&answer, Format::Table));
}

#[test]
fn nothing_is_said_so() {
    let nothing = Answer { lines: Vec::new(), ..answer() };
    let said = written(&nothing, Format::Table);
    assert!(said.starts_with("nothing like that was denied") && said.contains("2026-11-24T12:00:00Z"), "{said}");
    assert_eq!(written(&Answer { has: None, ..nothing }, Format::Table), "nothing is in the store yet\n");
}

#[test]
fn what_is_told_live_fits_too_and_explains_each_reason_once() {
    let answer = answer();
    let mut live = Live::new(Format::Table, answer.by);
    let mut output = Vec::new();
    live.write(&mut output, &answer.lines).unwrap();
    live.write(&mut output, &answer.lines[..1]).unwrap();
    check("denied-follow.txt", std::str::from_utf8(&output).unwrap());
}
