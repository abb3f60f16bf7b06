//! What a question is about. Within one kind of condition any may hold; of different kinds, all must.

use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;
use sphere_common::verdict::{Direction, Reason, Verdict};

use crate::store::schema::{Peer, hour_of, millis};

/// Conditions; without any, everything is asked about.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Devices in one of these networks.
    pub devices: Vec<IpNet>,
    /// Devices in one of these groups.
    pub groups: Vec<String>,
    /// The other side.
    pub to: Option<Target>,
    /// Ports of the other side, with the IP protocol where one is given, else over TCP and UDP.
    pub ports: Vec<(Option<u8>, u16)>,
    /// IP protocols.
    pub protocols: Vec<u8>,
    /// Reasons.
    pub reasons: Vec<Reason>,
    /// Denied, or would have been.
    pub verdict: Option<Verdict>,
    /// Which way the packets went.
    pub direction: Option<Direction>,
    /// Counted in an hour and of which the last packet came at this time or later.
    pub since: Option<SystemTime>,
    /// Counted in an hour and of which the first packet came at this time or before.
    pub until: Option<SystemTime>,
}

/// The other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A name, and the names below it.
    Name(String),
    /// The addresses of a network.
    Net(IpNet),
}

impl Target {
    /// From an address, a network in CIDR notation, or a name; a name may begin with `*.`.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(net) = net(text) {
            return Ok(Self::Net(net));
        }
        let name = text.strip_prefix("*.").unwrap_or(text).trim_end_matches('.');
        let name = idna::domain_to_ascii(name).map_err(|_not_a_name| format!("`{text}` is no name"))?;
        let is_name = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=63).contains(&label.len()) && !label.starts_with('-') && label.bytes().all(fits)
        };
        // What consists of digits and dots is an address with a mistake.
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_number || !name.split('.').all(is_name) {
            return Err("write a name, an address, or a network such as 203.0.113.0/24".to_owned());
        }
        Ok(Self::Name(name))
    }
}

/// A network, or an address as the network that has nothing else.
///
/// # Errors
///
/// What to write instead.
pub(crate) fn net(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    address
        .or_else(|_no_address| text.parse::<IpNet>().map(|net| net.trunc()))
        .map_err(|_no_net| "write an address, or a network such as 10.20.0.0/24".to_owned())
}

/// Other sides that are next to each other in the order of rows.
pub(super) type Peers = (Peer, Peer);

/// The other sides in a network.
pub(super) fn peers(net: IpNet) -> Peers {
    (Peer::of(Some(net.network())), Peer::of(Some(net.broadcast())))
}

/// Times as the files have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Span {
    pub(in crate::store) since: i64,
    pub(in crate::store) until: i64,
}

impl Span {
    /// The times of a filter.
    pub(in crate::store) fn of(filter: &Filter) -> Self {
        Self { since: filter.since.map_or(i64::MIN, millis), until: filter.until.map_or(i64::MAX, millis) }
    }

    /// The hours that it touches.
    pub(in crate::store) const fn hours(self) -> (i64, i64) {
        (hour_of(self.since), hour_of(self.until))
    }

    /// Whether any of some hours is in it.
    pub(super) fn touches(self, (from, to): (i64, i64)) -> bool {
        let (first, last) = self.hours();
        from <= last && first <= to
    }

    /// Whether all of what was counted in some hours is in it, whatever the minutes.
    pub(super) fn has_all_of(self, (from, to): (i64, i64)) -> bool {
        let (first, last) = self.hours();
        let begins_before = self.since == i64::MIN || first < from;
        begins_before && (self.until == i64::MAX || to < last)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_an_address_or_a_network() {
        let net = |text: &str| Ok(Target::Net(text.parse().unwrap()));
        let name = |text: &str| Ok(Target::Name(text.to_owned()));
        for (text, target) in [
            ("203.0.113.7", net("203.0.113.7/32")),
            ("203.0.113.7/24", net("203.0.113.0/24")),
            ("::ffff:203.0.113.7", net("203.0.113.7/32")),
            ("2001:db8::/32", net("2001:db8::/32")),
            ("API.example.com.", name("api.example.com")),
            ("*.example.com", name("example.com")),
            ("bücher.example", name("xn--bcher-kva.example")),
            ("_mqtt._tcp.example", name("_mqtt._tcp.example")),
        ] {
            assert_eq!(Target::parse(text), target, "{text}");
        }
        for text in ["", "203.0.113", "203.0.113.0/33", "a..b", "a b", "-", "*.*.example", "host:443"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_has_all_of_the_hours_between_its_own() {
        let span = Span { since: 10 * 3_600_000 + 1, until: 12 * 3_600_000 };
        assert_eq!(span.hours(), (10, 12));
        assert!(span.touches((8, 10)) && !span.touches((8, 9)) && !span.touches((13, 20)));
        assert!(span.has_all_of((11, 11)) && !span.has_all_of((10, 11)) && !span.has_all_of((11, 12)));
        let ever = Span { since: i64::MIN, until: i64::MAX };
        assert!(ever.has_all_of((i64::MIN / 3_600_000, i64::MAX / 3_600_000)));
    }
}
