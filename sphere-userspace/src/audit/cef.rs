//! A record as an event of the Common Event Format, version 0: a header of fields between bars, then keys and values.
//!
//! Keys are those of the format's dictionary. Where it has none, custom ones carry their label beside them.

use super::{Field, Record, Value};

/// The event.
pub(super) fn event(record: &Record) -> String {
    let severity = if record.is_let_through() { 3 } else { 5 };
    let header = ["Sphere", "Sphere", env!("CARGO_PKG_VERSION"), record.reason().word(), record.reason().sentence()];
    let mut text = "CEF:0".to_owned();
    for field in header {
        text.push('|');
        text += &escaped(field, &['\\', '|']);
    }
    text += &format!("|{severity}|");
    let mut pairs = Pairs { text, is_first: true };
    for (field, value) in record.fields() {
        pairs.put_field(record, field, &shown(value));
    }
    pairs.text
}

/// The extension.
struct Pairs {
    text: String,
    is_first: bool,
}

impl Pairs {
    fn put(&mut self, key: &str, value: &str) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.text.push(' ');
        }
        self.text += key;
        self.text.push('=');
        self.text += &escaped(value, &['\\', '=']);
    }

    /// A custom key and its label.
    fn put_custom(&mut self, key: &str, label: &str, value: &str) {
        self.put(key, value);
        self.put(&format!("{key}Label"), label);
    }

    fn put_field(&mut self, record: &Record, field: Field, value: &str) {
        let is_v6 = record.text(Field::NetworkType) == Some("ipv6");
        match field {
            Field::Timestamp => self.put("rt", &milliseconds(value)),
            Field::Start => self.put("start", &milliseconds(value)),
            Field::End => self.put("end", &milliseconds(value)),
            Field::Message => self.put("msg", value),
            Field::Action => self.put("act", value),
            Field::Outcome => self.put("outcome", value),
            Field::Reason => self.put("reason", value),
            // 0 is inbound, 1 outbound.
            Field::Direction => self.put("deviceDirection", if value == "outbound" { "1" } else { "0" }),
            Field::Transport => self.put("proto", &value.to_uppercase()),
            Field::Protocol => self.put("app", &value.to_uppercase()),
            Field::Packets => self.put("cnt", value),
            // `src` and `dst` are IPv4 addresses.
            Field::SourceIp if is_v6 => self.put_custom("c6a2", "Source IPv6 Address", value),
            Field::DestinationIp if is_v6 => self.put_custom("c6a3", "Destination IPv6 Address", value),
            Field::SourceIp => self.put("src", value),
            Field::DestinationIp => self.put("dst", value),
            Field::SourcePort => self.put("spt", value),
            Field::DestinationPort => self.put("dpt", value),
            Field::SourceMac => self.put("smac", &value.replace('-', ":")),
            Field::DestinationMac => self.put("dmac", &value.replace('-', ":")),
            Field::SourceDomain => self.put("shost", value),
            Field::DestinationDomain => self.put("dhost", value),
            Field::IngressInterface => self.put("deviceInboundInterface", value),
            Field::EgressInterface => self.put("deviceOutboundInterface", value),
            Field::Group => self.put_custom("cs1", "group", value),
            Field::QuestionName | Field::Names => self.put_custom("cs2", "dnsQuestion", value),
            Field::QuestionType => self.put_custom("cs3", "dnsQuestionType", value),
            Field::Parent => self.put_custom("cs4", "dnsParent", value),
            Field::Bytes => self.put_custom("cn1", "bytes", value),
            Field::IngressVlan | Field::EgressVlan => self.put_custom("cn2", "vlan", value),
            Field::InnerVlan => self.put_custom("cn3", "innerVlan", value),
            Field::IcmpType => self.put_custom("flexNumber1", "icmpType", value),
            Field::IcmpCode => self.put_custom("flexNumber2", "icmpCode", value),
            Field::EtherType => self.put_custom("flexString1", "etherType", value),
            // Said by the header, or by another key.
            Field::Schema
            | Field::EcsVersion
            | Field::Kind
            | Field::Category
            | Field::Type
            | Field::Dataset
            | Field::NetworkType
            | Field::IanaNumber
            | Field::Device
            | Field::PeerNames => {}
        }
    }
}

/// A value as a text.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Texts(texts) => texts.join(","),
    }
}

/// Milliseconds since 1970 of a time.
fn milliseconds(time: &str) -> String {
    let time = humantime::parse_rfc3339(time).ok();
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or_else(String::new, |since| since.as_millis().to_string())
}

/// A text in which what has a meaning of its own stands behind a backslash, and line ends as letters.
fn escaped(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => escaped += "\\n",
            '\r' => escaped += "\\r",
            c => {
                if special.contains(&c) {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
        }
    }
    escaped
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::super::record::tests::{event as sample, record};
    use super::*;
    use sphere_common::abi::Event;

    #[test]
    fn a_denied_packet_is_an_event() {
        let text = event(&record(&sample()).unwrap());
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text,
            format!(
                "CEF:0|Sphere|Sphere|{version}|destination|no rule allows this destination|5|rt=1767225600123 \
                 msg=denied from 10.20.0.5 port 1234 to 203.0.113.7 port 443 over tcp: no rule allows this destination \
                 act=deny outcome=failure reason=destination deviceDirection=1 proto=TCP cnt=1 cn1=74 cn1Label=bytes \
                 src=10.20.0.5 spt=1234 smac=02:00:00:00:00:1F dst=203.0.113.7 dpt=443 dhost=cdn.example \
                 deviceInboundInterface=lan0 cs1=sphere cs1Label=group flexString1=0x0800 flexString1Label=etherType"
            )
        );
    }

    #[test]
    fn addresses_of_ipv6_have_keys_of_their_own() {
        let mut device = [0; 16];
        device[0] = 0xfd;
        let text = event(&record(&Event { device, peer: device, ..sample() }).unwrap());
        assert!(text.contains(" c6a2=fd00:: c6a2Label=Source IPv6 Address "), "{text}");
        assert!(text.contains(" c6a3=fd00:: c6a3Label=Destination IPv6 Address "), "{text}");
    }

    #[test]
    fn what_has_a_meaning_is_escaped() {
        assert_eq!(escaped("a|b\\c=d\ne", &['\\', '|']), "a\\|b\\\\c=d\\ne");
        assert_eq!(escaped("a|b\\c=d\re", &['\\', '=']), "a|b\\\\c\\=d\\re");
    }
}
