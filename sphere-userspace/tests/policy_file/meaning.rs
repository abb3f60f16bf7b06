//! What a policy file means: every key ends up in its field, and what is left out has its default.

use std::time::Duration;

use sphere_userspace::policy::{
    AttachMode, DnsPolicy, Group, Limits, MetricsListen, Mode, Need, Origin, OtherSources, Policy, ResolverSettings,
    Server, Unlearned,
};
use sphere_userspace::store::{StoreSettings, WhenFull};

use crate::{CLOSED, GOOD, invalid, lines, valid, with};

/// The smallest policy that guards something.
const SMALLEST: &str = "version = 1\n[[group]]\nname = \"g\"\nmode = \"enforce\"\ninterfaces = [\"lan0\"]\n\
                        subnets = [\"10.20.0.0/24\"]\n[[group.allow]]\nhost = \"a.example\"\nports = [\"tcp/1\"]\n";

fn group<'a>(policy: &'a Policy, name: &str) -> &'a Group {
    policy.groups.iter().find(|group| group.name.as_str() == name).unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn settings_end_up_in_their_fields() {
    let policy = valid(GOOD);
    assert_eq!(lines(&policy.warnings), Vec::<String>::new());
    assert_eq!(policy.daemon.pin_root.to_str(), Some("/sys/fs/bpf/gateway"));
    assert_eq!((policy.records.window, policy.records.sinks.len()), (seconds(60), 5));
    let StoreSettings { enabled, directory, keep_days, keep_bytes, when_full } = &policy.store;
    assert_eq!((*enabled, directory.to_str(), *keep_days), (true, Some("/srv/sphere"), 90));
    assert_eq!((*keep_bytes, *when_full), (4 << 30, WhenFull::Pause));
    let servers: Vec<String> = policy.resolver.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.53:53", "[2001:db8::53]:5353"]);
    let ResolverSettings { ttl_floor, ttl_ceiling, grace, timeout, .. } = policy.resolver;
    assert_eq!([ttl_floor, ttl_ceiling, grace, timeout], [30, 7_200, 900, 2].map(seconds));
    let limits =
        Limits { endpoints: 4_096, cidrs: 512, devices: 512, flows_per_device: 128, rules: 300, events_per_second: 50 };
    assert_eq!(policy.limits, limits);
    let times = policy.timeouts;
    assert_eq!([times.tcp_opening, times.tcp_established, times.tcp_closing], [20, 86_400, 10].map(seconds));
    assert_eq!([times.udp, times.icmp, times.fragment], [120, 15, 25].map(seconds));
}

#[test]
fn groups_end_up_in_their_fields() {
    let policy = valid(GOOD);
    let sensors = group(&policy, "sensors");
    assert_eq!((sensors.mode, sensors.gateway_access), (Mode::Enforce, false));
    let names = (sensors.dns, sensors.dns_hold, sensors.dns_unlearned, sensors.learn);
    assert_eq!(names, (DnsPolicy::Drop, Some(Duration::from_millis(20)), Unlearned::Drop, 2_048));
    let subnets: Vec<String> = sensors.subnets.iter().map(ToString::to_string).collect();
    assert_eq!(subnets, ["10.20.0.0/24", "fd00:20::/64"]);
    assert_eq!(sensors.resolvers, [Server::Gateway, Server::Address("198.51.100.53".parse().unwrap())].into());
    assert_eq!(sensors.dhcp_servers, [Server::Address("10.20.0.2".parse().unwrap())].into());
    assert_eq!(sensors.profiles.keys().collect::<Vec<_>>(), ["azure-sphere"]);
    let [inbound] = sensors.inbound.as_slice() else { panic!("{:?}", sensors.inbound) };
    assert_eq!((inbound.from.to_string(), inbound.purpose.as_deref()), ("10.30.0.0/24".into(), Some("maintenance")));
    assert_eq!(inbound.services, ["tcp/8080".parse().unwrap()].into());
}

