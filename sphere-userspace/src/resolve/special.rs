//! Special-purpose addresses: what an answer for a public name must not open.
//!
//! After the IANA registries for IPv4 and IPv6 special-purpose addresses and multicast: everything that is not
//! globally reachable, and the transition prefixes that carry an IPv4 address inside.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What is special about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Special {
    /// `0.0.0.0/8` and `::`.
    Unspecified,
    /// `127.0.0.0/8` and `::1`.
    Loopback,
    /// `169.254.0.0/16`, `fe80::/10` and the deprecated `fec0::/10`: metadata services live here.
    LinkLocal,
    /// RFC 1918 and RFC 4193.
    Private,
    /// `100.64.0.0/10` (RFC 6598).
    Shared,
    /// Prefixes for documentation.
    Documentation,
    /// `198.18.0.0/15` and `2001:2::/48`.
    Benchmarking,
    /// Other protocol assignments that are not globally reachable.
    Protocol,
    /// Multicast.
    Multicast,
    /// `240.0.0.0/4`, limited broadcast included.
    Reserved,
    /// An IPv4 address in an IPv6 form that never appears on the wire, such as `::ffff:10.0.0.1`.
    Mapped,
    /// An address of the gateway itself.
    Gateway,
}

impl Special {
    /// What is special about an address by its number alone; [`None`] for an ordinary public one.
    #[must_use]
    pub fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Whether a rule that allows private addresses allows this one. The rest is no address of any host.
    #[must_use]
    pub const fn is_reachable(self) -> bool {
        match self {
            Self::LinkLocal
            | Self::Private
            | Self::Shared
            | Self::Documentation
            | Self::Benchmarking
            | Self::Protocol
            | Self::Gateway => true,
            Self::Unspecified | Self::Loopback | Self::Multicast | Self::Reserved | Self::Mapped => false,
        }
    }

    /// Words for people and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Protocol => "protocol-assignment",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::Mapped => "ipv4-mapped",
            Self::Gateway => "gateway",
        }
    }

    /// What would have to change in the policy, so that answers for a name open such an address.
    #[must_use]
    pub fn remedy(self) -> String {
        if self.is_reachable() {
            format!(
                "an answer opens a {self} address only with `allow_private = true` in a [[group.allow]] for its name"
            )
        } else {
            format!("none in the policy: no answer opens a {self} address, where no host is")
        }
    }
}

impl Special {
    /// The special prefixes of IPv4, and the exceptions within them: network, length, and what is special.
    pub fn prefixes4() -> impl Iterator<Item = (Ipv4Addr, u32, Option<Self>)> {
        PREFIXES4.iter().map(|(octets, bits, special)| (Ipv4Addr::from(*octets), *bits, *special))
    }

    /// The special prefixes of IPv6, those that carry an IPv4 address among them, and the exceptions within them.
    pub fn prefixes6() -> impl Iterator<Item = (Ipv6Addr, u32, Option<Self>)> {
        let own = PREFIXES6.iter().map(|(segments, bits, special)| (Ipv6Addr::from(*segments), *bits, *special));
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead where the IPv4 address inside leads.
        let embedded = Self::prefixes4().flat_map(|(network, bits, special)| {
            let inside = u128::from(network.to_bits());
            let nat64 = Ipv6Addr::from((0x0064_ff9b_u128 << 96) | inside);
            let six_to_four = Ipv6Addr::from((0x2002_u128 << 112) | (inside << 80));
            [(nat64, 96 + bits, special), (six_to_four, 16 + bits, special)]
        });
        own.chain(embedded)
    }
}

const PREFIXES4: [([u8; 4], u32, Option<Special>); 18] = [
    ([0, 0, 0, 0], 8, Some(Special::Unspecified)),
    ([10, 0, 0, 0], 8, Some(Special::Private)),
    ([172, 16, 0, 0], 12, Some(Special::Private)),
    ([192, 168, 0, 0], 16, Some(Special::Private)),
    ([100, 64, 0, 0], 10, Some(Special::Shared)),
    ([127, 0, 0, 0], 8, Some(Special::Loopback)),
    ([169, 254, 0, 0], 16, Some(Special::LinkLocal)),
    ([192, 0, 0, 0], 24, Some(Special::Protocol)),
    ([192, 0, 0, 9], 32, None),
    ([192, 0, 0, 10], 32, None),
    ([192, 88, 99, 0], 24, Some(Special::Protocol)),
    ([192, 0, 2, 0], 24, Some(Special::Documentation)),
    ([198, 51, 100, 0], 24, Some(Special::Documentation)),
    ([203, 0, 113, 0], 24, Some(Special::Documentation)),
    ([198, 18, 0, 0], 15, Some(Special::Benchmarking)),
    ([224, 0, 0, 0], 4, Some(Special::Multicast)),
    ([240, 0, 0, 0], 4, Some(Special::Reserved)),
    ([255, 255, 255, 255], 32, Some(Special::Reserved)),
];

