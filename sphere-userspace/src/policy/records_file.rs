//! Reads `[records]` and its sinks.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    document::{Fields, Value},
    findings::{Findings, Located},
    records::{HostPort, RecordFile, RecordSettings, SinkSettings, SinkTarget, TlsSettings},
    size, values,
};

/// Sinks of a policy: each has a thread and a queue.
const MOST_SINKS: usize = 16;
const HOUR: Duration = Duration::from_secs(60 * 60);
const QUEUES: RangeInclusive<u32> = 16..=1_048_576;
const FILES: RangeInclusive<u32> = 1..=1_000;
const SIZES: RangeInclusive<u64> = 64 << 10..=1 << 40;
/// Where the journal listens (systemd.journal-fields(7)).
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Where a collector takes logs (OTLP/HTTP).
const LOGS: &str = "/v1/logs";

/// What a sink can be.
#[derive(Clone, Copy)]
enum Kind {
    Stdout,
    File,
    Journald,
    Syslog,
    Otlp,
}

const KINDS: [(&str, Kind); 5] = [
    ("stdout", Kind::Stdout),
    ("file", Kind::File),
    ("journald", Kind::Journald),
    ("syslog", Kind::Syslog),
    ("otlp", Kind::Otlp),
];

/// Reads the table.
pub(super) fn records(mut fields: Fields<'_>, findings: &mut Findings) -> RecordSettings {
    let mut settings = RecordSettings::default();
    if let Some(window) = fields.take("window").and_then(|value| value.duration(&(Duration::ZERO..HOUR), findings)) {
        settings.window = window;
    }
    if let Some(value) = fields.take("sink") {
        let tables = value.tables("a sink", findings);
        if tables.is_empty() {
            findings.warn(value.span(), "records of denied packets go nowhere", "add a [[records.sink]]");
        }
        if tables.len() > MOST_SINKS {
            let message = format!("there are {} sinks, above {MOST_SINKS}", tables.len());
            findings.error(value.span(), message, "remove some");
        }
        let sinks: Vec<_> = tables.into_iter().filter_map(|table| sink(table, findings)).collect();
        report_twice(&sinks, findings);
        settings.sinks = sinks.into_iter().map(|sink| sink.value).collect();
    }
    fields.finish(findings);
    settings
}

/// Two sinks to one place would write over each other, or tell everything twice.
fn report_twice(sinks: &[Located<SinkSettings>], findings: &mut Findings) {
    for (index, sink) in sinks.iter().enumerate() {
        let name = sink.value.target.to_string();
        let first = sinks.iter().take(index).find(|other| other.value.target.to_string() == name);
        if let Some(first) = first {
            let message = format!("the sink `{name}` is there twice");
            findings.error_beside(&sink.span, (message, "remove one"), (&first.span, "the first"));
        }
    }
}

fn sink(mut fields: Fields<'_>, findings: &mut Findings) -> Option<Located<SinkSettings>> {
    let span = fields.span().clone();
    let kind = fields.require("type", findings).and_then(|value| value.one_of(&KINDS, findings));
    let queue = fields.take("queue").and_then(|value| value.integer(QUEUES, findings));
    // Without a type it is not known which keys there may be.
    let target = match kind? {
        Kind::Stdout => Some(SinkTarget::Stdout),
        Kind::File => file(&mut fields, findings).map(SinkTarget::File),
        Kind::Journald => {
            let socket = fields.take("socket").map(|value| path("socket", &value, findings));
            socket.unwrap_or_else(|| Some(JOURNAL.into())).map(|socket| SinkTarget::Journald { socket })
        }
        Kind::Syslog => syslog(&mut fields, findings),
        Kind::Otlp => otlp(&mut fields, findings),
    };
    fields.finish(findings);
    let queue = queue.and_then(|queue| usize::try_from(queue).ok()).unwrap_or(SinkSettings::QUEUE);
    Some(Located { value: SinkSettings { target: target?, queue }, span })
}

