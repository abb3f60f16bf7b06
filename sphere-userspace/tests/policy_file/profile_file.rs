//! Profiles of one's own: data that is checked where it was written.

use std::sync::atomic::{AtomicU32, Ordering};

use sphere_userspace::policy;

use crate::profile::{reached, using};
use crate::{CLOSED, Directory, invalid, lines, place_of};

const THERMOSTAT: &str = r#"profile = "thermostat"
version = "3"
source = "the manual of the device"
checked = 2026-01-31
valid_until = 9999-12-31
description = "a device of another maker"
reserved = ["203.0.113.0/24"]

[option.region]
kind = "choice"
choices = ["eu", "us"]
default = "eu"
about = "where the service is"

[option.updates]
kind = "switch"
default = false
about = "firmware"

[[endpoint]]
host = "eu.thermostat.example"
ports = ["tcp/8883"]
purpose = "service"
need = "required"
editions = ["eu"]

[[endpoint]]
host = "us.thermostat.example"
ports = ["tcp/8883"]
purpose = "service"
need = "required"
editions = ["us"]

[[endpoint]]
host = "firmware.thermostat.example"
ports = ["tcp/443"]
purpose = "firmware"
need = "optional"
when = "updates"
"#;

/// A policy that uses a profile file beside it.
fn using_own(options: &str) -> String {
    using(options)
        .replace("profiles = [\"azure-sphere\"]", "profiles = [\"./thermostat.toml\"]")
        .replace("group.azure-sphere", "group.thermostat")
}

#[test]
fn a_profile_of_ones_own_is_data_too() {
    let directory = Directory::new("own");
    directory.write("thermostat.toml", THERMOSTAT);
    for (options, expected) in [
        ("", &["eu.thermostat.example tcp/8883"][..]),
        ("region = \"us\"", &["us.thermostat.example tcp/8883"]),
        ("updates = true", &["eu.thermostat.example tcp/8883", "firmware.thermostat.example tcp/443"]),
    ] {
        let policy = policy::load(&directory.write("policy.toml", using_own(options) + CLOSED)).unwrap();
        assert_eq!(policy.warnings, []);
        let group = policy.groups.first().unwrap();
        assert_eq!(reached(group).into_iter().collect::<Vec<_>>(), expected, "{options}");
        assert_eq!(group.profiles.get("thermostat").map(|used| used.version.as_str()), Some("3"));
        assert_eq!(policy.reserved.iter().map(ToString::to_string).collect::<Vec<_>>(), ["203.0.113.0/24"]);
    }
}

#[test]
fn a_profile_past_its_day_is_a_warning_at_its_use() {
    let directory = Directory::new("old");
    directory.write("thermostat.toml", THERMOSTAT.replace("9999-12-31", "2001-02-03"));
    let policy = policy::load(&directory.write("policy.toml", using_own("") + CLOSED)).unwrap();
    let warnings = lines(&policy.warnings);
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.contains("policy.toml:7:") && warning.contains("valid until 2001-02-03"), "{warning}");
}

#[test]
fn a_choice_past_its_day_is_a_warning_where_it_is_chosen() {
    let directory = Directory::new("old-choice");
    let dates = "default = \"eu\"\nvalid_until = { eu = 2001-02-03, us = 9999-12-31 }";
    directory.write("thermostat.toml", THERMOSTAT.replace("default = \"eu\"", dates));
    for (options, line) in [("", Some(7)), ("region = \"eu\"", Some(9)), ("region = \"us\"", None)] {
        let policy = policy::load(&directory.write("policy.toml", using_own(options) + CLOSED)).unwrap();
        let lines: Vec<_> = policy.warnings.iter().filter_map(|found| Some(found.position()?.0)).collect();
        assert_eq!(lines, line.into_iter().collect::<Vec<_>>(), "{:?}", policy.warnings);
        assert!(
            policy.warnings.iter().all(|found| found.message.contains("`region = \"eu\"`")),
            "{:?}",
            policy.warnings
        );
    }
}

#[test]
fn errors_in_a_profile_file_are_reported_there_and_all_at_once() {
    let directory = Directory::new("broken");
    let broken = THERMOSTAT
        .replace("\"203.0.113.0/24\"", "\"203.0.113.1/24\"")
        .replace("\"tcp/443\"", "\"tcp/https\"")
        .replace("when = \"updates\"", "when = \"update\"");
    directory.write("thermostat.toml", broken);
    let errors = policy::load(&directory.write("policy.toml", using_own(""))).unwrap_err();
    let said = lines(errors.diagnostics());
    for words in ["203.0.113.1/24", "https", "no option `update`"] {
        let found = said.iter().any(|error| error.contains("thermostat.toml:") && error.contains(words));
        assert!(found, "`{words}` is not in {said:#?}");
    }
}

