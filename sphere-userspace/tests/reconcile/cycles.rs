//! Answers come, overlap, fail and end: a name never takes another's address, and nothing outlives its lease.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;
use sphere_userspace::reconcile::{Moment, Step};
use sphere_userspace::resolve::{AddressRecord, Answer};

use crate::world::{World, group, name, policy, rule};

const NAMES: [(&str, &[u16]); 4] =
    [("a.example.com", &[443]), ("b.example.com", &[443]), ("c.example.com", &[443, 8883]), ("d.example.com", &[8883])];

fn world() -> World {
    let rules = || {
        let rules = NAMES.iter().map(|(name, ports)| {
            let services: Vec<String> = ports.iter().map(|port| format!("tcp/{port}")).collect();
            rule(name, &services.iter().map(String::as_str).collect::<Vec<_>>())
        });
        rules.collect()
    };
    let mut policy = policy(vec![group("one", &["10.20.0.0/24"], rules()), group("two", &["10.20.1.0/24"], rules())]);
    policy.resolver.ttl_floor = Duration::from_secs(10);
    policy.resolver.ttl_ceiling = Duration::from_secs(100);
    policy.resolver.grace = Duration::from_secs(20);
    World::new(policy)
}

/// What should be open, worked out in another way: the latest end of each name and address.
#[derive(Default)]
struct Oracle {
    ends: BTreeMap<(&'static str, IpAddr), Moment>,
}

impl Oracle {
    fn learn(&mut self, name: &'static str, records: &[(IpAddr, u64)], now: Moment) {
        for (address, ttl) in records {
            let end = now + Duration::from_secs((*ttl).clamp(10, 100) + 20);
            let known = self.ends.entry((name, *address)).or_insert(end);
            *known = end.max(*known);
        }
    }

