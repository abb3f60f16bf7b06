//! Reads `[records]` and its sinks.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    document::{Fields, Value},
    findings::{Findings, Located},
    records::{RecordFile, RecordSettings, SinkSettings, SinkTarget},
    size, values,
};

/// Sinks of a policy: each has a thread and a queue.
const MOST_SINKS: usize = 16;
const HOUR: Duration = Duration::from_secs(60 * 60);
const QUEUES: RangeInclusive<u32> = 16..=1_048_576;
const FILES: RangeInclusive<u32> = 1..=1_000;
const SIZES: RangeInclusive<u64> = 64 << 10..=1 << 40;
/// What a sink can be.
#[derive(Clone, Copy)]
enum Kind {
    Stdout,
    File,
}

const KINDS: [(&str, Kind); 2] = [("stdout", Kind::Stdout), ("file", Kind::File)];

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
