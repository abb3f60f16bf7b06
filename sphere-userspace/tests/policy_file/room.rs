//! Policies that do not fit into the kernel's tables are refused, at what is too much, and exactly those.

use std::fmt::Write as _;

use sphere_userspace::policy::{Limits, Policy};
use sphere_userspace::reconcile::{Clock, Desired, GatewayFacts, Inputs, Leases, Misfit, Moment, Tables};

use crate::{invalid, lines, place_of, valid};

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