#[test]
fn rules_keep_target_services_origin_and_purpose() {
    let policy = valid(GOOD);
    let own = |origin: &Origin| matches!(origin, Origin::File { .. });
    let rules: Vec<_> = group(&policy, "sensors").rules.iter().filter(|rule| own(&rule.origin)).collect();
    let targets: Vec<String> = rules.iter().map(|rule| rule.target.to_string()).collect();
    assert_eq!(
        targets,
        ["api.example.com", "nas.example.com", "*.devices.example.com", "203.0.113.7", "2001:db8:7::/48"]
    );
    let [api, nas, below, ..] = rules.as_slice() else { panic!("{rules:?}") };
    assert_eq!(api.services, ["tcp/443", "udp/5000"].map(|service| service.parse().unwrap()).into());
    assert_eq!((api.purpose.as_deref(), api.need, api.allow_private), (Some("application"), Need::Required, false));
    assert!(nas.allow_private && !nas.any_type && below.any_type && !below.allow_private);
    let Origin::File { path, line } = &api.origin else { panic!("{:?}", api.origin) };
    let written = GOOD.lines().position(|line| line.contains("Api.Example.COM")).unwrap() + 1;
    assert_eq!(path, crate::ORIGIN);
    assert!(written.abs_diff(*line) <= 1, "the rule is in line {written}, its origin says {line}");
}

#[test]
fn what_is_left_out_has_its_default() {
    let policy = valid(SMALLEST);
    let empty = Policy::default();
    assert_eq!((&policy.daemon, &policy.resolver), (&empty.daemon, &empty.resolver));
    assert_eq!(policy.store, StoreSettings::new("/var/lib/sphere"));
    assert_eq!((policy.limits, policy.timeouts), (empty.limits, empty.timeouts));
    let group = group(&policy, "g");
    assert_eq!((&group.resolvers, &group.dhcp_servers), (&[Server::Gateway].into(), &[Server::Gateway].into()));
    assert_eq!((group.dns, group.dns_hold, group.learn), (DnsPolicy::Refuse, None, Group::DEFAULT_LEARN));
    assert!(group.gateway_access && group.inbound.is_empty() && group.profiles.is_empty());
    assert_eq!(policy.reserved.len(), 0);
    let [port] = policy.interfaces.as_slice() else { panic!("{:?}", policy.interfaces) };
    assert_eq!((port.name.as_str(), port.attach), ("lan0", AttachMode::Auto));
    assert_eq!((port.other_sources_v4, port.other_sources_v6), (OtherSources::Pass, OtherSources::Deny));
}

#[test]
fn devices_may_ask_the_policys_own_resolvers_when_nothing_is_said() {
    let policy = valid(GOOD);
    let servers = ["192.0.2.53", "2001:db8::53"].map(|address| Server::Address(address.parse().unwrap()));
    assert_eq!(group(&policy, "cameras").resolvers, servers.into_iter().chain([Server::Gateway]).collect());
}

#[test]
fn foreign_ipv6_is_denied_only_where_no_group_has_ipv6() {
    let of = |policy: &Policy, name: &str| {
        policy.interfaces.iter().find(|port| port.name.as_str() == name).unwrap().other_sources_v6
    };
    let policy = valid(&with("other_sources_v6 = \"deny\"", "other_sources_v6 = \"auto\""));
    assert_eq!((of(&policy, "lan0"), of(&policy, "lan1")), (OtherSources::PassGlobal, OtherSources::Deny));
    let policy = valid(GOOD);
    assert_eq!((of(&policy, "lan0"), of(&policy, "lan1")), (OtherSources::Deny, OtherSources::Deny));
}

#[test]
fn words_about_names_mean_what_they_say() {
    for (word, dns) in [("refuse", DnsPolicy::Refuse), ("drop", DnsPolicy::Drop), ("any", DnsPolicy::Any)] {
        let policy = valid(&with("dns = \"drop\"", &format!("dns = \"{word}\"")));
        assert_eq!(group(&policy, "sensors").dns, dns);
    }
    for (word, hold) in [("off", None), ("1ms", Some(1)), ("100ms", Some(100))] {
        let policy = valid(&with("\"20ms\"", &format!("\"{word}\"")));
        assert_eq!(group(&policy, "sensors").dns_hold, hold.map(Duration::from_millis));
    }
    for (word, unlearned) in [("deliver", Unlearned::Deliver), ("drop", Unlearned::Drop)] {
        let policy = valid(&with("dns_unlearned = \"drop\"", &format!("dns_unlearned = \"{word}\"")));
        assert_eq!(group(&policy, "sensors").dns_unlearned, unlearned);
    }
    assert_eq!(group(&valid(&with("dns_unlearned = \"drop\"", "")), "sensors").dns_unlearned, Unlearned::Deliver);
    let vain = valid(&with("dns_hold = \"20ms\"", "dns_hold = \"off\""));
    assert!(vain.warnings.iter().any(|warning| warning.to_string().contains("dns_unlearned")), "{:?}", vain.warnings);
    assert_eq!(group(&valid(&with("learn = 2048", "learn = 0")), "sensors").learn, 0);
}

