//! Subnets that share addresses on one interface: each is found, at its place, and not slower for being one of many.

use std::collections::BTreeSet;

use ipnet::IpNet;
use proptest::prelude::*;
use sphere_userspace::policy::{self, Diagnostic};

use crate::errors::{assert_each, replaced};
use crate::{GOOD, ORIGIN, invalid, place_of, with};

#[test]
fn groups_on_one_interface_must_not_share_addresses() {
    const SUBNET: &str = "\"10.21.0.0/24\"";
    assert_each([
        replaced(SUBNET, "\"10.20.0.128/25\"", "\"10.20.0.128/25\"", &["10.20.0.128/25", "10.20.0.0/24", "`sensors`"]),
        replaced(SUBNET, "\"10.0.0.0/8\"", "\"10.0.0.0/8\"", &["10.0.0.0/8", "10.20.0.0/24"]),
        replaced(SUBNET, "\"fd00:20::/48\"", "\"fd00:20::/48\"", &["fd00:20::/64"]),
        replaced(SUBNET, "\"10.21.0.0/24\", \"10.21.0.0/25\"", "\"10.21.0.0/25\"", &["10.21.0.0/24"]),
        replaced("\"cameras\"", "\"sensors\"", "\"sensors\"\nmode = \"audit\"", &["two groups are called `sensors`"]),
    ]);
    let errors = invalid(&with(SUBNET, "\"10.20.0.128/25\""));
    let related = errors.diagnostics().first().and_then(|error| error.related.as_ref()).unwrap();
    let place = &related.0;
    assert_eq!(place.source.position(place.span.start), place_of("\"10.20.0.0/24\"", GOOD));
}

/// A group behind these interfaces, in these subnets.
type Placed = (Vec<usize>, Vec<IpNet>);

/// A policy with these groups, and the line of every subnet.
fn written(groups: &[Placed]) -> (String, Vec<(usize, usize, IpNet)>) {
    let (mut text, mut places) = ("version = 1\n".to_owned(), Vec::new());
    let mut line = 2;
    for (number, (interfaces, subnets)) in groups.iter().enumerate() {
        let names: Vec<String> = interfaces.iter().map(|interface| format!("\"lan{interface}\"")).collect();
        text += &format!("[[group]]\nname = \"g{number}\"\nmode = \"audit\"\ninterfaces = [{}]\n", names.join(","));
        text += "allow = [{ host = \"a.example\", ports = [\"tcp/1\"] }]\nsubnets = [\n";
        // Six lines before the first subnet, and one behind the last.
        line += 6;
        for subnet in subnets {
            places.push((line, number, *subnet));
            text += &format!("\"{subnet}\",\n");
            line += 1;
        }
        text += "]\n";
        line += 1;
    }
    (text, places)
}

/// Lines of subnets that share addresses with one further up, found by comparing all with all.
fn by_comparing_all(groups: &[Placed], places: &[(usize, usize, IpNet)]) -> BTreeSet<usize> {
    let share = |a: usize, b: usize| groups[a].0.iter().any(|interface| groups[b].0.contains(interface));
    let overlap = |a: IpNet, b: IpNet| a.contains(&b) || b.contains(&a);
    let clashes = places.iter().enumerate().filter(|(index, (_, group, net))| {
        places[..*index].iter().any(|(_, other, taken)| share(*group, *other) && overlap(*net, *taken))
    });
    clashes.map(|(_, (line, ..))| *line).collect()
}

fn subnet() -> impl Strategy<Value = IpNet> {
    let v4 = (0_u8..8, 28_u8..=32).prop_map(|(low, length)| format!("10.0.0.{}/{length}", low * 4));
    let v6 = (0_u8..8, 124_u8..=128).prop_map(|(low, length)| format!("fd00::{low}/{length}"));
    prop_oneof![v4, v6].prop_map(|text| text.parse::<IpNet>().unwrap().trunc())
}

proptest! {
    #[test]
    fn sorting_finds_what_comparing_all_finds(
        groups in prop::collection::vec(
            (prop::collection::btree_set(0_usize..3, 1..3), prop::collection::vec(subnet(), 1..5)), 1..5)
    ) {
        let groups: Vec<Placed> =
            groups.into_iter().map(|(interfaces, subnets)| (interfaces.into_iter().collect(), subnets)).collect();
        let (text, places) = written(&groups);
        let expected = by_comparing_all(&groups, &places);
        let found: BTreeSet<usize> = match policy::parse(&text, ORIGIN) {
            Ok(_) => BTreeSet::new(),
            Err(errors) => errors.diagnostics().iter().filter_map(|found| Some(found.position()?.0)).collect(),
        };
        prop_assert_eq!(found, expected, "in\n{}", text);
    }
}

#[test]
fn among_very_many_subnets_the_one_that_overlaps_is_found() {
    let mut subnets: Vec<IpNet> = (0..40_000_u32)
        .map(|number| format!("10.{}.{}.{}/28", number >> 12, (number >> 4) & 255, (number & 15) << 4).parse().unwrap())
        .collect();
    subnets.push("10.7.7.16/29".parse().unwrap());
    let (text, places) = written(&[(vec![0], subnets)]);
    let errors = invalid(&text);
    let lines: Vec<_> = errors.diagnostics().iter().filter_map(Diagnostic::position).map(|(line, _)| line).collect();
    // Too many at the 1025th, and the overlap at the last.
    assert_eq!(lines, [places[1024].0, places[40_000].0]);
}
