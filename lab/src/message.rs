//! DNS messages (RFC 1035) made byte by byte: also those that no library would make.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, ensure};

/// Address record.
pub const A: u16 = 1;
/// Alias.
pub const CNAME: u16 = 5;
/// Anything at all (experimental): a favourite of tunnels.
pub const NULL: u16 = 10;
/// Text.
pub const TXT: u16 = 16;
/// IPv6 address record.
pub const AAAA: u16 = 28;
/// A pointer to the asked name, as owner of a record.
pub const ASKED: [u8; 2] = [0xc0, HEADER as u8];
/// Flags of an ordinary answer: response, recursion desired and available.
pub const ANSWER: u16 = 0x8180;
/// The flag of an answer.
const RESPONSE: u16 = 0x8000;
/// The flag of a truncated message.
pub const TRUNCATED: u16 = 0x0200;
/// Response code of a refusal.
pub const REFUSED: u16 = 5;

const HEADER: usize = 12;
const INTERNET: u16 = 1;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Transaction ID.
    pub id: u16,
    /// The asked name, without a final dot.
    pub name: String,
    /// Type of record.
    pub kind: u16,
}

impl Question {
    /// Reads the question of a message.
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        if number16(message, 4)? != 1 {
            return None;
        }
        let (mut labels, mut at) = (Vec::new(), HEADER);
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
            at += length;
        }
        Some(Self { id: number16(message, 0)?, name: labels.join("."), kind: number16(message, at)? })
    }

    /// The query that asks it.
    #[must_use]
    pub fn query(&self) -> Vec<u8> {
        // Recursion desired.
        header(self.id, 0x0100, [1, 0, 0, 0]).into_iter().chain(self.section()).collect()
    }

    /// Whether a message says REFUSED to exactly this question.
    #[must_use]
    pub fn is_refused_by(&self, message: &[u8]) -> bool {
        let is_answer = number16(message, 2).is_some_and(|flags| flags & RESPONSE != 0);
        let behind_header = message.get(HEADER..).unwrap_or_default();
        is_answer
            && response_code(message) == Some(REFUSED)
            && number16(message, 0) == Some(self.id)
            && behind_header == self.section()
    }

    /// The question section.
    #[must_use]
    pub fn section(&self) -> Vec<u8> {
        let mut bytes = name(&self.name);
        bytes.extend(self.kind.to_be_bytes());
        bytes.extend(INTERNET.to_be_bytes());
        bytes
    }
}

/// An answer in the making.
#[derive(Clone, Debug)]
pub struct Answer {
    id: u16,
    flags: u16,
    questions: Vec<Vec<u8>>,
    sections: [Vec<Vec<u8>>; 3],
}

impl Answer {
    /// An empty answer to a question.
    #[must_use]
    pub fn to(question: &Question) -> Self {
        Self { id: question.id, flags: ANSWER, questions: vec![question.section()], sections: Default::default() }
    }

    /// With another transaction ID.
    #[must_use]
    pub fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    /// With other flags (and response code).
    #[must_use]
    pub fn flags(self, flags: u16) -> Self {
        Self { flags, ..self }
    }

    /// With other questions.
    #[must_use]
    pub fn questions(self, questions: Vec<Vec<u8>>) -> Self {
        Self { questions, ..self }
    }

    /// With one more record in the answer section.
    #[must_use]
    pub fn record(self, record: Vec<u8>) -> Self {
        self.record_in(0, record)
    }

    /// With one more record in a section: 0 answer, 1 authority, 2 additional.
    #[must_use]
    pub fn record_in(mut self, section: usize, record: Vec<u8>) -> Self {
        if let Some(records) = self.sections.get_mut(section) {
            records.push(record);
        }
        self
    }

    /// With these addresses of the asked name.
    #[must_use]
    pub fn addresses(self, addresses: impl IntoIterator<Item = IpAddr>, ttl: u32) -> Self {
        addresses.into_iter().fold(self, |answer, to| answer.record(address(&ASKED, to, ttl)))
    }

    /// The message.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let count = |records: &Vec<Vec<u8>>| u16::try_from(records.len()).unwrap_or(u16::MAX);
        let [answers, authorities, more] = &self.sections;
        let mut bytes = header(self.id, self.flags, [&self.questions, answers, authorities, more].map(count)).to_vec();
        bytes.extend(self.questions.iter().chain(self.sections.iter().flatten()).flatten());
        bytes
    }
}

