//! The fields of a record: the one table of their names and meanings, which `docs/records.md` shows.
//!
//! Names are those of the Elastic Common Schema where it has one; what it has no name for begins with `sphere.`.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// Several texts.
    Texts,
    /// A whole number.
    Number,
    /// A moment in UTC (RFC 3339).
    Time,
}

impl Kind {
    /// Word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Texts => "list of texts",
            Self::Number => "number",
            Self::Time => "time",
        }
    }
}

macro_rules! fields {
    ($($variant:ident = $name:literal, $kind:ident, $meaning:literal;)*) => {
        /// A field of a record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field {
            $(#[doc = $meaning] $variant,)*
        }

        impl Field {
            /// Every field, in the order in which records have them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it holds.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// What it means, in one line for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

fields! {
    Schema = "schema", Text, "version of these fields: `sphere.record/1`";
    Timestamp = "@timestamp", Time, "when the packet came; of several, the last";
    EcsVersion = "ecs.version", Text, "version of the Elastic Common Schema that the names are from";
    Message = "message", Text, "all of it in a sentence";
    Kind = "event.kind", Text, "`event`";
    Category = "event.category", Texts, "`network`";
    Type = "event.type", Texts, "`connection` and `denied`; `connection` and `allowed` for what was let through in audit mode";
    Dataset = "event.dataset", Text, "`sphere.denied`";
    Action = "event.action", Text, "`deny`; `audit` for what enforce mode would have denied";
    Outcome = "event.outcome", Text, "`failure` for what was denied, `success` for what was let through in audit mode";
    Reason = "event.reason", Text, "why, in a word";
    Start = "event.start", Time, "when the first of several packets came";
    End = "event.end", Time, "when the last of several came";
    Direction = "network.direction", Text, "`outbound` from a device, `inbound` to one";
    NetworkType = "network.type", Text, "`ipv4` or `ipv6`";
    Transport = "network.transport", Text, "protocol: `tcp`, `udp`, `icmp`, `ipv6-icmp`; absent for others";
    IanaNumber = "network.iana_number", Text, "number of the protocol";
    Protocol = "network.protocol", Text, "`dns` when it is a DNS query";
    Packets = "network.packets", Number, "packets that the record stands for";
    Bytes = "network.bytes", Number, "bytes of their frames together";
    InnerVlan = "network.inner.vlan.id", Text, "identifier of the inner VLAN tag, of two";
    SourceIp = "source.ip", Text, "address of the sender";
    SourcePort = "source.port", Number, "port of the sender";
    SourceMac = "source.mac", Text, "hardware address of the device, when it sent";
    SourceDomain = "source.domain", Text, "name that the sender's address was allowed for, the latest";
    DestinationIp = "destination.ip", Text, "address of the receiver";
    DestinationPort = "destination.port", Number, "port of the receiver";
    DestinationMac = "destination.mac", Text, "hardware address of the device, when it was sent to";
    DestinationDomain = "destination.domain", Text, "name that the receiver's address was allowed for, the latest";
    IngressInterface = "observer.ingress.interface.name", Text, "port of the device, when it sent";
    IngressVlan = "observer.ingress.vlan.id", Text, "identifier of the VLAN tag, of two the outer, when the device sent";
    EgressInterface = "observer.egress.interface.name", Text, "port of the device, when it was sent to";
    EgressVlan = "observer.egress.vlan.id", Text, "identifier of the VLAN tag, of two the outer, when the device was sent to";
    QuestionName = "dns.question.name", Text, "name that was asked for, when it is one";
    QuestionType = "dns.question.type", Text, "record type that was asked for, when it is one";
    Names = "sphere.dns.names", Texts, "up to five of the names, when different ones were asked for";
    Parent = "sphere.dns.parent", Text, "the domain that all of these names are in, unless that is the root";
    Group = "sphere.group", Text, "group of the policy; absent when the frame belongs to none";
    Device = "sphere.device.ip", Text, "address of the device, whichever way the packet went";
    PeerNames = "sphere.peer.names", Texts, "all known names that the other side's address was allowed for, the latest first";
    IcmpType = "sphere.icmp.type", Number, "type of an ICMP message";
    IcmpCode = "sphere.icmp.code", Number, "code of an ICMP message";
    EtherType = "sphere.ethertype", Text, "EtherType behind the VLAN tags, such as `0x0800`";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn names_are_unique_and_a_path_of_lower_case_words() {
        let names: BTreeSet<_> = Field::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), Field::ALL.len());
        let allowed = |c: char| c.is_ascii_lowercase() || matches!(c, '.' | '_' | '@');
        assert!(names.iter().all(|name| name.chars().all(allowed)), "{names:?}");
    }

    #[test]
    fn the_documentation_shows_this_table() {
        let mut table = String::new();
        for field in Field::ALL {
            writeln!(table, "| `{}` | {} | {} |", field.name(), field.kind().word(), field.meaning())
                .unwrap_or_else(|error| panic!("{error}"));
        }
        let shown = include_str!("../../../docs/records.md");
        assert!(shown.contains(&table), "docs/records.md should hold:\n{table}");
    }
}
