//! What is wrong with a policy: each error at its place, with what to do.

use sphere_userspace::policy::{Diagnostic, Severity};

use crate::{GOOD, ORIGIN, invalid, lines, place_of, valid, with};

/// A text, the word that the error must point at, and words that message and remedy must have.
pub(crate) struct Case {
    text: String,
    at: &'static str,
    words: &'static [&'static str],
}

/// The errors of a text as lines, warnings apart.
#[track_caller]
pub(crate) fn errors_of(text: &str) -> Vec<String> {
    let errors = invalid(text);
    errors.diagnostics().iter().filter(|found| found.severity == Severity::Error).map(ToString::to_string).collect()
}

/// The good policy with one part replaced, and what must be said of it.
pub(crate) fn replaced(from: &str, to: &str, at: &'static str, words: &'static [&'static str]) -> Case {
    Case { text: with(from, to), at, words }
}

/// Each must be the only error of its text, at its place.
#[track_caller]
pub(crate) fn assert_each(cases: impl IntoIterator<Item = Case>) {
    for Case { text, at, words } in cases {
        let errors = invalid(&text);
        let found: Vec<_> = errors.diagnostics().iter().filter(|found| found.severity == Severity::Error).collect();
        let [error] = found.as_slice() else { panic!("one error expected at `{at}`:\n{errors}") };
        assert_eq!(error.position(), Some(place_of(at, &text)), "{error}");
        assert!(error.remedy.is_some(), "no remedy: {error}");
        let said = error.to_string();
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
    }
}

#[test]
fn unknown_keys_suggest_known_ones() {
    assert_each([
        replaced("grace = ", "grase = ", "grase", &["grase", "did you mean `grace`"]),
        replaced("endpoints = ", "endpoint = ", "endpoint =", &["did you mean `endpoints`"]),
        replaced("keep = \"90d\"", "kept = \"90d\"", "kept", &["unknown key `kept` in [store]", "did you mean `keep`"]),
        replaced("udp = ", "sctp = ", "sctp", &["unknown key `sctp` in [timeouts]"]),
        replaced("other_sources_v6", "other_sauces_v6", "other_sauces_v6", &["did you mean `other_sources_v6`"]),
        replaced("gateway_access", "gateway_excess", "gateway_excess", &["did you mean `gateway_access`"]),
        replaced("address = \"203", "adress = \"203\"\naddress = \"203", "adress = ", &["did you mean `address`"]),
        replaced("from = ", "form = \"x\"\nfrom = ", "form", &["did you mean `from`"]),
        replaced("[daemon]", "[demon]\n[daemon]", "demon]\n", &["did you mean `daemon`"]),
    ]);
}

#[test]
fn wrong_values_are_named_with_what_to_write() {
    assert_each([
        replaced(
            "version = 1",
            "version = 2",
            "2\n\n[daemon",
            &["says that it is of format 2", "reads format 1", "write `version = 1`"],
        ),
        replaced("endpoints = 4096", "endpoints = \"many\"", "\"many\"", &["expected a number"]),
        replaced("endpoints = 4096", "endpoints = 0", "0\ncidrs", &["out of bounds", "from 1"]),
        replaced("flows_per_device = 128", "flows_per_device = 15", "15\nrules", &["out of bounds", "from 16"]),
        replaced("devices = 512", "devices = 0x7fff_ffff", "0x7fff_ffff", &["out of bounds"]),
        replaced("\"30s\"", "30", "30\nttl", &["needs a unit", "\"30s\""]),
        replaced("\"1m\"", "\"90m\"", "\"90m\"", &["out of bounds", "less than 1h"]),
        replaced("\"2s\"", "\"2 lightyears\"", "\"2 lightyears\"", &["is no duration"]),
        replaced("\"2h\"", "\"1s\"", "\"30s\"", &["`ttl_floor` is above `ttl_ceiling`", "raise"]),
        replaced("\"[2001:db8::53]:5353\"", "\"dns.example\"", "\"dns.example\"", &["no server address"]),
        replaced("\"/sys/fs/bpf/gateway\"", "\"bpf\"", "\"bpf\"", &["no absolute path"]),
        replaced(
            "\"/var/log/sphere/denied.jsonl\"",
            "\"denied.jsonl\"",
            "\"denied.jsonl\"",
            &["`path` is no absolute path"],
        ),
        replaced("mode = \"xdp\"", "mode = \"fast\"", "\"fast\"", &["fast", "auto, xdp, tc, generic"]),
        replaced("mode = \"audit\"", "mode = \"lenient\"", "\"lenient\"", &["lenient", "enforce, audit"]),
        replaced("gateway_access = false", "gateway_access = \"no\"", "\"no\"", &["true or false"]),
        replaced(", \"lan1\"", ", \"lan/1\"", "\"lan/1\"", &["no interface name"]),
        replaced(", \"lan1\"", ", \"lo\"", "\"lo\"", &["no device is behind `lo`"]),
        replaced(", \"lan1\"", ", \"lan1\", \"lan1\"", "\"lan1\"]", &["`lan1` is named twice"]),
        replaced("\"10.21.0.0/24\"", "\"010.21.0.0/24\"", "\"010.21", &["leading zeros", "write \"10.21.0.0/24\""]),
        replaced("\"10.21.0.0/24\"", "\"10.0.0.0/08\"", "\"10.0.0.0/08", &["leading zeros", "write \"10.0.0.0/8\""]),
        replaced("\"tcp/8554\"", "\"tcp/08554\"", "\"tcp/08554\"", &["leading zeros", "write `tcp/8554`"]),
        replaced("\"cameras\"", "\"my cameras\"", "\"my cameras\"", &["no group name"]),
        replaced("resolvers = [\"gateway\"", "resolvers = [\"router\"", "\"router\"", &["router"]),
    ]);
}

#[test]
fn metrics_are_served_at_a_socket_or_an_address() {
    let at = |listen: &'static str, words| replaced("\"127.0.0.1:9469\"", listen, listen, words);
    let long = format!("\"unix:/{}\"", "m".repeat(107));
    assert_each([
        replaced("listen = ", "listens = ", "listens", &["in [metrics]", "did you mean `listen`"]),
        replaced("\"127.0.0.1:9469\"", "9469", "9469", &["expected a text"]),
        at("\"9469\"", &["no place to listen", "unix:/run/sphere/metrics.sock"]),
        at("\"localhost:9469\"", &["no place to listen"]),
        at("\"127.0.0.1:0\"", &["no port"]),
        at("\"0.0.0.0:9469\"", &["no loopback address", "network = true"]),
        at("\"[::]:9469\"", &["no loopback address"]),
        at("\"[::ffff:192.0.2.1]:9469\"", &["no loopback address"]),
        replaced("\"127.0.0.1:9469\"", "\"192.0.2.1:1\"\nnetwork = false", "\"192.0.2.1:1\"", &["network = true"]),
        replaced("\"127.0.0.1:9469\"", "\"127.0.0.1:9469\"\nnetwork = \"yes\"", "\"yes\"", &["true or false"]),
        at("\"unix:metrics.sock\"", &["no absolute path"]),
        at("\"unix:/run/sphere/\"", &["no absolute path of a socket"]),
        at("\"unix:/run/\\u001b.sock\"", &["control characters"]),
        Case { text: with("\"127.0.0.1:9469\"", &long), at: "\"unix:/mmm", words: &["longer than 107 bytes"] },
    ]);
}

#[test]
fn what_the_store_keeps_has_bounds_and_units() {
    assert_each([
        replaced("\"/srv/sphere\"", "\"srv\"", "\"srv\"", &["`directory` is no absolute path"]),
        replaced("\"/srv/sphere\"", "\"/srv\\n\"", "\"/srv\\n\"", &["the character"]),
        replaced("\"90d\"", "90", "90\nmax", &["needs a unit"]),
        replaced("\"90d\"", "\"36h\"", "\"36h\"", &["no whole number of days", "such as \"30d\""]),
        replaced("\"90d\"", "\"1h\"", "\"1h\"", &["out of bounds", "at least 1day"]),
        replaced("\"90d\"", "\"11years\"", "\"11years\"", &["out of bounds", "less than"]),
        replaced("\"4GiB\"", "4", "4\nwhen", &["a size needs a unit", "\"2GiB\""]),
        replaced("\"4GiB\"", "true", "true\nwhen", &["text in quotes"]),
        replaced("\"4GiB\"", "\"4 gigs\"", "\"4 gigs\"", &["is no size", "\"2GiB\""]),
        replaced("\"4GiB\"", "\"1MiB\"", "\"1MiB\"", &["out of bounds", "at least 16MiB and at most 16TiB"]),
        replaced("\"pause\"", "\"wait\"", "\"wait\"", &["unknown value `wait`", "drop-oldest, pause"]),
        replaced("enabled = true", "enabled = 1", "1\ndirectory", &["true or false"]),
    ]);
}

#[test]
fn wrong_hosts_addresses_and_prefixes_say_which_key_to_use() {
    const HOST: &str = "\"Api.Example.COM.\"";
    const ADDRESS: &str = "\"203.0.113.7\"";
    const CIDR: &str = "\"2001:db8:7::/48\"";
    assert_each([
        replaced(HOST, "\"192.0.2.1\"", "\"192.0.2.1\"", &["is an address", "`address = \"192.0.2.1\"`"]),
        replaced(HOST, "\"2001:db8::1\"", "\"2001:db8::1\"", &["is an address"]),
        replaced(HOST, "\"a..example\"", "\"a..example\"", &["empty label"]),
        replaced(HOST, "\"https://a.example/\"", "\"https://a.example/\"", &["may not occur in a name"]),
        replaced(HOST, "\"xn--\u{fc}.example\"", "\"xn--\u{fc}.example\"", &["internationalised"]),
        replaced(HOST, "\"a.*.example\"", "\"a.*.example\"", &["first"]),
        replaced(HOST, "\"*.com\"", "\"*.com\"", &["`*.com` is too wide", "*.example.com"]),
        replaced(HOST, "\"*\"", "\"*\"", &["first"]),
        replaced(HOST, "\"\"", "\"\"", &["empty"]),
        replaced(ADDRESS, "\"dns.example\"", "\"dns.example\"", &["no address", "`host`"]),
        replaced(ADDRESS, "\"192.0.2.0/24\"", "\"192.0.2.0/24\"", &["no address", "`cidr`"]),
        replaced(ADDRESS, "\"0.0.0.0\"", "\"0.0.0.0\"", &["no address of a host"]),
        replaced(ADDRESS, "\"224.0.0.251\"", "\"224.0.0.251\"", &["no address of a host"]),
        replaced(CIDR, "\"2001:db8:7::1/48\"", "\"2001:db8:7::1/48\"", &["bits set", "\"2001:db8:7::/48\""]),
        replaced(CIDR, "\"2001:db8:7::/129\"", "\"2001:db8:7::/129\"", &["no prefix"]),
        replaced(CIDR, "\"2001:db8:7::\"", "\"2001:db8:7::\"", &["no prefix"]),
        replaced("\"10.30.0.0/24\"", "\"10.30.0.5/24\"", "\"10.30.0.5/24\"", &["bits set", "\"10.30.0.0/24\""]),
        replaced("\"10.21.0.0/24\"", "\"10.21.0.5/24\"", "\"10.21.0.5/24\"", &["bits set", "\"10.21.0.0/24\""]),
        replaced("\"10.21.0.0/24\"", "\"224.0.0.0/8\"", "\"224.0.0.0/8\"", &["no subnet of devices"]),
        replaced("\"10.21.0.0/24\"", "\"fe80::/64\"", "\"fe80::/64\"", &["no subnet of devices"]),
    ]);
}

#[test]
fn wrong_choices_about_names_are_refused() {
    assert_each([
        replaced(
            "dns = \"drop\"",
            "dns = \"silence\"",
            "\"silence\"",
            &["unknown value `silence`", "refuse, drop, any"],
        ),
        replaced("\"20ms\"", "\"101ms\"", "\"101ms\"", &["out of bounds", "at least 1ms and at most 100ms"]),
        replaced("\"20ms\"", "\"on\"", "\"on\"", &["is no duration"]),
        replaced("learn = 2048", "learn = -1", "-1", &["out of bounds"]),
        replaced("any_type = true", "any_type = 1", "1\n\n[[group.allow]]\naddress", &["true or false"]),
        replaced(
            "address = \"203.0.113.7\"",
            "address = \"203.0.113.7\"\nany_type = false",
            "false\nports = [\"icmp\"]",
            &["`any_type` is about names"],
        ),
    ]);
}

#[test]
fn wrong_ports_are_refused() {
    const PORT: &str = "\"tcp/8554\"";
    assert_each([
        replaced(PORT, "\"tcp/70000\"", "\"tcp/70000\"", &["`70000` is no port", "from 1 to 65535"]),
        replaced(PORT, "\"tcp/0\"", "\"tcp/0\"", &["`0` is no port"]),
        replaced(PORT, "\"tcp/80-90\"", "\"tcp/80-90\"", &["range"]),
        replaced(PORT, "\"sctp/5\"", "\"sctp/5\"", &["unknown protocol `sctp`"]),
        replaced(PORT, "\"8554\"", "\"8554\"", &["no protocol"]),
        replaced(PORT, "\"icmp/8\"", "\"icmp/8\"", &["has no ports"]),
        replaced(PORT, "8554", "8554", &["text in quotes"]),
        replaced("ports = [\"tcp/8554\"]", "ports = []", "[]", &["allows nothing"]),
    ]);
}

#[test]
fn a_rule_has_exactly_one_target() {
    let both = with("host = \"video.example.net\"", "host = \"video.example.net\"\naddress = \"192.0.2.1\"");
    let none = with("host = \"video.example.net\"\n", "");
    for (text, words) in [(both, "several"), (none, "nothing to reach")] {
        let errors = errors_of(&text);
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert!(error.contains(words) && error.contains("`host`, `address` and `cidr`"), "{error}");
    }
}

#[test]
fn groups_need_what_makes_them_groups() {
    for (from, to, words) in [
        ("name = \"cameras\"\n", "", "a group needs `name`"),
        ("interfaces = [\"lan0\", \"lan1\"]\n", "", "a group needs `interfaces`"),
        ("subnets = [\"10.21.0.0/24\"]\n", "", "a group needs `subnets`"),
        ("mode = \"audit\"\n", "", "a group needs `mode`"),
        ("interfaces = [\"lan0\", \"lan1\"]", "interfaces = []", "no interface"),
        ("subnets = [\"10.21.0.0/24\"]", "subnets = []", "no subnets"),
        ("ports = [\"tcp/8554\"]\n", "", "a rule needs `ports`"),
        ("ports = [\"tcp/8080\"]\n", "", "an inbound rule needs `ports`"),
        ("from = \"10.30.0.0/24\"\n", "", "an inbound rule needs `from`"),
        ("version = 1\n", "", "needs `version`"),
    ] {
        let errors = errors_of(&with(from, to));
        let [error] = errors.as_slice() else { panic!("{words}: {errors:?}") };
        assert!(error.starts_with(&format!("{ORIGIN}:")) && error.contains(words), "{words}: {error}");
    }
    assert!(lines(invalid("version = 1\n").diagnostics()).concat().contains("no groups"));
}

#[test]
fn a_reserved_prefix_is_no_device_subnet() {
    const SUBNET: &str = "\"10.21.0.0/24\"";
    assert_each([
        replaced(SUBNET, "\"192.168.35.0/24\"", "\"192.168.35.0/24\"", &["192.168.35.0/24", "reserves"]),
        replaced(SUBNET, "\"192.168.35.2/32\"", "\"192.168.35.2/32\"", &["192.168.35.0/24"]),
        replaced(SUBNET, "\"192.168.0.0/16\"", "\"192.168.0.0/16\"", &["192.168.35.0/24"]),
    ]);
    let without_profile = "version = 1\n[[group]]\nname = \"g\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\n\
                           subnets = [\"192.168.35.0/24\"]\n";
    assert_eq!(valid(without_profile).reserved.len(), 0);
}

#[test]
fn an_error_is_shown_with_its_place_and_line_and_without_colour() {
    let errors = invalid(&with("\"tcp/8554\"", "\"tcp/70000\""));
    let shown = errors.to_string();
    let (line, column) = place_of("\"tcp/8554\"", GOOD);
    assert!(shown.contains(&format!("{ORIGIN}:{line}:{column}")), "{shown}");
    assert!(shown.contains("ports = [\"tcp/70000\"]") && shown.contains("^^^^^^^^^^^"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    let styled = errors.diagnostics().first().unwrap().render_styled();
    assert!(styled.contains('\u{1b}'), "{styled}");
}

#[test]
fn columns_count_characters() {
    let text = with("ports = [\"tcp/8554\"]", "ports = [\"tcp/8554\", \"ü\u{1f600}\", \"x\"]");
    let errors = invalid(&text);
    let columns: Vec<_> = errors.diagnostics().iter().filter_map(Diagnostic::position).map(|at| at.1).collect();
    assert_eq!(columns, [22, 28]);
}