/// A record. `owner` is a name as it stands in the message.
#[must_use]
pub fn record(owner: &[u8], (kind, class): (u16, u16), ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = owner.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend(class.to_be_bytes());
    bytes.extend(ttl.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(data);
    bytes
}

/// An address record of either family.
#[must_use]
pub fn address(owner: &[u8], to: IpAddr, ttl: u32) -> Vec<u8> {
    match to {
        IpAddr::V4(to) => record(owner, (A, INTERNET), ttl, &to.octets()),
        IpAddr::V6(to) => record(owner, (AAAA, INTERNET), ttl, &to.octets()),
    }
}

/// An alias.
#[must_use]
pub fn alias(owner: &[u8], target: &str, ttl: u32) -> Vec<u8> {
    record(owner, (CNAME, INTERNET), ttl, &name(target))
}

/// A name without compression.
#[must_use]
pub fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

/// Response code of a message.
#[must_use]
pub fn response_code(message: &[u8]) -> Option<u16> {
    number16(message, 2).map(|flags| flags & 0xf)
}

/// Whether a message is marked as truncated.
#[must_use]
pub fn is_truncated(message: &[u8]) -> bool {
    number16(message, 2).is_some_and(|flags| flags & TRUNCATED != 0)
}

/// The addresses in the answer section.
///
/// # Errors
/// When the message is cut off.
pub fn addresses(message: &[u8]) -> Result<Vec<IpAddr>> {
    let cut = || "the message is cut off";
    let count = number16(message, 6).with_context(cut)?;
    let mut at = skip_name(message, HEADER).with_context(cut)? + 4;
    let mut addresses = Vec::new();
    for _record in 0..count {
        at = skip_name(message, at).with_context(cut)?;
        let kind = number16(message, at).with_context(cut)?;
        let length = usize::from(number16(message, at + 8).with_context(cut)?);
        let data = message.get(at + 10..at + 10 + length).with_context(cut)?;
        match kind {
            A => addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(data)?).into()),
            AAAA => addresses.push(Ipv6Addr::from(<[u8; 16]>::try_from(data)?).into()),
            _ => {}
        }
        at += 10 + length;
    }
    ensure!(at <= message.len(), "the message is cut off");
    Ok(addresses)
}

fn header(id: u16, flags: u16, counts: [u16; 4]) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let fields = [id, flags].into_iter().chain(counts);
    for (field, number) in bytes.chunks_exact_mut(2).zip(fields) {
        field.copy_from_slice(&number.to_be_bytes());
    }
    bytes
}

fn number16(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

/// Where a name ends.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some(at + 1),
            64.. => return Some(at + 2),
            _ => at += 1 + length,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
    use hickory_proto::op::Message;
    use hickory_proto::rr::RData;

    use super::*;

    const TO: IpAddr = IpAddr::V4(Ipv4Addr::new(20, 40, 0, 9));

    fn question() -> Question {
        Question { id: 7, name: "a.example.net".to_owned(), kind: A }
    }

    #[test]
    fn a_question_is_read_back() {
        assert_eq!(Question::parse(&question().query()), Some(question()));
        assert_eq!(Question::parse(&question().query()[..20]), None);
    }

    #[test]
    fn a_refusal_is_of_the_question_that_it_repeats() {
        let refusal = Answer::to(&question()).flags(ANSWER | REFUSED).bytes();
        assert!(question().is_refused_by(&refusal));
        assert!(!question().is_refused_by(&Answer::to(&question()).bytes()));
        assert!(!Question { id: 8, ..question() }.is_refused_by(&refusal));
        assert!(!Question { kind: TXT, ..question() }.is_refused_by(&refusal));
    }

    #[test]
    fn another_library_reads_what_is_made_here() {
        let answer =
            Answer::to(&question()).record(alias(&ASKED, "b.example", 5)).record(address(&name("b.example"), TO, 5));
        let bytes = answer.record_in(2, address(&ASKED, Ipv6Addr::LOCALHOST.into(), 5)).bytes();
        let message = Message::from_vec(&bytes).unwrap();
        assert_eq!((message.answers.len(), message.additionals.len()), (2, 1));
        assert_eq!(message.answers[1].data, RData::A(Ipv4Addr::new(20, 40, 0, 9).into()));
        assert_eq!(addresses(&bytes).unwrap(), [TO]);
        assert!(addresses(&bytes[..40]).is_err());
    }

    #[test]
    fn flags_are_read_back() {
        let bytes = Answer::to(&question()).flags(ANSWER | TRUNCATED | REFUSED).bytes();
        assert_eq!(response_code(&bytes), Some(REFUSED));
        assert!(is_truncated(&bytes));
    }
}
