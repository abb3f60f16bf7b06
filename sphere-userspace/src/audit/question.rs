//! The question of a DNS query, read from the first bytes of a frame that a sample carries.

use hickory_proto::rr::RecordType;
use sphere_common::abi::{EVENT_HEAD_BYTES, Event};
use sphere_common::dns::{HEADER_BYTES, Header};
use sphere_common::family::{Family, V4, V6};
use sphere_common::packet::ethernet::{IPV4_BE, IPV6_BE, Link};
use sphere_common::packet::transport::{TCP, UDP, UDP_BYTES};
use sphere_common::packet::{Fragment, Network};
use sphere_common::verdict::Direction;

/// The DNS port.
const PORT: u16 = 53;
/// Bytes before a message over TCP: its length (RFC 1035 section 4.2.2).
const LENGTH_BYTES: usize = 2;
/// Longest label (RFC 1035 section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// What a query asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Labels of the name, the most significant last; as text, in lower case (RFC 4343).
    pub labels: Vec<String>,
    /// Record type.
    pub kind: u16,
}

impl Question {
    /// The question of a query to a DNS server; [`None`] when the sample is of something else, or is cut off within it.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        let asks = event.direction == Direction::Ingress as u8 && event.peer_port_be == PORT.to_be_bytes();
        let message = message(head(event)).filter(|_| asks)?;
        Header::parse(message).filter(Header::is_query)?;
        Self::read(message.get(HEADER_BYTES..)?)
    }

    fn read(mut rest: &[u8]) -> Option<Self> {
        let mut labels = Vec::new();
        loop {
            let (length, after) = rest.split_first()?;
            let length = usize::from(*length);
            if length == 0 {
                rest = after;
                break;
            }
            if length > MAX_LABEL_BYTES {
                return None;
            }
            let (label, after) = after.split_at_checked(length)?;
            labels.push(text(label));
            rest = after;
        }
        let (kind, _class) = rest.split_first_chunk()?;
        Some(Self { labels, kind: u16::from_be_bytes(*kind) })
    }

    /// The name without its final dot, in lower case; the root is a dot.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.labels)
    }

    /// Word of the record type, such as `AAAA`.
    #[must_use]
    pub fn kind_word(kind: u16) -> String {
        match RecordType::from(kind) {
            // RFC 3597 section 5.
            RecordType::Unknown(number) => format!("TYPE{number}"),
            known => known.to_string(),
        }
    }
}

/// Labels as a name without its final dot; the root is a dot.
pub(super) fn name(labels: &[String]) -> String {
    if labels.is_empty() { ".".to_owned() } else { labels.join(".") }
}

/// The bytes of the frame that the sample carries.
pub(super) fn head(event: &Event) -> &[u8] {
    event.head.get(..usize::from(event.head_bytes).min(EVENT_HEAD_BYTES)).unwrap_or_default()
}

/// Where the DNS message begins; over TCP of a segment that begins with one.
fn message(head: &[u8]) -> Option<&[u8]> {
    let link = Link::parse(&head).ok()?;
    let mut network = Network::UNKNOWN;
    // As if quoted in an ICMP error: there too the rest of the packet is missing.
    match link.ethertype_be {
        IPV4_BE => V4::quoted(&head, link.payload(), &mut network).ok()?,
        IPV6_BE => V6::quoted(&head, link.payload(), &mut network).ok()?,
        _ => return None,
    }
    if matches!(network.fragment, Fragment::Later { .. }) {
        return None;
    }
    let transport = head.get(network.payload()..)?;
    match network.protocol {
        UDP => transport.get(UDP_BYTES as usize..),
        TCP => transport.get(usize::from(transport.get(12)? >> 4) * 4 + LENGTH_BYTES..),
        _ => None,
    }
}

/// A label as a zone file has it (RFC 1035 section 5.1): what is no letter, digit or other visible character as three
/// decimal digits.
fn text(label: &[u8]) -> String {
    let mut text = String::with_capacity(label.len());
    for byte in label {
        match byte {
            b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
            0x21..=0x7e => text.push(char::from(byte.to_ascii_lowercase())),
            _ => text += &format!("\\{byte:03}"),
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
pub(super) mod tests {
    use etherparse::PacketBuilder;
    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::Name;
    use zerocopy::FromZeros as _;

    use super::*;

    /// A sample of a query over UDP.
    pub(in super::super) fn query(name: &str, kind: RecordType) -> Event {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 0x1f], [2; 6]).ipv4([10, 20, 0, 5], [9, 9, 9, 9], 64);
        builder.udp(40_000, PORT).write(&mut frame, &bytes(name, kind)).unwrap();
        sample(&frame, UDP)
    }

    fn bytes(name: &str, kind: RecordType) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message.to_vec().unwrap()
    }

    fn sample(frame: &[u8], protocol: u8) -> Event {
        let mut event = Event::new_zeroed();
        let bytes = frame.len().min(EVENT_HEAD_BYTES);
        event.head[..bytes].copy_from_slice(&frame[..bytes]);
        event.head_bytes = u16::try_from(bytes).unwrap();
        event.protocol = protocol;
        event.peer_port_be = PORT.to_be_bytes();
        event
    }

    /// The longest name that there is (RFC 1035 section 3.1).
    fn longest() -> String {
        let label = "a".repeat(63);
        format!("{label}.{label}.{label}.{}", &label[..61])
    }

    #[test]
    fn a_query_tells_its_name_and_type() {
        let question = Question::of(&query("Www.Unlisted.EXAMPLE.", RecordType::AAAA)).unwrap();
        assert_eq!((name(&question.labels).as_str(), question.kind), ("www.unlisted.example", 28));
        assert_eq!(Question::kind_word(question.kind), "AAAA");
        assert_eq!(Question::kind_word(65_399), "TYPE65399");
        assert_eq!(name(&Question::of(&query(".", RecordType::NS)).unwrap().labels), ".");
    }

    #[test]
    fn the_longest_name_is_whole_behind_two_tags_ipv6_and_tcp_with_time_stamps() {
        let (mut frame, message) = (Vec::new(), bytes(&longest(), RecordType::A));
        let mut stream = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        stream.extend(message);
        let builder = PacketBuilder::ethernet2([2; 6], [2; 6])
            .double_vlan(etherparse::VlanId::try_new(5).unwrap(), etherparse::VlanId::try_new(6).unwrap())
            .ipv6([1; 16], [2; 16], 64)
            .tcp(40_000, PORT, 1, 64_000)
            .ack(1)
            .options(&[etherparse::TcpOptionElement::Timestamp(1, 2)])
            .unwrap();
        builder.write(&mut frame, &stream).unwrap();
        assert_eq!(name(&Question::of(&sample(&frame, TCP)).unwrap().labels), longest());
    }

    #[test]
    fn what_is_no_whole_query_is_none() {
        let whole = query("www.example.", RecordType::A);
        for bytes in 0..whole.head_bytes - 2 {
            assert_eq!(Question::of(&Event { head_bytes: bytes, ..whole }), None, "{bytes} bytes");
        }
        assert_eq!(Question::of(&Event { peer_port_be: [0, 54], ..whole }), None);
        assert_eq!(Question::of(&Event { direction: Direction::Egress as u8, ..whole }), None);
        assert_eq!(Question::of(&Event { head: [0xff; EVENT_HEAD_BYTES], ..whole }), None);
        let mut answer = whole;
        answer.head[14 + 20 + 8 + 2] |= 0x80;
        assert_eq!(Question::of(&answer), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        assert_eq!(text(b"a.b\\c \xff="), "a\\.b\\\\c\\032\\255=");
    }
}