#[test]
fn a_profile_file_that_is_not_there_is_an_error_at_its_name() {
    let directory = Directory::new("absent");
    let errors = policy::load(&directory.write("policy.toml", using_own(""))).unwrap_err();
    assert!(
        lines(errors.diagnostics())
            .iter()
            .any(|error| error.contains("policy.toml:7:") && error.contains("cannot read"))
    );
}

#[test]
fn a_text_without_a_file_reads_no_other_file() {
    let errors = lines(invalid(&using_own("")).diagnostics());
    assert!(errors.iter().any(|error| error.contains("unknown profile `./thermostat.toml`")), "{errors:?}");
}

/// The profile with one part replaced, as the only thing that is wrong: what is said of it, and where.
#[track_caller]
fn broken(from: &str, to: &str) -> (String, policy::Diagnostic) {
    assert_eq!(THERMOSTAT.matches(from).count(), 1, "`{from}` must be in the profile once");
    // Two tests call this at the same time.
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let directory = Directory::new(&format!("declared-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
    let text = THERMOSTAT.replace(from, to);
    directory.write("thermostat.toml", &text);
    let errors = policy::load(&directory.write("policy.toml", using_own("region = \"us\""))).unwrap_err();
    let [error] = errors.diagnostics() else { panic!("{from} → {to}: {errors}") };
    (text, error.clone())
}

#[test]
fn what_endpoints_depend_on_must_be_declared_and_of_the_right_kind() {
    for (from, to, at, words) in [
        ("editions = [\"eu\"]", "editions = [\"eux\"]", "\"eux\"", &["has the choice `eux`", "did you mean `eu`"][..]),
        ("editions = [\"eu\"]", "editions = []", "[]", &["for no edition"]),
        ("editions = [\"eu\"]", "editions = \"eu\"", "\"eu\"\n\n[[endpoint]]", &["in brackets"]),
        ("when = \"updates\"", "when = \"update\"", "\"update\"", &["no option `update`", "did you mean `updates`"]),
        ("when = \"updates\"", "when = \"region\"", "\"region\"", &["another kind", "`switch` or `servers`"]),
        (
            "host = \"firmware.thermostat.example\"",
            "host = \"{}.example\"\neach = \"region\"",
            "\"region\"",
            &["another kind", "`list`"],
        ),
        (
            "when = \"updates\"",
            "",
            "updates]",
            &["no endpoint depends on the option `updates`", "`when = \"updates\"`"],
        ),
        ("\"us.thermostat.example\"", "\"{}.thermostat.example\"", "\"{}.thermostat.example\"", &["add `each"]),
        ("\"us.thermostat.example\"", "\"us..example\"", "\"us..example\"", &["empty label"]),
        ("\"us.thermostat.example\"", "\"*.thermostat.example\"", "\"*.thermostat.example\"", &["many names"]),
        ("default = \"eu\"", "default = \"asia\"", "\"asia\"", &["none of the choices", "eu, us"]),
        (
            "default = \"eu\"",
            "default = \"eu\"\nvalid_until = { uss = 2027-01-01 }",
            "uss",
            &["none of the choices", "did you mean `us`"],
        ),
        (
            "default = \"eu\"",
            "default = \"eu\"\nvalid_until = { us = \"2027-01-01\" }",
            "\"2027-01-01\"",
            &["a date such as"],
        ),
        ("[\"eu\", \"us\"]", "[\"eu\", \"us\", \"eu\"]", "\"eu\"]\ndefault", &["`eu` is there twice"]),
        ("\"thermostat\"", "\"a thermostat\"", "\"a thermostat\"", &["no profile name"]),
        ("\"203.0.113.0/24\"", "\"0.0.0.0/0\"", "\"0.0.0.0/0\"", &["every address"]),
        ("\"203.0.113.0/24\"", "\"2001:db8::/32\"", "\"2001:db8::/32\"", &["IPv4 prefix"]),
    ] {
        let (text, error) = broken(from, to);
        let said = error.to_string();
        assert_eq!(error.position(), Some(place_of(at, &text)), "{said}");
        assert!(said.contains("thermostat.toml:"), "{said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
    }
}

const PROXY: &str = "kind = \"proxy\"\nabout = \"a proxy\"\n";

#[test]
fn options_that_would_stand_for_each_other_are_refused() {
    let (_, error) = broken("[option.updates]", &format!("[option.b]\n{PROXY}[option.a]\n{PROXY}[option.updates]"));
    assert!(error.to_string().contains("two options are of the kind `proxy`"), "{error}");
    let other = "[option.site]\nkind = \"choice\"\nchoices = [\"us\"]\ndefault = \"us\"\nabout = \"where\"\n";
    let (_, error) = broken("[option.updates]", &format!("{other}[option.updates]"));
    assert!(error.to_string().contains("`us` is a choice of two options"), "{error}");
}

#[test]
fn no_error_in_a_profile_hides_another_or_makes_its_options_unknown() {
    let directory = Directory::new("profile-all");
    let broken = THERMOSTAT
        .replace(
            "kind = \"choice\"\nchoices = [\"eu\", \"us\"]\ndefault = \"eu\"\nabout",
            "kind = \"choice\"\nchoices = 1\nabout",
        )
        .replace("kind = \"switch\"\ndefault = false\nabout = \"firmware\"", "kind = \"switcher\"")
        .replace("\"eu.thermostat.example\"\nports = [\"tcp/8883\"]", "\"eu..example\"\nports = [\"tcp/0\"]")
        .replace("need = \"optional\"", "need = \"perhaps\"");
    directory.write("thermostat.toml", broken);
    let text = using_own("region = \"us\"").replace("mode = \"enforce\"", "mode = \"lenient\"");
    let errors = policy::load(&directory.write("policy.toml", text)).unwrap_err();
    let said = lines(errors.diagnostics());
    let words = [
        "lenient",
        "a list of words",
        "an option needs `about`",
        "an option needs `default`",
        "switcher",
        "tcp/0",
        "empty label",
        "perhaps",
    ];
    for word in words {
        assert_eq!(said.iter().filter(|error| error.contains(word)).count(), 1, "`{word}` in {said:#?}");
    }
    assert_eq!(said.len(), words.len(), "{said:#?}");
}

/// The profile with a list in place of the switch: each entry is put before this suffix.
fn listed(suffix: &str) -> String {
    THERMOSTAT
        .replace("kind = \"switch\"\ndefault = false", "kind = \"list\"")
        .replace("\"firmware.thermostat.example\"", &format!("\"{{}}.{suffix}\""))
        .replace("when =", "each =")
}

#[test]
fn a_list_entry_that_makes_a_name_too_long_is_refused_at_the_entry() {
    let directory = Directory::new("long-label");
    let (label, suffix) = ("x".repeat(63), ["a".repeat(60), "b".repeat(60), "c".repeat(60)].join("."));
    let text = using_own(&format!("updates = [\"short\", \"{label}\"]"));
    let path = directory.write("policy.toml", &text);
    directory.write("thermostat.toml", listed(&suffix));
    let names = policy::load(&path).unwrap().names();
    assert_eq!(names.iter().map(|name| name.as_str().len()).max(), Some(246));

    directory.write("thermostat.toml", listed(&format!("{suffix}dd")));
    let errors = policy::load(&path).unwrap_err();
    let [error] = errors.diagnostics() else { panic!("{errors}") };
    assert_eq!(error.position(), Some(place_of(&format!("\"{label}\""), &text)), "{error}");
    assert!(error.to_string().contains("longer than 247 bytes"), "{error}");
}

#[test]
fn a_profile_that_several_groups_use_is_reported_once() {
    let directory = Directory::new("twice");
    directory.write("thermostat.toml", THERMOSTAT.replace("\"tcp/443\"", "\"tcp/https\""));
    let second = using_own("").replace("version = 1\n", "").replace("\"g\"", "\"h\"").replace("10.20", "10.21");
    let errors = policy::load(&directory.write("policy.toml", using_own("") + &second)).unwrap_err();
    assert_eq!(errors.error_count(), 1, "{errors}");
}

#[test]
fn a_profile_that_is_called_like_a_key_is_refused_where_it_is_used() {
    let directory = Directory::new("like-a-key");
    directory.write("thermostat.toml", THERMOSTAT.replace("\"thermostat\"", "\"learn\""));
    let text = using_own("").replace("[group.thermostat]\n", "");
    let errors = policy::load(&directory.write("policy.toml", &text)).unwrap_err();
    let [error] = errors.diagnostics() else { panic!("{errors}") };
    assert_eq!(error.position(), Some(place_of("\"./thermostat.toml\"", &text)), "{error}");
}
