//! What was denied: a table for people in 80 columns, JSON lines and comma-separated values for machines.

mod csv;
mod live;
mod remedy;
mod row;

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::time::SystemTime;

use sphere_common::verdict::{Reason, Verdict};

pub use self::live::Live;
pub(super) use self::remedy::remedy;
use self::row::{Row, is_address, service, special_peer};
use super::json_text;
use super::table::{span, table, write_narrow};
use crate::policy::{plain, wrap};
use crate::resolve::Special;
use crate::store::{Answer, Field, Fields, Line};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON object a line.
    Json,
    /// RFC 4180.
    Csv,
}

/// Writes an answer.
///
/// # Errors
///
/// When the output fails.
pub(super) fn write_answer(output: &mut impl Write, answer: &Answer, format: Format) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    match format {
        Format::Table => write_table(&mut output, answer, SystemTime::now())?,
        Format::Json => {
            for line in &answer.lines {
                write_json(&mut output, line, answer.by)?;
            }
        }
        Format::Csv => {
            csv::write_header(&mut output, answer.by)?;
            for line in &answer.lines {
                csv::write_line(&mut output, line, answer.by)?;
            }
        }
    }
    output.flush()
}

/// Writes a line as a JSON object.
fn write_json(output: &mut impl Write, line: &Line, by: Fields) -> io::Result<()> {
    writeln!(output, "{}", json_text(&Row::new(line, by))?)
}

/// Writes the lines below each other, what the reasons mean, and what came to all.
fn write_table(output: &mut impl Write, answer: &Answer, now: SystemTime) -> io::Result<()> {
    let Answer { by, lines, .. } = answer;
    if lines.is_empty() {
        return write_nothing(output, answer);
    }
    let columns = columns(*by);
    let headers: Vec<&str> = columns.iter().map(|column| column.header()).collect();
    let right: Vec<usize> = (0..columns.len()).filter(|index| columns[*index].is_number()).collect();
    let mut shown = table(&headers, &right);
    for line in lines {
        shown.add_row(columns.iter().map(|column| column.cell(line, *by, now)));
    }
    write_narrow(output, shown)?;
    writeln!(output)?;
    for words in legend(lines) {
        writeln!(output, "{words}")?;
    }
    let (count, packets) = (answer.lines_in_all, answer.packets_in_all);
    let lines = match lines.len() {
        all if all as u64 == count => format!("{count} {}", if count == 1 { "line" } else { "lines" }),
        some => format!("{some} of {count} lines (--top)"),
    };
    writeln!(output, "{lines}; in all {packets} packets")?;
    writeln!(output, "first and last: how long ago")
}

fn write_nothing(output: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let time = |time| humantime::format_rfc3339_seconds(time);
    match answer.has {
        Some((from, to)) => {
            writeln!(output, "nothing like that was denied; the store has the hours from")?;
            writeln!(output, "{} to {}", time(from), time(to))
        }
        None => writeln!(output, "nothing is in the store yet"),
    }
}

/// What the reasons in some lines mean, and what would have to change.
fn legend(lines: &[Line]) -> Vec<String> {
    let is_there = |reason: &Reason| lines.iter().any(|line| line.kind.reason.as_deref() == Some(reason.word()));
    let mut legend = Vec::new();
    for reason in Reason::ALL.iter().copied().filter(is_there) {
        legend.push(format!("{}: {}", reason.word(), reason.sentence()));
        legend.extend(remedy(reason).map(|remedy| format!("  remedy: {remedy}")));
        let special: BTreeSet<Special> = lines.iter().filter_map(|line| special_peer(reason, line)).collect();
        for special in special {
            let words = wrap(&format!("of names: {}", special.remedy()), 2, 2);
            legend.extend(words.iter().map(|line| format!("  {line}")));
        }
    }
    if lines.iter().any(is_audit) {
        legend.push("(audit): would be denied if the group were in enforce mode".to_owned());
    }
    legend
}

