//! Prefixes that never appear on a device port: what overlaps them.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// Reserved prefixes by network address and length: looked up without walking them all.
#[derive(Debug, Default)]
pub(super) struct Reserved(BTreeMap<(Ipv4Addr, u8), Ipv4Net>);

impl Reserved {
    /// These prefixes.
    pub(super) fn new(prefixes: impl IntoIterator<Item = Ipv4Net>) -> Self {
        Self(prefixes.into_iter().map(|net| ((net.network(), net.prefix_len()), net.trunc())).collect())
    }

    /// A reserved prefix that holds all of this one.
    pub(super) fn around(&self, net: IpNet) -> Option<Ipv4Net> {
        let IpNet::V4(net) = net else { return None };
        let mut wider = std::iter::successors(Some(net.trunc()), Ipv4Net::supernet);
        wider.find_map(|net| self.0.get(&(net.network(), net.prefix_len())).copied())
    }

    /// A reserved prefix that shares addresses with this one.
    pub(super) fn overlapping(&self, net: IpNet) -> Option<Ipv4Net> {
        let IpNet::V4(v4) = net else { return None };
        let inside = || self.0.range((v4.network(), 0)..=(v4.broadcast(), 32)).next().map(|(_, net)| *net);
        self.around(net).or_else(inside)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use super::*;

    proptest::proptest! {
        #[test]
        fn looking_up_finds_what_walking_finds(
            prefixes in proptest::collection::vec((0_u32..64, 24_u8..=32), 0..6),
            (address, length) in (0_u32..64, 20_u8..=32),
        ) {
            let net = |address: u32, length| Ipv4Net::new(Ipv4Addr::from(address * 4), length).unwrap().trunc();
            let prefixes: Vec<Ipv4Net> = prefixes.into_iter().map(|(address, length)| net(address, length)).collect();
            let (reserved, asked) = (Reserved::new(prefixes.iter().copied()), net(address, length));
            let around = prefixes.iter().any(|prefix| prefix.contains(&asked));
            let inside = prefixes.iter().any(|prefix| asked.contains(prefix));
            proptest::prop_assert_eq!(reserved.around(asked.into()).is_some(), around);
            proptest::prop_assert_eq!(reserved.overlapping(asked.into()).is_some(), around || inside);
        }
    }
}
