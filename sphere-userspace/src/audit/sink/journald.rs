//! The journal, over its native protocol: a datagram a record, a line a field.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use super::{Batch, Output};
use crate::audit::{Record, Value};

/// How long to wait for room in the journal's queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// Priorities of syslog(3).
const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;

pub(super) struct Journald {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journald {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, socket: None }
    }

    fn send(&mut self, record: &Record) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(PATIENCE))?;
                socket.connect(&self.path)?;
                socket
            }
        };
        // After a failure a new socket finds the journal that has taken the place of the old one.
        socket.send(&datagram(record))?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Output for Journald {
    fn deliver(&mut self, batch: &mut Batch) -> io::Result<()> {
        while let Some(record) = batch.first() {
            self.send(&record)?;
            batch.delivered(1);
        }
        Ok(())
    }
}

/// The fields of a record as the journal wants them.
fn datagram(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2048);
    let priority = if record.is_let_through() { INFORMATIONAL } else { WARNING };
    put(&mut bytes, "PRIORITY", &priority.to_string());
    put(&mut bytes, "SYSLOG_IDENTIFIER", "sphere");
    for (field, value) in record.fields() {
        let name = name(field.name());
        match value {
            Value::Text(text) => put(&mut bytes, &name, text),
            Value::Number(number) => put(&mut bytes, &name, &number.to_string()),
            // A field may be there several times.
            Value::Texts(texts) => texts.iter().for_each(|text| put(&mut bytes, &name, text)),
        }
    }
    bytes
}

/// A name of capitals, digits and underscores that begins with a letter.
fn name(field: &str) -> String {
    field.trim_start_matches('@').replace('.', "_").to_ascii_uppercase()
}

/// A field; a value with line ends stands behind its length.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend(name.bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend((value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend(value.bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::super::tests::record;
    use super::*;
    use crate::audit::Field;

    #[test]
    fn names_are_those_that_the_journal_takes() {
        let names: Vec<String> = Field::ALL.iter().map(|field| name(field.name())).collect();
        let is_name = |name: &String| {
            name.len() <= 64
                && name.starts_with(|first: char| first.is_ascii_uppercase())
                && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        };
        assert!(names.iter().all(is_name), "{names:?}");
        assert!(names.contains(&"MESSAGE".to_owned()) && names.contains(&"SOURCE_IP".to_owned()));
    }

    #[test]
    fn a_record_is_a_line_a_field() {
        let text = String::from_utf8(datagram(&record(1_000))).unwrap();
        for line in
            ["PRIORITY=4", "SYSLOG_IDENTIFIER=sphere", "EVENT_ACTION=deny", "EVENT_TYPE=denied", "NETWORK_PACKETS=1"]
        {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn a_value_of_several_lines_stands_behind_its_length() {
        let mut bytes = Vec::new();
        put(&mut bytes, "A", "b\nc");
        assert_eq!(bytes, b"A\n\x03\0\0\0\0\0\0\0b\nc\n");
    }
}
