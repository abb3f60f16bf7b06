//! Targets that make no sense are refused, those that rarely do get a warning, each with what to write instead.

use sphere_userspace::policy::{Server, Target};

use crate::errors::{assert_each, replaced};
use crate::{GOOD, invalid, lines, place_of, valid, with};

const ADDRESS: &str = "\"203.0.113.7\"";
const CIDR: &str = "\"2001:db8:7::/48\"";
const FROM: &str = "\"10.30.0.0/24\"";

#[test]
fn addresses_that_no_host_has_are_refused() {
    assert_each([
        replaced(ADDRESS, "\"127.0.0.1\"", "\"127.0.0.1\"", &["no address of a host", "loopback", "on the network"]),
        replaced(ADDRESS, "\"::1\"", "\"::1\"", &["loopback"]),
        replaced(ADDRESS, "\"255.255.255.255\"", "\"255.255.255.255\"", &["reserved"]),
        replaced(ADDRESS, "\"240.0.0.1\"", "\"240.0.0.1\"", &["reserved"]),
        replaced(ADDRESS, "\"0.1.2.3\"", "\"0.1.2.3\"", &["unspecified"]),
        replaced(ADDRESS, "\"::\"", "\"::\"", &["unspecified"]),
        replaced(ADDRESS, "\"ff02::fb\"", "\"ff02::fb\"", &["multicast"]),
        replaced(ADDRESS, "\"::ffff:192.0.2.1\"", "\"::ffff:192.0.2.1\"", &["ipv4-mapped", "write \"192.0.2.1\""]),
        replaced("\"198.51.100.53\"", "\"127.0.0.53\"", "\"127.0.0.53\"", &["loopback"]),
        replaced("\"10.20.0.2\"", "\"255.255.255.255\"", "\"255.255.255.255\"", &["reserved"]),
        replaced("\"192.0.2.53\"", "\"224.0.0.1\"", "\"224.0.0.1\"", &["no server address"]),
        replaced("ntp = true", "ntp = [\"127.0.0.1\"]", "\"127.0.0.1\"", &["loopback"]),
    ]);
}

#[test]
fn prefixes_without_hosts_are_refused() {
    assert_each([
        replaced(CIDR, "\"127.0.0.0/8\"", "\"127.0.0.0/8\"", &["no host has an address", "loopback"]),
        replaced(CIDR, "\"239.0.0.0/16\"", "\"239.0.0.0/16\"", &["multicast"]),
        replaced(CIDR, "\"ff00::/8\"", "\"ff00::/8\"", &["multicast"]),
        replaced(CIDR, "\"255.255.255.255/32\"", "\"255.255.255.255/32\"", &["reserved"]),
        replaced(CIDR, "\"::ffff:0.0.0.0/96\"", "\"::ffff:0.0.0.0/96\"", &["ipv4-mapped"]),
        replaced(FROM, "\"224.0.0.0/4\"", "\"224.0.0.0/4\"", &["multicast"]),
        replaced("\"10.21.0.0/24\"", "\"240.0.0.0/8\"", "\"240.0.0.0/8\"", &["no subnet of devices"]),
        replaced("\"10.21.0.0/24\"", "\"0.0.0.0/8\"", "\"0.0.0.0/8\"", &["no subnet of devices"]),
    ]);
}

#[test]
fn what_lies_in_a_reserved_prefix_is_refused_and_what_holds_one_is_not() {
    assert_each([
        replaced(
            ADDRESS,
            "\"192.168.35.2\"",
            "\"192.168.35.2\"",
            &["`192.168.35.2` lies in 192.168.35.0/24", "reserves"],
        ),
        replaced(CIDR, "\"192.168.35.0/25\"", "\"192.168.35.0/25\"", &["`192.168.35.0/25` lies in"]),
        replaced(FROM, "\"192.168.35.0/24\"", "\"192.168.35.0/24\"", &["lies in"]),
        replaced("\"198.51.100.53\"", "\"192.168.35.1\"", "\"192.168.35.1\"", &["lies in"]),
        replaced("\"10.20.0.2\"", "\"192.168.35.1\"", "\"192.168.35.1\"", &["lies in"]),
        replaced("ntp = true", "ntp = [\"192.168.35.1\"]", "\"192.168.35.1\"", &["lies in"]),
    ]);
    valid(&with(CIDR, "\"192.168.0.0/16\""));
}

