//! Policies that do not fit into the kernel's tables are refused, at what is too much, and exactly those.

use std::fmt::Write as _;

use sphere_userspace::policy::{self, InterfaceName, Limits, Policy};
use sphere_userspace::reconcile::{Clock, Desired, GatewayFacts, Inputs, Leases, Misfit, Moment, Tables};

use crate::{Directory, invalid, lines, place_of, valid};

/// A policy whose rules share entries and labels in every way there is.
const SHARING: &str = r#"version = 1
[limits]
endpoints = 65536
cidrs = 16384
rules = 8192
[[group]]
name = "a"
mode = "enforce"
interfaces = ["lan0"]
subnets = ["10.1.0.0/24"]
resolvers = ["gateway", "192.0.2.53", "2001:db8::53"]
dhcp_servers = ["192.0.2.67", "2001:db8::67"]
allow = [
    { host = "a.example", ports = ["tcp/1", "tcp/2"] },
    { host = "a.example", ports = ["tcp/2", "tcp/1"], any_type = true },
    { host = "a.example", ports = ["tcp/2"] },
    { host = "a.example", ports = ["tcp/2"], allow_private = true },
    { host = "*.b.example", ports = ["udp/*"] },
    { address = "192.0.2.53", ports = ["udp/53", "tcp/443"] },
    { address = "192.0.2.53", ports = ["tcp/443", "icmp"] },
    { address = "2001:db8::53", ports = ["tcp/53"] },
    { cidr = "2001:db8::/32", ports = ["tcp/1", "tcp/2", "icmp"] },
    { cidr = "198.51.100.0/24", ports = ["tcp/1", "tcp/2"] },
    { cidr = "198.51.100.0/24", ports = ["tcp/2", "tcp/3"] },
]
inbound = [
    { from = "198.51.100.0/24", ports = ["tcp/1"] },
    { from = "198.51.100.0/24", ports = ["tcp/1"] },
]
[[group]]
name = "b"
mode = "audit"
interfaces = ["lan0"]
subnets = ["10.2.0.0/24"]
resolvers = ["192.0.2.53"]
gateway_access = false
allow = [{ address = "192.0.2.53", ports = ["tcp/443"] }]
"#;

/// What the reconciler says of a policy on a gateway without interfaces.
fn compiled(policy: &Policy) -> Result<Desired, Misfit> {
    let clock = Clock { ticks_per_second: 250, anchor: Moment::default(), anchor_ticks: 1 << 32 };
    let (leases, facts) = (Leases::new(), GatewayFacts::default());
    Desired::new(
        &Inputs { policy, leases: &leases, facts: &facts, clock: &clock, now: Moment::default() },
        &Tables::default(),
    )
}

#[test]
fn room_is_counted_as_the_reconciler_counts() {
    type Set = fn(&mut Limits, u32);
    let limits: [(&str, u32, Set); 3] = [
        ("endpoints", 65_536, |limits, room| limits.endpoints = room),
        ("cidrs", 16_384, |limits, room| limits.cidrs = room),
        ("rules", 8_192, |limits, room| limits.rules = room),
    ];
    let policy = valid(SHARING);
    for (key, written, set) in limits {
        let fits = |room: &u32| {
            let mut policy = policy.clone();
            set(&mut policy.limits, *room);
            compiled(&policy).is_ok()
        };
        let needed = (1..100).find(fits).unwrap();
        let with = |room: u32| SHARING.replace(&format!("{key} = {written}"), &format!("{key} = {room}"));
        valid(&with(needed));
        let text = with(needed - 1);
        let errors = invalid(&text);
        let [error] = errors.diagnostics() else { panic!("{errors}") };
        let said = error.to_string();
        assert!(
            said.contains(&format!("at least {needed} "))
                && said.contains(&format!("raise `{key}` in [limits] to {needed}")),
            "{said}"
        );
        let (line, column) = place_of(&format!("{key} = "), &text);
        assert_eq!(error.position(), Some((line, column + key.len() + 3)), "{said}");
    }
}

#[test]
fn a_limit_that_is_not_written_is_pointed_at_where_it_would_be() {
    let many: Vec<String> =
        (0..8_300).map(|number| format!("{{address=\"192.0.2.1\",ports=[\"tcp/{}\"]}}", number + 1)).collect();
    let rules = |limits: &str| {
        SHARING.replace("rules = 8192", limits).replace("allow = [\n", &format!("allow = [\n{},", many.join(",")))
    };
    let errors = lines(invalid(&rules("")).diagnostics());
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(error.starts_with("policy.toml:2:1: ") && error.contains("raise `rules` in [limits]"), "{error}");
    valid(&rules("rules = 9000"));
}

/// A policy with this many groups, each with one rule.
fn groups(count: usize) -> String {
    let mut text = "version = 1\n".to_owned();
    for number in 0..count {
        let (high, low) = (number / 256, number % 256);
        write!(
            text,
            "[[group]]\nname = \"g{number}\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\n\
             subnets = [\"10.{high}.{low}.0/24\"]\n[[group.allow]]\nhost = \"a.example\"\nports = [\"tcp/1\"]\n"
        )
        .unwrap();
    }
    text
}

#[test]
fn more_groups_than_a_gateway_holds_are_refused() {
    assert_eq!(valid(&groups(64)).groups.len(), 64);
    let errors = lines(invalid(&groups(65)).diagnostics());
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(error.contains("65 groups") && error.contains("64"), "{error}");
}