fn file(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<RecordFile> {
    let path = fields.require("path", findings).and_then(|value| path("path", &value, findings));
    let rotate_bytes = fields.take("rotate").and_then(|value| size::bytes(&value, &SIZES, findings));
    let keep = fields.take("keep").and_then(|value| value.integer(FILES, findings));
    Some(RecordFile { path: path?, rotate_bytes, keep: keep.or(rotate_bytes.map(|_| RecordFile::KEEP)) })
}

fn syslog(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<SinkTarget> {
    let server = fields.require("server", findings).and_then(|value| server(&value, findings));
    let words = [("tcp", false), ("tls", true)];
    let transport = fields.require("transport", findings).and_then(|value| value.one_of(&words, findings));
    let tls = tls(fields, transport == Some(false), findings);
    Some(SinkTarget::Syslog { server: server?, tls: transport?.then_some(tls) })
}

fn server(value: &Value<'_>, findings: &mut Findings) -> Option<HostPort> {
    let text = values::line(value, findings)?;
    let server = HostPort::parse(text.value);
    if server.is_none() {
        let remedy = "write a name or an address and a port: \"logs.example.net:6514\", \"[2001:db8::1]:6514\"";
        findings.error(&text.span, format!("`{}` is no server", text.value), remedy);
    }
    server
}

fn otlp(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<SinkTarget> {
    let url = fields.require("url", findings).and_then(|value| url(&value, findings));
    let is_plain = url.as_ref().is_some_and(|url| url.starts_with("http:"));
    let tls = tls(fields, is_plain, findings);
    let authorization = fields.take("authorization").map(|value| path("authorization", &value, findings));
    let authorization = authorization.map_or(Some(None), |path| path.map(Some));
    Some(SinkTarget::Otlp { url: url?, tls, authorization: authorization? })
}

/// An URL of HTTP; without a path, with the one that collectors have.
fn url(value: &Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = values::line(value, findings)?;
    let parts = text.value.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    let parts = parts.map(|(scheme, rest)| match rest.find('/') {
        Some(at) => (scheme, rest.split_at(at)),
        None => (scheme, (rest, "")),
    });
    let is_path = |path: &str| path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    match parts {
        Some((scheme, (host, path))) if is_authority(host) && is_path(path) => {
            let path = if matches!(path, "" | "/") { LOGS } else { path };
            Some(format!("{scheme}://{host}{path}"))
        }
        _ => {
            let remedy = "write an URL such as \"https://collector.example.net:4318/v1/logs\"";
            findings.error(&text.span, format!("`{}` is no URL of a collector", text.value), remedy);
            None
        }
    }
}

/// Whether it is a host, with or without a port. A user is none of it.
fn is_authority(text: &str) -> bool {
    HostPort::parse(text).is_some() || HostPort::parse(&format!("{text}:1")).is_some()
}

/// The keys about TLS, which say nothing where it `is_unused`.
fn tls(fields: &mut Fields<'_>, is_unused: bool, findings: &mut Findings) -> TlsSettings {
    let mut settings = TlsSettings::default();
    let [roots, certificate, key] = ["roots", "certificate", "key"].map(|name| (name, fields.take(name)));
    for (name, value) in [&roots, &certificate, &key] {
        if let Some(value) = value.as_ref().filter(|_| is_unused) {
            let remedy = "remove it, or secure the connection (`transport = \"tls\"`, `https:`)";
            findings.error(value.span(), format!("`{name}` is for TLS, which this sink does not use"), remedy);
        }
    }
    if let (name, Some(value)) = &roots
        && let Some(path) = path(name, value, findings)
    {
        settings.roots = path;
    }
    let certificate_path = certificate.1.as_ref().and_then(|value| path(certificate.0, value, findings));
    let key_path = key.1.as_ref().and_then(|value| path(key.0, value, findings));
    match (&certificate.1, &key.1) {
        (Some(one), None) | (None, Some(one)) => {
            let remedy = "name both files, or none";
            findings.error(one.span(), "a certificate goes with its key", remedy);
        }
        (Some(_), Some(_)) | (None, None) => settings.identity = certificate_path.zip(key_path),
    }
    settings
}

/// An absolute path.
fn path(name: &str, value: &Value<'_>, findings: &mut Findings) -> Option<PathBuf> {
    let text = values::line(value, findings)?;
    let path = PathBuf::from(text.value);
    if !path.is_absolute() {
        findings.error(&text.span, format!("`{name}` is no absolute path"), "write a path that begins with `/`");
        return None;
    }
    Some(path)
}