/// The only thing said of a policy that is valid.
#[track_caller]
fn warned(from: &str, to: &str, at: &str, words: &[&str]) {
    let text = with(from, to);
    let policy = valid(&text);
    let [warning] = policy.warnings.as_slice() else { panic!("{:?}", lines(&policy.warnings)) };
    assert_eq!(warning.position(), Some(place_of(at, &text)), "{warning}");
    for word in words {
        assert!(warning.to_string().contains(word), "`{word}` is not in {warning}");
    }
}

#[test]
fn what_is_rarely_meant_gets_a_warning() {
    let everything = |net: &str, service: &str| format!("cidr = \"{net}\"\nports = [\"{service}\"]");
    let rule = everything("2001:db8:7::/48", "udp/5683");
    warned(&rule, &everything("::/0", "udp/*"), "\"::/0\"", &["every address at every port", "name prefixes"]);
    warned(&rule, &everything("0.0.0.0/0", "tcp/*"), "\"0.0.0.0/0\"", &["`0.0.0.0/0` with `tcp/*`"]);
    let from = |net: &str, service: &str| format!("from = \"{net}\"\nports = [\"{service}\"]");
    warned(&from("10.30.0.0/24", "tcp/8080"), &from("0.0.0.0/0", "tcp/*"), "\"0.0.0.0/0\"", &["every address"]);
    warned(ADDRESS, "\"169.254.169.254\"", "\"169.254.169.254\"", &["link-local", "no gateway forwards"]);
    let private = "address = \"203.0.113.7\"\nallow_private = true";
    warned(
        "address = \"203.0.113.7\"",
        private,
        "true\nports = [\"icmp\"]",
        &["`allow_private` is about", "remove it"],
    );
    // One port everywhere, and every port of a prefix, are things that policies say.
    assert_eq!(valid(&with(&rule, &everything("0.0.0.0/0", "udp/123"))).warnings, []);
    assert_eq!(valid(&with(&rule, &everything("2001:db8:7::/48", "udp/*"))).warnings, []);
}

#[test]
fn servers_of_the_operators_own_may_have_private_addresses() {
    let options = "ntp = [\"ntp.example.net\"]\nproxy = { host = \"proxy.example.net\", port = 3128 }";
    let policy = valid(&with("ntp = true", options));
    for name in ["ntp.example.net", "proxy.example.net"] {
        let rules = policy.groups.iter().flat_map(|group| &group.rules);
        let rules: Vec<_> =
            rules.filter(|rule| matches!(&rule.target, Target::Name(_)) && rule.target.to_string() == name).collect();
        assert!(rules.len() == 1 && rules[0].allow_private, "{name}: {rules:?}");
    }
}

#[test]
fn devices_are_not_sent_to_a_resolver_on_loopback() {
    let text = with("\"192.0.2.53\", \"[2001:db8::53]:5353\"", "\"127.0.0.53\", \"[::1]:5353\", \"192.0.2.53\"");
    let cameras = valid(&text).groups.remove(1);
    assert_eq!(cameras.resolvers, [Server::Gateway, Server::Address("192.0.2.53".parse().unwrap())].into());
    assert_eq!(valid(GOOD).resolver.servers.len(), 2);
    assert_eq!(valid(&text).resolver.servers.len(), 3, "the daemon itself may ask there");
    assert!(lines(invalid(&with("\"gateway\", \"198", "\"::1\", \"198")).diagnostics()).concat().contains("loopback"));
}
