//! What the lab's DNS says: names with chains of CNAMEs, changeable while it runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::plan::{PROBE, PROBE6, server, stranger, stranger6};
use crate::vendor;

/// A host on the probe service, allowed by the lab's policy on `tcp` and `udp` port 7000.
pub const PROBE_HOST: &str = "probe.example.net";
/// A host with an IPv4 and an IPv6 address, allowed by the lab's policy on `tcp/443`.
pub const DUAL_HOST: &str = "dual.example.net";
/// Address of [`DUAL_HOST`].
pub const DUAL4: Ipv4Addr = server(5, 1);
/// IPv6 address of [`DUAL_HOST`].
pub const DUAL6: Ipv6Addr = Ipv6Addr::new(0x2a01, 0x111, 0x40, 0, 0, 0, 5, 1);
/// A host that no rule allows; it serves HTTPS all the same.
pub const UNLISTED_HOST: &str = "paste.example.org";
/// A time server that no rule allows.
pub const UNLISTED_NTP: &str = "ntp.example.org";

/// Domains through which the chains of CNAMEs lead, outermost first.
const LINKS: [&str; 6] = [
    "trafficmanager.example",
    "frontdoor.example",
    "edge-msedge.example",
    "ec.edgecdn.example",
    "wpc.sigmacdn.example",
    "sni1gl.wpc.sigmacdn.example",
];

/// The records of one name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// CNAMEs on the way to the addresses.
    pub cnames: usize,
    /// Time to live of every record, in seconds.
    pub ttl_seconds: u32,
    /// Addresses at the end of the chain.
    pub addresses: Vec<IpAddr>,
}

/// All names that exist; every other is NXDOMAIN.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    names: BTreeMap<String, Entry>,
}

impl Zone {
    /// The vendor's names and those of the lab.
    #[must_use]
    pub fn of_the_lab() -> Self {
        let mut zone = Self::default();
        for name in &vendor::NAMES {
            zone.set(
                name.host,
                Entry { cnames: name.cnames, ttl_seconds: name.ttl_seconds, addresses: vec![name.address.into()] },
            );
        }
        let mut plain = |host: &str, addresses: &[IpAddr]| {
            let entry = Entry { cnames: 0, ttl_seconds: 30, addresses: addresses.to_vec() };
            zone.set(host, entry);
        };
        plain(PROBE_HOST, &[PROBE.into(), PROBE6.into()]);
        plain(DUAL_HOST, &[DUAL4.into(), DUAL6.into()]);
        plain(UNLISTED_HOST, &[stranger(1).into(), stranger6(1).into()]);
        plain(UNLISTED_NTP, &[stranger(4).into()]);
        zone
    }

    /// Adds or replaces a name.
    pub fn set(&mut self, host: &str, entry: Entry) {
        self.names.insert(host.to_owned(), entry);
    }

    /// Moves a known name to other addresses.
    pub fn move_to(&mut self, host: &str, addresses: Vec<IpAddr>) {
        if let Some(entry) = self.names.get_mut(host) {
            entry.addresses = addresses;
        }
    }

    /// Removes a name.
    pub fn remove(&mut self, host: &str) {
        self.names.remove(host);
    }

    /// The zone file of the root of this little internet.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::from(
            ". 30 IN SOA a.root.example. lab.example. 1 3600 600 86400 5\n\
             . 30 IN NS a.root.example.\n",
        );
        for (host, entry) in &self.names {
            render_entry(&mut text, host, entry);
        }
        text
    }
}

fn render_entry(text: &mut String, host: &str, entry: &Entry) {
    let ttl = entry.ttl_seconds;
    let slug = host.replace('.', "-");
    let mut owner = host.to_owned();
    for link in LINKS.iter().cycle().take(entry.cnames) {
        let target = format!("{slug}.{link}");
        line(text, format_args!("{owner}. {ttl} IN CNAME {target}."));
        owner = target;
    }
    for address in &entry.addresses {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        line(text, format_args!("{owner}. {ttl} IN {kind} {address}"));
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
    use super::*;

    #[test]
    fn a_chain_ends_in_the_addresses() {
        let mut zone = Zone::default();
        let entry = Entry { cnames: 2, ttl_seconds: 5, addresses: vec![server(1, 1).into(), DUAL6.into()] };
        zone.set("a.example.net", entry);
        let text = zone.render();
        let records: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            records,
            [
                "a.example.net. 5 IN CNAME a-example-net.trafficmanager.example.",
                "a-example-net.trafficmanager.example. 5 IN CNAME a-example-net.frontdoor.example.",
                "a-example-net.frontdoor.example. 5 IN A 20.40.1.1",
                "a-example-net.frontdoor.example. 5 IN AAAA 2a01:111:40::5:1",
            ]
        );
    }

    #[test]
    fn every_vendor_name_is_in_the_zone() {
        let text = Zone::of_the_lab().render();
        for name in &vendor::NAMES {
            assert!(text.contains(&format!("\n{}. ", name.host)), "{}", name.host);
        }
    }
}
