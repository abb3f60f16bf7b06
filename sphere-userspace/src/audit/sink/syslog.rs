//! A syslog server over TCP or TLS: RFC 5424 messages, each behind its length (RFC 6587 section 3.4.1, RFC 5425), that
//! hold a CEF event.
//!
//! The protocol has no acknowledgement: what a receiver's kernel took before the receiver died is lost, and not known to
//! be. What was not written whole is written again over the next connection.

use std::io::{self, ErrorKind};

use super::channel::Channel;
use super::{Batch, Output};
use crate::audit::{Field, Record, cef};
use crate::policy::{HostPort, TlsSettings};

/// Facility local0 (RFC 5424 section 6.2.1).
const FACILITY: u8 = 16;
const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;
/// Longest host name in a message (RFC 5424 section 6).
const HOST_BYTES: usize = 255;

pub(super) struct Syslog {
    server: HostPort,
    tls: Option<TlsSettings>,
    channel: Option<Channel>,
    /// Records of the batch that the channel has in hand.
    in_hand: usize,
    host: String,
}

impl Syslog {
    pub(super) fn new(server: HostPort, tls: Option<TlsSettings>) -> Self {
        Self { server, tls, channel: None, in_hand: 0, host: host() }
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        // One that has something in hand finds out by itself.
        let usable = |channel: &mut Channel| !channel.is_idle() || !channel.is_closed();
        let mut channel = match self.channel.take().and_then(|mut known| usable(&mut known).then_some(known)) {
            Some(channel) => channel,
            None => Channel::open(&self.server, self.tls.as_ref())?,
        };
        if channel.is_idle() {
            channel.begin(batch.iter().flat_map(|record| frame(&message(record, &self.host))).collect());
            self.in_hand = batch.len();
        }
        let written = channel.write();
        if !matches!(&written, Err(error) if error.kind() != ErrorKind::TimedOut) {
            self.channel = Some(channel);
        }
        written
    }
}

impl Output for Syslog {
    fn deliver(&mut self, batch: &mut Batch) -> io::Result<()> {
        self.write(batch)?;
        batch.delivered(self.in_hand);
        Ok(())
    }
}

/// A message behind its length.
fn frame(message: &str) -> Vec<u8> {
    format!("{} {message}", message.len()).into_bytes()
}

/// Header, no structured data, and the event.
fn message(record: &Record, host: &str) -> String {
    let severity = if record.is_let_through() { INFORMATIONAL } else { WARNING };
    let priority = FACILITY * 8 + severity;
    let time = record.text(Field::Timestamp).unwrap_or("-");
    format!("<{priority}>1 {time} {host} sphere {} denied - {}", std::process::id(), cef::event(record))
}

/// The gateway's name, as far as a message can hold it.
fn host() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(HOST_BYTES).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn a_message_has_the_header_of_rfc_5424_and_its_length_before_it() {
        let text = message(&record(1_000), "gw");
        let start = format!("<132>1 1970-01-01T00:00:01.000000Z gw sphere {} denied - CEF:0|", std::process::id());
        assert!(text.starts_with(&start), "{text}");
        let frame = String::from_utf8(frame(&text)).unwrap();
        let (length, rest) = frame.split_once(' ').unwrap();
        assert_eq!((length.parse(), rest), (Ok(text.len()), text.as_str()));
    }
}
