//! The order of the steps, and what happens when there is not room for everything.

use sphere_userspace::policy::Rule;
use sphere_userspace::reconcile::{Changeset, Misfit, Step};
use sphere_userspace::resolve::Family;

use crate::world::{World, furnished, group, inbound, policy, rule};

fn addresses(numbers: std::ops::Range<u8>) -> Vec<Rule> {
    numbers.map(|n| rule(&format!("20.0.0.{n}"), &["tcp/443"])).collect()
}

/// Rank of a step: steps of a higher rank must not come before steps of a lower one.
fn rank(world: &World, step: &Step) -> u8 {
    let essential = |rule: u32| {
        let label = world.tables().rule_labels.get(&rule).unwrap();
        ["resolver ", "dhcp ", "inbound gateway"].iter().any(|start| label.text.starts_with(start.as_bytes()))
    };
    let permission = |rule| if essential(rule) { 2 } else { 3 };
    match step {
        Step::ClearRuleCounter(_) => 0,
        Step::PutRuleLabel(..) | Step::PutGroupLabel(..) => 1,
        Step::PutEndpoint4(_, value) | Step::PutEndpoint6(_, value) => permission(value.rule),
        // Prefixes that no answer may open belong to no rule.
        Step::PutCidr4(_, value) | Step::PutCidr6(_, value) if value.rule == 0 => 3,
        Step::PutCidr4(_, value) | Step::PutCidr6(_, value) => permission(value.rule),
        Step::PutName(..) => 3,
        Step::PutSubnet(..) => 4,
        Step::PutConfig(_) => 5,
        Step::PutPort(..) => 6,
        Step::RemoveName(_) | Step::RemoveSubnet(_) => 7,
        Step::RemoveEndpoint4(..) | Step::RemoveEndpoint6(..) | Step::RemoveCidr4(_) | Step::RemoveCidr6(_) => 8,
        Step::RemovePort(_) => 9,
        Step::CutFlows(_) => 10,
        Step::RemoveRuleLabel(_) => 11,
        Step::RemoveGroupLabel(_) => 12,
    }
}

fn assert_ordered(world: &World, changes: &Changeset) {
    let ranks: Vec<u8> = changes.steps.iter().map(|step| rank(world, step)).collect();
    assert!(ranks.is_sorted(), "{ranks:?}");
}

#[test]
fn devices_get_what_they_depend_on_first_and_nothing_goes_before_its_successor_is_there() {
    let mut rules = addresses(1..5);
    rules.extend([rule("20.5.0.0/16", &["tcp/80"]), rule("a.x.com", &["tcp/443"]), rule("2a01:1::/32", &["icmp"])]);
    let mut world = World::new(policy(vec![furnished(group("one", &["10.20.0.0/24", "fd00:20::/64"], rules))]));
    world.learn("a.x.com", &[("20.7.0.1", 60), ("2a01:2::1", 60)]);
    let changes = world.changes();
    assert_ordered(&world, &changes);
    let kinds: std::collections::BTreeSet<u8> = changes.steps.iter().map(|step| rank(&world, step)).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 5, 6]);

    world.policy.groups.push(furnished(group("two", &["10.21.0.0/24"], addresses(10..12))));
    world.policy.groups[0].rules = addresses(3..8);
    world.policy.groups[0].inbound = vec![inbound("10.30.0.0/24", &["tcp/8080"])];
    // Removed rules have no label any more when the steps are ranked, and no step puts anything of them.
    let changes = world.changes();
    assert_ordered(&world, &changes);
    assert_eq!(changes.early_removals, 0);
    assert_eq!(changes.vanished_rules.len(), 5);
}

#[test]
fn one_entry_too_many_is_refused_before_anything_changes() {
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], addresses(1..9))]));
    world.policy.limits.endpoints = 8;
    world.reconcile();
    world.policy.groups[0].rules = addresses(1..10);
    let family = Family::V4;
    assert_eq!(world.desired(), Err(Misfit::Endpoints { family, needed: 9, capacity: 8 }));
    world.policy.groups[0].rules = addresses(1..8);
    world.policy.groups[0].rules.push(rule("a.x.com", &["tcp/443", "udp/443"]));
    assert_eq!(world.desired(), Err(Misfit::Endpoints { family, needed: 9, capacity: 8 }), "a name needs an address");

    world.policy.limits.cidrs = 2;
    world.policy.groups[0].rules = vec![rule("20.0.0.0/8", &["tcp/1", "tcp/2", "tcp/3"])];
    assert_eq!(world.desired(), Err(Misfit::Cidrs { family, needed: 3, capacity: 2 }));
}

#[test]
fn without_room_for_both_as_much_as_needed_goes_early_and_what_stays_is_never_cut() {
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], addresses(1..9))]));
    world.policy.limits.endpoints = 10;
    world.reconcile();
    world.policy.groups[0].rules = addresses(4..13);
    // `reconcile` checks at each step that what stays is there and that the table is never too full.
    let changes = world.changes();
    assert_eq!(changes.early_removals, 2, "8 there, 4 new, room for 10");
    assert_eq!(world.tables().endpoints4.len(), 9);
}

#[test]
fn answers_beyond_the_room_leave_out_what_ends_first() {
    let mut world = World::new(policy(vec![group(
        "one",
        &["10.20.0.0/24"],
        vec![rule("20.0.0.1", &["tcp/443"]), rule("a.x.com", &["tcp/443"]), rule("b.x.com", &["tcp/443"])],
    )]));
    world.policy.limits.endpoints = 4;
    world.learn("a.x.com", &[("20.1.0.1", 600)]);
    world.learn("b.x.com", &[("20.2.0.1", 60), ("20.2.0.2", 61), ("20.2.0.3", 62)]);
    let desired = world.desired().unwrap();
    assert_eq!(desired.crowded_out, 1);
    world.reconcile();
    assert_eq!(world.open(0, 6, 443), ["20.0.0.1", "20.1.0.1", "20.2.0.2", "20.2.0.3"].map(String::from).into());
}

#[test]
fn a_changeset_that_was_cut_short_is_completed_by_the_next() {
    let mut world = World::new(policy(vec![furnished(group("one", &["10.20.0.0/24"], addresses(1..9)))]));
    world.reconcile();
    let start = world.tables().clone();
    world.policy.groups[0].rules = addresses(5..12);
    world.policy.groups[0].resolvers.clear();
    let desired = world.desired().unwrap();
    let changes = Changeset::between(&start, &desired, &world.policy.limits);
    for length in 0..changes.steps.len() {
        world.fake.tables = start.clone();
        for step in &changes.steps[..length] {
            world.take(step);
        }
        world.reconcile();
        assert_eq!(world.open(0, 6, 443).len(), 7);
    }
}
