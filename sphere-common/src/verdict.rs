//! The vocabulary of outcomes. Every exit of the programs has a reason, and every reason has a counter.

/// Which way a packet was going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From a device.
    Ingress = 0,
    /// To a device.
    Egress = 1,
}

impl Direction {
    /// Both directions.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    /// Word for people and records: `from-device`, `to-device`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ingress => "from-device",
            Self::Egress => "to-device",
        }
    }
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
#[repr(u8)]
pub enum Verdict {
    /// It goes on.
    Pass = 0,
    /// It goes on, and would have been denied in enforce mode.
    Audit = 1,
    /// It is dropped.
    Deny = 2,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Pass, Self::Audit, Self::Deny];

    /// Word for people and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Audit => "audit",
            Self::Deny => "deny",
        }
    }

    /// The verdict that a byte from the kernel stands for.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Pass),
            1 => Some(Self::Audit),
            2 => Some(Self::Deny),
            _ => None,
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $word:literal, $text:literal;)*) => {
        /// Why a packet passed or was denied. Numbers are part of the kernel ABI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Reason {
            /// Every reason, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Word for people and records.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The reason that a byte from the kernel stands for.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    // Why a packet passes.
    /// The endpoint is in the exact table.
    Endpoint = 0, "endpoint", "the endpoint is allowed";
    /// A prefix rule allows it.
    Cidr = 1, "cidr", "a prefix rule allows it";
    /// It belongs to a flow that was allowed.
    Flow = 2, "flow", "it belongs to a flow that was allowed";
    /// It answers something the device sent.
    Reply = 3, "reply", "it answers an allowed flow";
    /// An inbound rule allows it.
    Inbound = 4, "inbound", "an inbound rule allows it";
    /// ICMP error about an allowed flow.
    Related = 5, "related", "an ICMP error about an allowed flow";
    /// A later fragment of an allowed datagram.
    FragmentOfAllowed = 6, "fragment-of-allowed", "a later fragment of an allowed datagram";
    /// Address resolution protocol.
    Arp = 7, "arp", "address resolution on the link";
    /// Link control: EAPOL, LLDP, spanning tree and other 802.3 frames.
    LinkControl = 8, "link-control", "link control, never forwarded";
    /// DHCP or DHCPv6 on the link.
    Dhcp = 9, "dhcp", "address configuration";
    /// IPv6 neighbour discovery or multicast listener discovery.
    NeighborDiscovery = 10, "neighbor-discovery", "IPv6 neighbour or listener discovery";
    /// The address is in no device subnet of this port.
    OtherSubnet = 11, "other-subnet", "not of a device subnet";

    /// An answer that the gateway itself gave, or released after it was held.
    Released = 12, "released", "an answer that the gateway itself gave or released";

    // Why a packet is denied.
    /// A header is cut off or contradicts itself.
    Malformed = 20, "malformed", "a header is cut off or contradicts itself";
    /// More than two VLAN tags.
    VlanDepth = 21, "vlan-depth", "more than two VLAN tags";
    /// An EtherType that is neither IP nor link control.
    EtherType = 22, "ethertype", "neither IP nor link control";
    /// More IPv6 extension headers than are followed.
    ExtensionDepth = 23, "extension-depth", "more IPv6 extension headers than are followed";
    /// A later fragment whose first fragment was not allowed or not seen.
    Fragment = 24, "fragment", "a fragment whose first part was not seen or not allowed";
    /// A first fragment too short for its transport header, or one that would overwrite it (RFC 1858).
    FragmentOverlap = 25, "fragment-overlap", "a fragment made to hide or overwrite a transport header";
    /// A reserved prefix (for Azure Sphere the serial service link) as source or destination.
    Reserved = 26, "reserved", "a reserved prefix that never appears on a device port";
    /// The source belongs to a device subnet of another port, or to none where that is denied.
    ForeignSource = 27, "foreign-source", "the source address does not belong on this port";
    /// No rule allows the destination.
    Destination = 28, "destination", "no rule allows this destination";
    /// It was allowed until its DNS lease ended.
    Expired = 29, "expired", "the address was allowed until its DNS lease ended";
    /// DNS to a resolver that is not approved.
    Resolver = 30, "resolver", "asked a DNS resolver that is not approved";
    /// Encrypted DNS (port 853) to a server that is not allowed.
    EncryptedDns = 31, "encrypted-dns", "encrypted DNS to a server that is not allowed";
    /// An IP protocol that no rule allows.
    Protocol = 32, "protocol", "an IP protocol that no rule allows";
    /// ICMP that is neither allowed nor about an allowed flow.
    Icmp = 33, "icmp", "ICMP that is neither allowed nor about an allowed flow";
    /// Link-local multicast or broadcast: never forwarded, counted without samples.
    LinkLocal = 34, "link-local", "link-local multicast or broadcast, never forwarded";
    /// The device has used up its flow slots.
    FlowQuota = 35, "flow-quota", "the device has as many open flows as it may have";
    /// No room for another device.
    DeviceQuota = 36, "device-quota", "no room for another device";
    /// Nothing the device sent, and no inbound rule, explains it.
    Unsolicited = 37, "unsolicited", "no flow of the device and no inbound rule explains it";
    /// Multicast beyond the link.
    Multicast = 38, "multicast", "multicast that no rule allows";
    /// A query for a name that no rule allows.
    QueryName = 40, "query-name", "asked for a name that no rule allows";
    /// A query for a record type that the name's rule does not allow.
    QueryType = 41, "query-type", "asked for a record type that the rule does not allow";
    /// A message at the DNS port that is no query with one question.
    QueryMalformed = 42, "query-malformed", "a message to a resolver that is no plain query";
    /// An answer that belongs to no query of this device.
    AnswerUnasked = 43, "answer-unasked", "a DNS answer that the device did not ask for";
    /// An answer that could not be judged and was not released in time.
    AnswerHeld = 44, "answer-held", "a DNS answer that was held until it could be judged";
    /// A piece of a query over TCP that does not follow what the device sent before.
    QuerySegment = 45, "query-segment", "a piece of a DNS query over TCP that does not follow the one before";
    /// A source route: the sender says through which hosts a packet goes.
    SourceRoute = 46, "source-route", "the sender chooses the packet's route";
    /// The programs were attached without a configuration.
    Unconfigured = 39, "unconfigured", "the data plane has no configuration";
}

impl Reason {
    /// Whether the reason stands for a denial.
    #[must_use]
    #[inline(always)]
    pub const fn is_denial(self) -> bool {
        self as u8 >= Self::Malformed as u8
    }

    /// Whether a denial is counted without a sample: chatter that every network has.
    #[must_use]
    #[inline(always)]
    pub const fn is_quiet(self) -> bool {
        matches!(self, Self::LinkLocal | Self::AnswerHeld)
    }
}
