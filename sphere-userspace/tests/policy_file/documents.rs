//! The operator's reference: its examples are read as they stand there.

use sphere_userspace::policy;

use crate::{CLOSED, Directory, lines, valid};

const REFERENCE: &str = include_str!("../../../docs/policy.md");

/// The TOML examples of the reference.
fn examples() -> Vec<&'static str> {
    let blocks = REFERENCE.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_example_policy_is_valid() {
    let policies: Vec<_> = examples().into_iter().filter(|text| text.starts_with("version")).collect();
    assert!(!policies.is_empty());
    for text in policies {
        assert_eq!(lines(&valid(text).warnings), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn the_example_profile_is_valid_and_does_what_its_options_say() {
    let [profile] = examples().into_iter().filter(|text| text.starts_with("profile")).collect::<Vec<_>>()[..] else {
        panic!("one example of a profile expected")
    };
    let directory = Directory::new("documents");
    directory.write("thermostat.toml", profile.replace("2030-12-31", "9999-12-31"));
    let text = "version = 1\n[[group]]\nname = \"g\"\nmode = \"enforce\"\ninterfaces = [\"lan0\"]\n\
                subnets = [\"10.20.0.0/24\"]\nprofiles = [\"./thermostat.toml\"]\n\
                [group.thermostat]\nregion = \"us\"\nupdates = false\nsites = [\"oslo\", \"rome\"]\n";
    let policy = policy::load(&directory.write("policy.toml", format!("{text}{CLOSED}"))).unwrap();
    let names: Vec<String> = policy.names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["oslo.sites.thermostat.example", "rome.sites.thermostat.example", "us.thermostat.example"]);
    assert_eq!(policy.warnings, []);
}

#[test]
fn the_reference_names_every_key_of_the_test_policy() {
    let keys = crate::GOOD.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key);
    let missing: Vec<&str> = keys.filter(|key| !REFERENCE.contains(key)).collect();
    assert!(missing.is_empty(), "not in docs/policy.md: {missing:?}");
}