/// A policy with one group behind these interfaces and in these subnets.
fn placed(interfaces: &[String], subnets: &[String]) -> String {
    let quoted = |words: &[String]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(",");
    format!(
        "version = 1\n[[group]]\nname = \"g\"\nmode = \"audit\"\ninterfaces = [{}]\nsubnets = [{}]\n\
         allow = [{{ host = \"a.example\", ports = [\"tcp/1\"] }}]\n",
        quoted(interfaces),
        quoted(subnets)
    )
}

fn interfaces(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("lan{number}")).collect()
}

fn subnets(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("10.{}.{}.0/24", number / 256, number % 256)).collect()
}

/// The only error must stand at a word and name a number.
#[track_caller]
fn refused_at(word: &str, text: &str, words: &[&str]) {
    let errors = invalid(text);
    let [error] = errors.diagnostics() else { panic!("{errors}") };
    assert_eq!(error.position(), Some(place_of(word, text)), "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is not in {error}");
    }
}

#[test]
fn subnets_and_interfaces_beyond_the_tables_are_refused_and_not_one_less() {
    assert!(compiled(&valid(&placed(&interfaces(2), &subnets(512)))).is_ok());
    let text = placed(&interfaces(2), &subnets(513));
    refused_at("\"10.2.0.0/24\"", &text, &["1026 pairs", "1024"]);
    assert!(compiled(&valid(&placed(&interfaces(256), &subnets(4)))).is_ok());
    refused_at("\"lan256\"", &placed(&interfaces(257), &subnets(1)), &["257 interfaces", "256"]);

    // The reconciler draws the line at the same place.
    let mut policy = valid(&placed(&interfaces(2), &subnets(512)));
    policy.groups[0].subnets.insert("10.2.0.0/24".parse().unwrap());
    assert!(matches!(compiled(&policy), Err(Misfit::Subnets { needed: 1026, capacity: 1024 })));
    let mut policy = valid(&placed(&interfaces(256), &subnets(1)));
    let mut one_more = policy.interfaces[0].clone();
    one_more.name = InterfaceName::parse("lan256").unwrap();
    policy.interfaces.push(one_more);
    assert!(matches!(compiled(&policy), Err(Misfit::Ports { needed: 257, capacity: 256 })));
}

#[test]
fn more_reserved_prefixes_than_the_configuration_holds_are_refused_at_their_profile() {
    let directory = Directory::new("reserved");
    let profile = |count: usize| {
        let prefixes: Vec<String> = (0..count).map(|number| format!("\"172.16.{number}.0/24\"")).collect();
        format!(
            "profile = \"own\"\nversion = \"1\"\nsource = \"s\"\ndescription = \"d\"\nchecked = 2026-01-01\n\
             valid_until = 9999-12-31\nreserved = [{}]\nendpoint = [{{ host = \"a.example\", ports = [\"tcp/1\"], \
             purpose = \"p\", need = \"required\" }}]\n",
            prefixes.join(",")
        )
    };
    let text = placed(&interfaces(1), &subnets(1)) + "profiles = [\"azure-sphere\", \"./own.toml\"]\n";
    let path = directory.write("policy.toml", &text);
    directory.write("own.toml", profile(3));
    assert!(compiled(&policy::load(&path).unwrap()).is_ok());
    directory.write("own.toml", profile(4));
    let errors = policy::load(&path).unwrap_err();
    let [error] = errors.diagnostics() else { panic!("{errors}") };
    assert_eq!(error.position(), Some(place_of("\"./own.toml\"", &text)), "{error}");
    assert!(error.to_string().contains("5 prefixes, more than 4"), "{error}");
}

#[test]
fn more_services_than_the_entry_of_a_name_holds_are_refused_and_not_one_less() {
    let rule = |host: &str, first: usize, count: usize| {
        let ports: Vec<String> = (first..first + count).map(|port| format!("\"tcp/{port}\"")).collect();
        format!("[[group.allow]]\nhost = \"{host}\"\nports = [{}]\n", ports.join(","))
    };
    let head = placed(&interfaces(1), &subnets(1)).lines().take(6).collect::<Vec<_>>().join("\n") + "\n";
    for (most, beyond, at) in [
        ([rule("b.example", 1, 8), String::new()], [rule("b.example", 1, 9), String::new()], "\"b.example\""),
        (
            [rule("*.example.net", 1, 3), rule("c.b.example.net", 10, 5)],
            [rule("*.example.net", 1, 3), rule("c.b.example.net", 10, 6)],
            "\"c.b.example.net\"",
        ),
        (
            [rule("*.b.example.net", 10, 5), rule("*.example.net", 1, 3)],
            [rule("*.b.example.net", 10, 6), rule("*.example.net", 1, 3)],
            "\"*.example.net\"",
        ),
        // Rules that say the same are one, those that say something else at the same port are not.
        (
            [rule("b.example", 1, 8), rule("b.example", 1, 8)],
            [rule("b.example", 1, 8), rule("B.example", 1, 1)],
            "\"B.example\"",
        ),
    ] {
        assert!(compiled(&valid(&format!("{head}{}", most.concat()))).is_ok());
        refused_at(at, &format!("{head}{}", beyond.concat()), &["9 services", "holds 8"]);
    }
}