    fn open(&self, port: u16, now: Moment) -> BTreeMap<String, Moment> {
        let mut open: BTreeMap<String, Moment> = BTreeMap::new();
        for ((name, address), end) in &self.ends {
            let asks = NAMES.iter().any(|(known, ports)| known == name && ports.contains(&port));
            if asks && now < *end {
                let known = open.entry(address.to_string()).or_insert(*end);
                *known = (*known).max(*end);
            }
        }
        open
    }
}

/// One cycle: a name that is answered with some of a few addresses, or not at all; and the time that passes.
type Cycle = (usize, Option<Vec<(u8, u64)>>, u64);

fn cycle() -> impl Strategy<Value = Cycle> {
    let records = prop::collection::vec((0_u8..12, 0_u64..200), 1..6);
    (0..NAMES.len(), prop::option::weighted(0.8, records), 0_u64..15)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_thousand_refresh_cycles_open_the_union_and_nothing_else(cycles in prop::collection::vec(cycle(), 1_000)) {
        let mut world = world();
        let mut oracle = Oracle::default();
        for (index, records, seconds) in cycles {
            world.pass(seconds);
            let (text, _) = NAMES[index];
            if let Some(records) = records {
                let addresses: Vec<(IpAddr, u64)> =
                    records.iter().map(|(last, ttl)| (Ipv4Addr::new(20, 1, 1, *last).into(), *ttl)).collect();
                oracle.learn(text, &addresses, world.now);
                let record = |(address, ttl): &(IpAddr, u64)| AddressRecord { address: *address, ttl: Duration::from_secs(*ttl) };
                let records = addresses.iter().map(record).collect();
                world.learn_answer(&name(text), &Answer { records, chain: Vec::new(), chain_ttl: None });
            }
            world.reconcile();
            for port in [443, 8883] {
                let expected = oracle.open(port, world.now);
                for number in [0, 1] {
                    prop_assert_eq!(&world.open(number, 6, port), &expected.keys().cloned().collect::<BTreeSet<_>>());
                    for (address, end) in &expected {
                        let value = world.endpoint(number, address, (6, port)).unwrap();
                        let off = world.clock.moment_of(value.expires).since(*end)
                            + end.since(world.clock.moment_of(value.expires));
                        prop_assert!(off <= Duration::from_secs(1), "{} ends {:?} off", address, off);
                    }
                }
            }
            world.prune();
        }
    }
}

#[test]
fn a_name_that_leaves_a_shared_address_does_not_take_it_along() {
    let mut world = world();
    world.learn("a.example.com", &[("20.0.0.1", 10), ("20.0.0.2", 10)]);
    world.learn("b.example.com", &[("20.0.0.2", 100), ("20.0.0.3", 100)]);
    world.reconcile();
    world.pass(31);
    world.reconcile();
    assert_eq!(world.open(0, 6, 443), ["20.0.0.2", "20.0.0.3"].map(String::from).into());

    world.policy.groups[0].rules.retain(|rule| rule.target.to_string() != "b.example.com");
    world.learn("a.example.com", &[("20.0.0.3", 10)]);
    let changes = world.changes();
    assert_eq!(world.open(0, 6, 443), ["20.0.0.3"].map(String::from).into());
    assert_eq!(
        world.open(1, 6, 443),
        ["20.0.0.2", "20.0.0.3"].map(String::from).into(),
        "the other group is untouched"
    );
    assert_eq!(changes.vanished_rules.len(), 1);
}

#[test]
fn one_name_in_three_groups_fills_all_three() {
    let groups = (0..3).map(|n| {
        group(&format!("g{n}"), &[&format!("10.20.{n}.0/24")], vec![rule("a.example.com", &["tcp/443", "udp/123"])])
    });
    let mut world = World::new(policy(groups.collect()));
    world.learn("a.example.com", &[("20.0.0.1", 60), ("2a01:111::1", 60)]);
    world.reconcile();
    for number in 0..3 {
        assert_eq!(world.open(number, 6, 443), ["20.0.0.1", "2a01:111::1"].map(String::from).into());
        assert_eq!(world.open(number, 17, 123), ["20.0.0.1", "2a01:111::1"].map(String::from).into());
    }
}

#[test]
fn a_family_lives_for_itself() {
    let mut world = world();
    world.learn("a.example.com", &[("20.0.0.1", 10), ("2a01:111::1", 100)]);
    world.pass(31);
    world.reconcile();
    assert_eq!(world.open(0, 6, 443), ["2a01:111::1"].map(String::from).into());
}

#[test]
fn a_rotating_name_stays_bounded_and_an_idle_gateway_writes_nothing() {
    let mut world = world();
    let mut largest = 0;
    for round in 0_u16..1_500 {
        let records: Vec<(String, u64)> =
            (0..8).map(|n| (round * 8 + n) % 4_000).map(|n| (format!("20.9.{}.{}", n / 200, n % 200 + 1), 5)).collect();
        let records: Vec<(&str, u64)> = records.iter().map(|(text, ttl)| (text.as_str(), *ttl)).collect();
        world.learn("d.example.com", &records);
        world.reconcile();
        world.prune();
        largest = largest.max(world.tables().endpoints4.len());
        world.pass(5);
    }
    // 8 addresses each 5 s that hold for 30 s, in two groups.
    assert_eq!(largest, 2 * 8 * 6);
    world.pass(60);
    world.reconcile();
    assert!(world.tables().endpoints4.is_empty());
    world.pass(3_600);
    assert!(world.changes().is_empty());
}

#[test]
fn a_renewal_writes_the_renewed_addresses_only() {
    let mut world = world();
    world.learn("a.example.com", &[("20.0.0.1", 50)]);
    world.learn("d.example.com", &[("20.0.0.2", 50)]);
    world.reconcile();
    for _ in 0..20 {
        world.pass(1);
        assert!(world.changes().is_empty(), "nothing was learned");
    }
    world.learn("d.example.com", &[("20.0.0.2", 50)]);
    let changes = world.changes();
    let puts = changes.steps.iter().filter(|step| matches!(step, Step::PutEndpoint4(..))).count();
    assert_eq!((puts, changes.steps.len()), (2, 2), "one for each group");
}
