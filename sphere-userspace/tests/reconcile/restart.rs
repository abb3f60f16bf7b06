//! A daemon that starts finds in the tables what it knew, and changes nothing before it knows better.

use std::time::Duration;

use sphere_common::abi::endpoint_flags;
use sphere_userspace::reconcile::{LeaseSource, LeaseState, Leases};

use crate::world::{World, address, furnished, group, name, policy, rule};

fn running() -> World {
    let rules =
        vec![rule("a.x.com", &["tcp/443", "udp/53"]), rule("b.x.com", &["tcp/443"]), rule("20.0.0.9", &["icmp"])];
    let mut world = World::new(policy(vec![furnished(group("one", &["10.20.0.0/24"], rules))]));
    world.learn("a.x.com", &[("20.0.0.1", 60), ("20.0.0.2", 600), ("2a01:1::1", 60)]);
    world.learn("b.x.com", &[("20.0.0.2", 100)]);
    world.reconcile();
    world
}

fn restart(world: &mut World) {
    world.leases = Leases::restored(&world.policy, world.tables(), (&world.clock, world.now));
}

#[test]
fn nothing_changes_while_the_resolver_is_down() {
    let mut world = running();
    for _ in 0..50 {
        world.pass(3);
        restart(&mut world);
        assert!(world.changes().is_empty());
    }
    let states: Vec<LeaseState> = world.leases.of(&name("a.x.com")).map(|(_, lease)| lease.state(world.now)).collect();
    assert_eq!(states, [LeaseState::Grace, LeaseState::Live, LeaseState::Grace]);
    assert!(world.leases.iter().all(|(_, _, lease)| lease.source == LeaseSource::Restored));
    // 60 s of life and 10 min of grace, wherever the restarts fell: no restart prolonged anything.
    world.pass(60 + 600 - 150);
    restart(&mut world);
    world.reconcile();
    assert_eq!(world.open(0, 6, 443), ["20.0.0.2".to_owned()].into());
    assert_eq!(world.open(0, 1, 0), ["20.0.0.9".to_owned()].into());
}

#[test]
fn a_restart_with_other_services_for_a_name_keeps_its_addresses() {
    let mut world = running();
    world.policy.groups[0].rules[0] = rule("a.x.com", &["tcp/8883"]);
    restart(&mut world);
    world.reconcile();
    assert_eq!(world.open(0, 6, 8883), ["20.0.0.1", "20.0.0.2", "2a01:1::1"].map(String::from).into());
    assert!(world.open(0, 6, 443).is_empty() || world.open(0, 6, 443) == ["20.0.0.2".to_owned()].into());
}

#[test]
fn a_name_that_the_policy_lost_is_not_restored() {
    let mut world = running();
    world.policy.groups[0].rules.remove(0);
    restart(&mut world);
    assert_eq!(world.leases.of(&name("a.x.com")).count(), 0);
}

#[test]
fn a_name_so_long_that_its_label_was_cut_is_restored() {
    let long = [&*"a".repeat(63), &*"b".repeat(63), &*"c".repeat(63), &*"d".repeat(57), "x"].join(".");
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], vec![rule(&long, &["tcp/443"])])]));
    world.learn(&long, &[("20.0.0.1", 60)]);
    world.reconcile();
    restart(&mut world);
    assert_eq!(world.leases.of(&name(&long)).map(|(address, _)| address).collect::<Vec<_>>(), [address("20.0.0.1")]);
}

#[test]
fn what_ended_while_no_daemon_ran_is_not_restored() {
    let mut world = running();
    world.pass(60 + 600 + 1);
    restart(&mut world);
    assert_eq!(world.leases.names_of(address("20.0.0.1")).count(), 0);
    assert_eq!(world.leases.names_of(address("20.0.0.2")).count(), 1);
}

#[test]
fn answers_after_the_restart_take_over() {
    let mut world = running();
    world.pass(100);
    restart(&mut world);
    world.learn("a.x.com", &[("20.0.0.1", 600)]);
    world.reconcile();
    let (_, lease) = world.leases.of(&name("a.x.com")).next().unwrap();
    assert_eq!((lease.source, lease.state(world.now)), (LeaseSource::Polled, LeaseState::Live));
    let ends = world.clock.moment_of(world.endpoint(0, "20.0.0.1", (6, 443)).unwrap().expires);
    assert!(ends.since(world.now) >= Duration::from_secs(1_199));
}

#[test]
fn what_the_programs_learned_stays_as_long_as_its_rule_and_its_lease() {
    let mut world = running();
    let rule = world.number(0, "b.x.com tcp/443").unwrap();
    let (key, mut value) = world.tables().endpoints4.iter().next().map(|(key, value)| (*key, *value)).unwrap();
    let learned = sphere_common::abi::Endpoint4Key { address: [20, 8, 8, 8], ..key };
    value.rule = rule;
    value.flags = endpoint_flags::LEARNED;
    value.expires = world.clock.ticks_at(world.now + Duration::from_secs(50));
    world.fake.tables.endpoints4.insert(learned, value);
    assert!(world.changes().is_empty());
    world.pass(51);
    world.reconcile();
    assert!(!world.tables().endpoints4.contains_key(&learned));

    value.expires = world.clock.ticks_at(world.now + Duration::from_secs(50));
    world.fake.tables.endpoints4.insert(learned, value);
    world.policy.groups[0].rules.retain(|rule| rule.target.to_string() != "b.x.com");
    world.reconcile();
    assert!(!world.tables().endpoints4.contains_key(&learned));
}
