//! `[records]`: what each key of a sink means, and what is wrong with others.

use std::time::Duration;

use sphere_userspace::policy::{HostPort, RecordFile, SinkSettings, SinkTarget, TlsSettings};

use crate::errors::{assert_each, replaced};
use crate::{GOOD, invalid, lines, valid, with};

const SMALLEST: &str = "version = 1\n[[interface]]\nname = \"lan0\"\nother_sources = \"deny\"\n\
                        [[group]]\nname = \"g\"\nmode = \"enforce\"\ninterfaces = [\"lan0\"]\n\
                        subnets = [\"10.20.0.0/24\"]\n[[group.allow]]\nhost = \"a.example\"\nports = [\"tcp/443\"]\n";

fn sinks(text: &str) -> Vec<SinkTarget> {
    let policy = valid(&format!("{SMALLEST}{text}"));
    assert_eq!(lines(&policy.warnings), Vec::<String>::new());
    policy.records.sinks.into_iter().map(|sink| sink.target).collect()
}

#[test]
fn every_key_ends_up_in_its_field() {
    let sinks = valid(GOOD).records.sinks;
    let file = RecordFile { path: "/var/log/sphere/denied.jsonl".into(), rotate_bytes: Some(64 << 20), keep: Some(3) };
    let identity = Some(("/etc/sphere/gateway.pem".into(), "/etc/sphere/gateway.key".into()));
    let server = HostPort { host: "logs.example.net".to_owned(), port: 6514 };
    let expected = [
        SinkSettings::new(SinkTarget::Stdout),
        SinkSettings { target: SinkTarget::File(file), queue: 1_000 },
        SinkSettings::new(SinkTarget::Journald { socket: "/run/systemd/journal.sphere/socket".into() }),
        SinkSettings::new(SinkTarget::Syslog {
            server,
            tls: Some(TlsSettings { roots: "/etc/sphere/logs.pem".into(), identity }),
        }),
        SinkSettings::new(SinkTarget::Otlp {
            url: "https://collector.example.net:4318/v1/logs".to_owned(),
            tls: TlsSettings::default(),
            authorization: Some("/etc/sphere/collector.token".into()),
        }),
    ];
    assert_eq!(sinks, expected);
}

#[test]
fn what_is_left_out_has_its_default() {
    let policy = valid(SMALLEST);
    assert_eq!(policy.records.window, Duration::from_secs(10));
    assert_eq!(policy.records.sinks, [SinkSettings::new(SinkTarget::Stdout)]);
    let [file, rotated] = sinks(
        "[[records.sink]]\ntype = \"file\"\npath = \"/a\"\n\
         [[records.sink]]\ntype = \"file\"\npath = \"/b\"\nrotate = \"1MiB\"\n",
    )
    .try_into()
    .unwrap();
    assert_eq!(file, SinkTarget::File(RecordFile { path: "/a".into(), rotate_bytes: None, keep: None }));
    let expected = RecordFile { path: "/b".into(), rotate_bytes: Some(1 << 20), keep: Some(RecordFile::KEEP) };
    assert_eq!(rotated, SinkTarget::File(expected));
    let [journald, otlp] = sinks(
        "[[records.sink]]\ntype = \"journald\"\n\
         [[records.sink]]\ntype = \"otlp\"\nurl = \"http://[2001:db8::1]:4318/otlp/v1/logs\"\n",
    )
    .try_into()
    .unwrap();
    assert_eq!(journald, SinkTarget::Journald { socket: "/run/systemd/journal/socket".into() });
    assert!(matches!(otlp, SinkTarget::Otlp { url, .. } if url == "http://[2001:db8::1]:4318/otlp/v1/logs"));
    assert_eq!(sinks("[records]\nwindow = \"0s\"\n"), [SinkTarget::Stdout]);
}

#[test]
fn wrong_values_are_named_with_what_to_write() {
    assert_each([
        replaced("\"/var/log/sphere/denied.jsonl\"", "\"denied.jsonl\"", "\"denied.jsonl\"", &["no absolute path"]),
        replaced("type = \"file\"", "type = \"pipe\"", "\"pipe\"", &["unknown value `pipe`", "stdout, file, journald"]),
        replaced("rotate = \"64MiB\"", "rotate = 64", "64\nkeep", &["a size needs a unit"]),
        replaced("rotate = \"64MiB\"", "rotate = \"1KiB\"", "\"1KiB\"", &["out of bounds", "64KiB"]),
        replaced("keep = 3", "keep = 0", "0\nqueue", &["out of bounds", "from 1"]),
        replaced("queue = 1000", "queue = 1", "1\n\n[[records.sink]]\ntype = \"jour", &["out of bounds", "from 16"]),
        replaced("queue = 1000", "lines = 1000", "lines = 1000", &["unknown key `lines` in a sink"]),
        replaced("\"logs.example.net:6514\"", "\"logs.example.net\"", "\"logs.example.net\"", &["no server", ":6514"]),
        replaced("transport = \"tls\"", "transport = \"udp\"", "\"udp\"", &["unknown value `udp`", "tcp, tls"]),
        replaced("key = \"/etc/sphere/gateway.key\"\n", "", "\"/etc/sphere/gateway.pem\"", &["goes with its key"]),
        replaced("\"https://collector.example.net:4318\"", "\"ftp://a/\"", "\"ftp://a/\"", &["no URL of a collector"]),
        replaced("\"https://collector.example.net:4318\"", "\"https://me@a/\"", "\"https://me@a/\"", &["no URL"]),
    ]);
}

#[test]
fn keys_about_tls_are_refused_where_there_is_none() {
    let errors = invalid(&with("transport = \"tls\"", "transport = \"tcp\""));
    let found: Vec<_> = errors.diagnostics().iter().map(|found| found.message.as_str()).collect();
    let unused = |key: &str| format!("`{key}` is for TLS, which this sink does not use");
    assert_eq!(found, ["roots", "certificate", "key"].map(unused));
}

#[test]
fn no_place_is_written_to_by_two_sinks() {
    let text = format!("{SMALLEST}[[records.sink]]\ntype = \"stdout\"\n[[records.sink]]\ntype = \"stdout\"\n");
    let errors = invalid(&text);
    let [error] = errors.diagnostics() else { panic!("{errors}") };
    assert_eq!(error.message, "the sink `stdout` is there twice");
}
