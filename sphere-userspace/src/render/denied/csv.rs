//! Comma-separated values as RFC 4180 has them: a header, lines that end in CR and LF, quotes where they are needed. The
//! columns are named as the keys in JSON; names of the other side have spaces between them.

use std::io::{self, Write};

use serde_json::Value;

use super::row::Row;
use crate::policy::plain;
use crate::store::{Field, Fields, Line};

/// Columns that every line has.
const SUMS: [&str; 4] = ["packets", "bytes", "first_time", "last_time"];

/// Writes the names of the columns.
pub(super) fn write_header(output: &mut impl Write, by: Fields) -> io::Result<()> {
    write_record(output, columns(by).into_iter().map(str::to_owned))
}

/// Writes a line.
pub(super) fn write_line(output: &mut impl Write, line: &Line, by: Fields) -> io::Result<()> {
    let row = serde_json::to_value(Row::new(line, by))?;
    write_record(output, columns(by).into_iter().map(|column| row.get(column).map(text).unwrap_or_default()))
}

fn columns(by: Fields) -> Vec<&'static str> {
    let of_field = |field| -> &[&str] {
        match field {
            Field::Day => &["day"],
            Field::Hour => &["hour"],
            Field::Device => &["device"],
            Field::Group => &["group"],
            Field::To => &["peer", "peer_names"],
            Field::Name if by.has(Field::To) => &[],
            Field::Name => &["peer_names"],
            Field::Protocol => &["protocol"],
            Field::Port if by.has(Field::Protocol) => &["peer_port", "icmp_type", "icmp_code", "ethertype"],
            Field::Port => &["protocol", "peer_port", "icmp_type", "icmp_code", "ethertype"],
            Field::Direction => &["direction"],
            Field::Verdict => &["verdict"],
            Field::Reason => &["reason", "explanation", "remedy"],
        }
    };
    by.iter().flat_map(of_field).copied().chain(SUMS).collect()
}

fn text(value: &Value) -> String {
    match value {
        // Names are what somebody answered.
        Value::String(text) => plain(text),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn write_record(output: &mut impl Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            output.write_all(b",")?;
        }
        if field.contains(['"', ',', '\r', '\n']) {
            write!(output, "\"{}\"", field.replace('"', "\"\""))?;
        } else {
            output.write_all(field.as_bytes())?;
        }
    }
    output.write_all(b"\r\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_is_quoted() {
        let mut output = Vec::new();
        let fields = ["plain", "a,b", "say \"no\"", "two\nlines", ""];
        write_record(&mut output, fields.map(str::to_owned).into_iter()).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "plain,\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",\r\n");
    }
}