fn is_audit(line: &Line) -> bool {
    line.kind.verdict.as_deref() == Some(Verdict::Audit.word())
}

/// A column of the table. Fields that explain each other share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Of(Field),
    Packets,
    Bytes,
    First,
    Last,
}

/// The fields that have a column of their own.
fn shown_fields(by: Fields) -> impl Iterator<Item = Field> {
    by.iter().filter(move |field| match field {
        Field::Day => !by.has(Field::Hour),
        Field::Name | Field::Direction => !by.has(Field::To),
        Field::Protocol => !by.has(Field::Port),
        Field::Verdict => !by.has(Field::Reason),
        Field::Hour | Field::Device | Field::Group | Field::To | Field::Port | Field::Reason => true,
    })
}

/// The columns for some fields.
fn columns(by: Fields) -> Vec<Column> {
    let mut columns: Vec<Column> = shown_fields(by).map(Column::Of).collect();
    columns.push(Column::Packets);
    // Addresses and names take the room.
    if !(by.has(Field::Device) && by.has(Field::To)) {
        columns.push(Column::Bytes);
    }
    columns.extend([Column::First, Column::Last]);
    columns
}

impl Column {
    const fn header(self) -> &'static str {
        match self {
            Self::Of(Field::Port) => "service",
            Self::Of(field) => field.word(),
            Self::Packets => "packets",
            Self::Bytes => "bytes",
            Self::First => "first",
            Self::Last => "last",
        }
    }

    const fn is_number(self) -> bool {
        matches!(self, Self::Packets | Self::Bytes | Self::First | Self::Last)
    }

    fn cell(self, line: &Line, by: Fields, now: SystemTime) -> String {
        let ago = |time| span(now.duration_since(time).map_or(0, |since| since.as_secs()));
        match self {
            // Names are what somebody answered.
            Self::Of(field) => plain(&field_cell(field, line, by)),
            Self::Packets => line.sum.packets.to_string(),
            Self::Bytes => line.sum.bytes.to_string(),
            Self::First => ago(line.sum.first()),
            Self::Last => ago(line.sum.last()),
        }
    }
}

fn field_cell(field: Field, line: &Line, by: Fields) -> String {
    let kind = &line.kind;
    let word = |word: &Option<std::sync::Arc<str>>| word.as_deref().unwrap_or("-").to_owned();
    let time = |characters: usize| {
        let text = line.time.map(|time| humantime::format_rfc3339_seconds(time).to_string()).unwrap_or_default();
        text.replace('T', " ").chars().take(characters).collect()
    };
    match field {
        Field::Day => time(10),
        Field::Hour => time(16),
        Field::Device => line.device.filter(is_address).map_or_else(|| "-".to_owned(), |device| device.to_string()),
        Field::Group => word(&kind.group),
        Field::To => other_side(line),
        Field::Name => line.names.as_deref().filter(|names| !names.is_empty()).unwrap_or("-").to_owned(),
        Field::Protocol | Field::Port => service(kind, by),
        Field::Direction => word(&kind.direction),
        Field::Verdict => word(&kind.verdict),
        Field::Reason if is_audit(line) => format!("{} (audit)", word(&kind.reason)),
        Field::Reason => word(&kind.reason),
    }
}

/// Address and names, with a word before what came from there.
fn other_side(line: &Line) -> String {
    let address = match line.peer {
        None => "other destinations".to_owned(),
        Some(peer) if is_address(&peer) => peer.to_string(),
        Some(_) => "-".to_owned(),
    };
    let from = if line.kind.direction.as_deref() == Some("to-device") { "from " } else { "" };
    match line.names.as_deref().filter(|names| !names.is_empty()) {
        Some(names) => format!("{from}{names} {address}"),
        None => format!("{from}{address}"),
    }
}

#[cfg(test)]
mod tests;