#[test]
fn metrics_are_served_only_where_the_policy_says_so() {
    let listen = |metrics: &str| valid(&with("[metrics]\nlisten = \"127.0.0.1:9469\"\n", metrics)).metrics;
    assert_eq!(listen(""), None);
    assert_eq!(listen("[metrics]\n").unwrap().to_string(), "unix:/run/sphere/metrics.sock");
    assert_eq!(listen("[metrics]\nlisten = \"unix:/a/b\"\n"), Some(MetricsListen::Unix("/a/b".into())));
    assert_eq!(listen("[metrics]\nlisten = \"[::1]:80\"\n"), Some(MetricsListen::Tcp("[::1]:80".parse().unwrap())));
}

#[test]
fn the_store_is_on_unless_it_is_switched_off() {
    assert!(valid(&with("enabled = true\n", "")).store.enabled);
    let policy = valid(&with("enabled = true", "enabled = false"));
    assert_eq!((policy.store.enabled, policy.store.keep_days), (false, 90));
    for (word, days) in [("1d", 1), ("24h", 1), ("2 weeks", 14), ("3650days", 3650)] {
        assert_eq!(valid(&with("\"90d\"", &format!("\"{word}\""))).store.keep_days, days);
    }
    assert_eq!(valid(&with("\"pause\"", "\"drop-oldest\"")).store.when_full, WhenFull::DropOldest);
}

#[test]
fn the_names_to_poll_are_those_of_every_group() {
    let names: Vec<String> = valid(GOOD).names().iter().map(ToString::to_string).collect();
    for name in ["api.example.com", "video.example.net", "contoso.azure-devices.net"] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("devices.example.com")), "names below a name are not asked for");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing_but_columns() {
    let windows = GOOD.replace('\n', "\r\n");
    assert_eq!(valid(&windows).groups, valid(GOOD).groups);
    assert_eq!(valid(&format!("\u{feff}{GOOD}")).groups.len(), 2);
}

#[test]
fn subnets_may_overlap_on_different_interfaces() {
    let text = with(
        "interfaces = [\"lan0\", \"lan1\"]\nsubnets = [\"10.21.0.0/24\"]",
        "interfaces = [\"lan1\"]\nsubnets = [\"10.20.0.0/25\"]",
    );
    assert_eq!(valid(&text).groups.len(), 2);
}

#[test]
fn what_may_be_a_mistake_is_a_warning() {
    let cases = [
        (SMALLEST.split("[[group.allow]]").next().unwrap().to_owned(), "has no rules"),
        (format!("{SMALLEST}[[interface]]\nname = \"lan7\"\n"), "lan7"),
        (SMALLEST.replace("a.example", "printer.local"), "multicast DNS"),
        (SMALLEST.replace("[[group.allow]]", "resolvers = []\n[[group.allow]]"), "no resolver"),
        (format!("{SMALLEST}[records]\nsink = []\n"), "go nowhere"),
    ];
    for (text, words) in cases {
        let warnings = lines(&valid(&format!("{text}{CLOSED}")).warnings);
        let [warning] = warnings.as_slice() else { panic!("{warnings:?} for:\n{text}") };
        assert!(warning.contains("warning: ") && warning.contains(words), "{warning}");
    }
}

#[test]
fn a_group_whose_rules_were_refused_is_not_said_to_have_none() {
    let profile =
        SMALLEST.replace("[[group.allow]]\nhost = \"a.example\"\nports = [\"tcp/1\"]", "profiles = [\"azure-cube\"]");
    for text in [SMALLEST.replace("tcp/1", "tcp/70000"), profile] {
        let found = lines(invalid(&text).diagnostics());
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