const PREFIXES6: [([u16; 8], u32, Option<Special>); 25] = [
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Some(Special::Unspecified)),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Some(Special::Loopback)),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, Some(Special::Mapped)),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, Some(Special::Mapped)),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, Some(Special::Mapped)),
    ([0, 0, 0, 0, 0xffff, 0xffff, 0, 0], 96, Some(Special::Mapped)),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Some(Special::Protocol)),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 63, Some(Special::Protocol)),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, Some(Special::Protocol)),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Some(Special::Protocol)),
    ([0x2001, 1, 0, 0, 0, 0, 0, 1], 128, None),
    ([0x2001, 1, 0, 0, 0, 0, 0, 2], 128, None),
    ([0x2001, 1, 0, 0, 0, 0, 0, 3], 128, None),
    ([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, None),
    ([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48, None),
    ([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, None),
    ([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, None),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Some(Special::Benchmarking)),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Some(Special::Documentation)),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Some(Special::Documentation)),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Some(Special::Private)),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Some(Special::LinkLocal)),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Some(Special::LinkLocal)),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Some(Special::Multicast)),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, None),
];

impl fmt::Display for Special {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.word())
    }
}

fn of_v4(address: Ipv4Addr) -> Option<Special> {
    match address.octets() {
        [0, ..] => Some(Special::Unspecified),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(Special::Private),
        [100, 64..=127, ..] => Some(Special::Shared),
        [127, ..] => Some(Special::Loopback),
        [169, 254, ..] => Some(Special::LinkLocal),
        // Port control protocol and TURN anycast are the two that are global (RFC 7723, RFC 8155).
        [192, 0, 0, 9 | 10] => None,
        [192, 0, 0, _] | [192, 88, 99, _] => Some(Special::Protocol),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some(Special::Documentation),
        [198, 18 | 19, ..] => Some(Special::Benchmarking),
        [224..=239, ..] => Some(Special::Multicast),
        [240..=255, ..] => Some(Special::Reserved),
        _ => None,
    }
}

fn of_v6(address: Ipv6Addr) -> Option<Special> {
    let [a, b, c, d, ..] = address.segments();
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Special::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Special::Loopback),
        // IPv4-mapped, IPv4-translated (RFC 2765) and IPv4-compatible.
        [0, 0, 0, 0, 0 | 0xffff, 0 | 0xffff, ..] => Some(Special::Mapped),
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead where the IPv4 address inside leads.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of_v4(embedded(high, low)),
        [0x2002, high, low, ..] => of_v4(embedded(high, low)),
        _ => match (a, b, c, d) {
            (0x64, 0xff9b, 1, _) | (0x100, 0, 0, 0 | 1) | (0x5f00, ..) => Some(Special::Protocol),
            (0x2001, 2, 0, _) => Some(Special::Benchmarking),
            (0x2001, 0xdb8, ..) | (0x3fff, 0..=0x0fff, ..) => Some(Special::Documentation),
            (0x2001, 0..=0x1ff, ..) if !is_global_assignment(address) => Some(Special::Protocol),
            (0xfc00..=0xfdff, ..) => Some(Special::Private),
            (0xfe80..=0xfeff, ..) => Some(Special::LinkLocal),
            (0xff00..=0xffff, ..) => Some(Special::Multicast),
            _ => None,
        },
    }
}

/// The parts of `2001::/23` that are globally reachable: anycast, AMT, AS112, ORCHIDv2, DRIP.
const fn is_global_assignment(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 1, 0, 0, 0, 0, 0, last] => matches!(last, 1..=3),
        [0x2001, 4, third, ..] => third == 0x112,
        [0x2001, second, ..] => matches!(second, 3 | 0x20..=0x3f),
        _ => false,
    }
}

const fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use super::*;

    #[test]
    fn the_registries_are_followed_at_their_edges() {
        for (address, expected) in [
            ("0.0.0.0", Some(Special::Unspecified)),
            ("0.255.0.1", Some(Special::Unspecified)),
            ("1.0.0.1", None),
            ("10.255.255.255", Some(Special::Private)),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.64.0.0", Some(Special::Shared)),
            ("100.128.0.0", None),
            ("127.0.0.53", Some(Special::Loopback)),
            ("169.254.169.254", Some(Special::LinkLocal)),
            ("172.15.255.255", None),
            ("172.16.0.0", Some(Special::Private)),
            ("172.32.0.0", None),
            ("192.0.0.8", Some(Special::Protocol)),
            ("192.0.0.9", None),
            ("192.0.2.1", Some(Special::Documentation)),
            ("192.168.35.2", Some(Special::Private)),
            ("198.17.255.255", None),
            ("198.19.255.255", Some(Special::Benchmarking)),
            ("203.0.113.7", Some(Special::Documentation)),
            ("224.0.0.1", Some(Special::Multicast)),
            ("255.255.255.255", Some(Special::Reserved)),
            ("::", Some(Special::Unspecified)),
            ("::1", Some(Special::Loopback)),
            ("::2", Some(Special::Mapped)),
            ("::ffff:10.0.0.1", Some(Special::Mapped)),
            ("::ffff:20.0.0.1", Some(Special::Mapped)),
            ("::ffff:0:20.0.0.1", Some(Special::Mapped)),
            ("64:ff9b::10.0.0.1", Some(Special::Private)),
            ("64:ff9b::20.0.0.1", None),
            ("64:ff9b:1::1", Some(Special::Protocol)),
            ("100::1", Some(Special::Protocol)),
            ("2001::1", Some(Special::Protocol)),
            ("2001:1::1", None),
            ("2001:2::1", Some(Special::Benchmarking)),
            ("2001:db8::1", Some(Special::Documentation)),
            ("2001:200::1", None),
            ("2002:0a00:0001::1", Some(Special::Private)),
            ("2002:1400:0001::1", None),
            ("2a01:111:40::5:1", None),
            ("3fff:fff::1", Some(Special::Documentation)),
            ("3fff:1000::1", None),
            ("fd00:20::1", Some(Special::Private)),
            ("fe80::1", Some(Special::LinkLocal)),
            ("ff02::1", Some(Special::Multicast)),
        ] {
            assert_eq!(Special::of(address.parse().unwrap()), expected, "{address}");
        }
    }

    /// What the longest of the prefixes says of an address.
    fn by_prefix(address: IpAddr) -> Option<Special> {
        match address {
            IpAddr::V4(address) => {
                let covers = |(network, bits, _): &(Ipv4Addr, u32, _)| {
                    (network.to_bits() ^ address.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
                };
                Special::prefixes4().filter(covers).max_by_key(|(_, bits, _)| *bits)?.2
            }
            IpAddr::V6(address) => {
                let covers = |(network, bits, _): &(Ipv6Addr, u32, _)| {
                    (network.to_bits() ^ address.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
                };
                Special::prefixes6().filter(covers).max_by_key(|(_, bits, _)| *bits)?.2
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

        #[test]
        fn prefixes_and_numbers_say_the_same(
            v4 in proptest::prelude::any::<u32>(),
            v6 in proptest::prelude::any::<u128>(),
            pick in 0_usize..200,
            low in proptest::prelude::any::<u128>(),
        ) {
            let mut addresses = vec![IpAddr::from(Ipv4Addr::from(v4)), IpAddr::from(Ipv6Addr::from(v6))];
            let at = |count: usize| pick % count;
            let (network, bits, _) = Special::prefixes4().nth(at(PREFIXES4.len())).unwrap();
            let host = (low as u32).checked_shr(bits).unwrap_or(0);
            addresses.push(IpAddr::from(Ipv4Addr::from(network.to_bits() | host)));
            let count = Special::prefixes6().count();
            let (network, bits, _) = Special::prefixes6().nth(at(count)).unwrap();
            addresses.push(IpAddr::from(Ipv6Addr::from(network.to_bits() | low.checked_shr(bits).unwrap_or(0))));
            for address in addresses {
                proptest::prop_assert_eq!(by_prefix(address), Special::of(address), "{}", address);
            }
        }
    }
}
