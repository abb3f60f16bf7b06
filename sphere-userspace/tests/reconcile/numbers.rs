//! Numbers of rules and groups: stable, and never of two rules at once.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sphere_userspace::reconcile::{Misfit, Step};

use crate::world::{World, furnished, group, policy, rule};

fn rules(hosts: &[&str]) -> Vec<sphere_userspace::policy::Rule> {
    hosts.iter().map(|host| rule(host, &["tcp/443"])).collect()
}

#[test]
fn a_rule_keeps_its_number_wherever_it_stands() {
    let mut world =
        World::new(policy(vec![furnished(group("one", &["10.20.0.0/24"], rules(&["a.x.com", "b.x.com"])))]));
    world.reconcile();
    let number = world.number(0, "b.x.com tcp/443").unwrap();
    world.policy.groups.insert(0, group("zero", &["10.20.9.0/24"], rules(&["b.x.com"])));
    world.policy.groups[1].rules = rules(&["c.x.com", "b.x.com"]);
    world.reconcile();
    assert_eq!(world.number(0, "b.x.com tcp/443"), Some(number));
    assert_ne!(world.number(1, "b.x.com tcp/443"), Some(number), "another group's rule is another rule");
    assert!(!world.tables().rule_labels.contains_key(&0), "0 is no rule");
}

#[test]
fn a_rule_that_becomes_another_is_cut_before_its_number_is_free() {
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], vec![rule("20.0.0.4", &["tcp/443"])])]));
    world.reconcile();
    let old = world.number(0, "20.0.0.4 tcp/443").unwrap();
    world.policy.groups[0].rules = rules(&["a.x.com"]);
    world.learn("a.x.com", &[("20.0.0.9", 60)]);
    let changes = world.changes();
    assert_eq!(world.open(0, 6, 443), ["20.0.0.9".to_owned()].into(), "the old address is denied");
    let new = world.number(0, "a.x.com tcp/443").unwrap();
    assert_ne!(new, old, "the old number is not free in the same changeset");

    let position = |wanted: &dyn Fn(&Step) -> bool| changes.steps.iter().position(wanted).unwrap();
    let put = position(&|step| matches!(step, Step::PutEndpoint4(..)));
    let removed = position(&|step| matches!(step, Step::RemoveEndpoint4(..)));
    let cut = position(&|step| matches!(step, Step::CutFlows(rules) if *rules == BTreeSet::from([old])));
    let freed = position(&|step| *step == Step::RemoveRuleLabel(old));
    assert!(put < removed && removed < cut && cut < freed, "{:?}", changes.steps);

    world.policy.groups[0].rules = rules(&["a.x.com", "b.x.com"]);
    let changes = world.changes();
    assert_eq!(world.number(0, "b.x.com tcp/443"), Some(old), "a free number is used again");
    let cleared = changes.steps.iter().position(|step| *step == Step::ClearRuleCounter(old));
    let labelled =
        changes.steps.iter().position(|step| matches!(step, Step::PutRuleLabel(number, _) if *number == old));
    assert!(cleared.unwrap() < labelled.unwrap());
}

#[test]
fn a_rule_that_no_longer_allows_private_addresses_is_another_rule() {
    let mut private = rule("a.x.com", &["tcp/443"]);
    private.allow_private = true;
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], vec![private])]));
    world.learn("a.x.com", &[("10.1.1.1", 60), ("20.1.1.1", 60)]);
    world.reconcile();
    assert_eq!(world.open(0, 6, 443).len(), 2);
    world.policy.groups[0].rules = rules(&["a.x.com"]);
    let changes = world.changes();
    assert_eq!(world.open(0, 6, 443), ["20.1.1.1".to_owned()].into());
    assert_eq!(changes.vanished_rules.len(), 1, "flows to the private address are cut");
}

#[test]
fn the_same_rule_twice_is_one_rule() {
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], rules(&["a.x.com", "a.x.com"]))]));
    world.reconcile();
    assert_eq!(world.tables().rule_labels.len(), 1);
}

#[test]
fn groups_keep_their_numbers_and_leave_them_last() {
    let mut world = World::new(policy(vec![
        group("one", &["10.20.0.0/24"], rules(&["a.x.com"])),
        group("two", &["10.20.1.0/24"], rules(&["a.x.com"])),
    ]));
    world.reconcile();
    world.policy.groups.remove(0);
    let changes = world.changes();
    assert_eq!(world.tables().group_labels.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(changes.steps.last(), Some(&Step::RemoveGroupLabel(0)));
    world.policy.groups.push(group("three", &["10.20.2.0/24"], Vec::new()));
    world.reconcile();
    assert_eq!(world.tables().group_labels.keys().copied().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn what_has_no_number_is_refused_whole() {
    let many: Vec<String> = (0..8).map(|n| format!("n{n}.x.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], rules(&many[..4]))]));
    world.policy.limits.rules = 8;
    world.reconcile();
    world.policy.groups[0].rules = rules(&many);
    assert_eq!(world.desired(), Err(Misfit::Rules { needed: 8, capacity: 7 }));
    world.policy.groups[0].rules = rules(&many[4..]);
    assert_eq!(world.desired(), Err(Misfit::RulesAtOnce { new: 4, free: 3 }));
    world.policy.groups[0].rules = rules(&many[1..7]);
    world.reconcile();
    assert_eq!(world.tables().rule_labels.len(), 6);

    let groups = |from: usize, to: usize| {
        (from..to).map(|n| group(&format!("g{n}"), &[&format!("10.20.{n}.0/24")], Vec::new())).collect::<Vec<_>>()
    };
    let mut world = World::new(policy(groups(0, 64)));
    world.reconcile();
    world.policy.groups = groups(0, 65);
    assert_eq!(world.desired(), Err(Misfit::Groups { needed: 65, capacity: 64 }));
    world.policy.groups = groups(1, 65);
    assert_eq!(world.desired(), Err(Misfit::GroupsAtOnce { new: 1, free: 0 }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_stable_over_any_change(policies in prop::collection::vec(prop::collection::btree_set(0_u8..20, 0..12), 1..12)) {
        let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], Vec::new())]));
        for hosts in policies {
            let before = world.tables().rule_labels.clone();
            let names: Vec<String> = hosts.iter().rev().map(|n| format!("n{n}.x.com")).collect();
            world.policy.groups[0].rules = rules(&names.iter().map(String::as_str).collect::<Vec<_>>());
            world.reconcile();
            let after = &world.tables().rule_labels;
            prop_assert_eq!(after.len(), hosts.len());
            for (number, label) in after {
                let earlier = before.iter().find(|(_, known)| known.text == label.text);
                if let Some((known, _)) = earlier {
                    prop_assert_eq!(known, number);
                } else {
                    prop_assert!(!before.contains_key(number), "{} was still in use", number);
                }
            }
        }
    }
}
