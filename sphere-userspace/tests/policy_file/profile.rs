//! The shipped profile against the vendor's table, its options, and profiles of one's own.

use std::collections::BTreeSet;

use sphere_userspace::policy::{self, Group, Need, Origin, Target};

use crate::{Directory, GOOD, invalid, lines, valid, with};

/// The vendor's table, both editions alike: protocol, port, name, whether devices need it. DNS has no name in it: it is
/// what `resolvers` is for.
const VENDOR: [(&str, u16, &str, Need); 20] = [
    ("tcp", 8883, "global.azure-devices-provisioning.net", Need::Optional),
    ("tcp", 443, "global.azure-devices-provisioning.net", Need::Optional),
    ("tcp", 80, "www.msftconnecttest.com", Need::Required),
    ("tcp", 80, "prod.update.sphere.azure.net", Need::Required),
    ("tcp", 443, "anse.azurewatson.microsoft.com", Need::Optional),
    ("tcp", 443, "prod.device.core.sphere.azure.net", Need::Required),
    ("tcp", 443, "prod.deviceauth.sphere.azure.net", Need::Required),
    ("tcp", 443, "prod.dinsights.core.sphere.azure.net", Need::Required),
    ("tcp", 443, "prod.releases.sphere.azure.net", Need::Required),
    ("tcp", 443, "prod.core.sphere.azure.net", Need::Required),
    ("tcp", 443, "prodmsimg.blob.core.windows.net", Need::Required),
    ("tcp", 443, "prodptimg.blob.core.windows.net", Need::Required),
    ("tcp", 443, "prodmsimg-secondary.blob.core.windows.net", Need::Required),
    ("tcp", 443, "prodptimg-secondary.blob.core.windows.net", Need::Required),
    ("tcp", 443, "sphereblobeus.azurewatson.microsoft.com", Need::Optional),
    ("tcp", 443, "sphereblobweus.azurewatson.microsoft.com", Need::Optional),
    ("tcp", 443, "sphere.sb.dl.delivery.mp.microsoft.com", Need::Required),
    ("udp", 123, "prod.time.sphere.azure.net", Need::Required),
    ("udp", 123, "time.sphere.azure.net", Need::Required),
    ("udp", 123, "time-a-g.nist.gov", Need::Optional),
];

const NTP: [&str; 3] = ["prod.time.sphere.azure.net", "time-a-g.nist.gov", "time.sphere.azure.net"];
const TELEMETRY: [&str; 3] = [
    "anse.azurewatson.microsoft.com",
    "sphereblobeus.azurewatson.microsoft.com",
    "sphereblobweus.azurewatson.microsoft.com",
];

/// A policy with one group that has the shipped profile with these options and nothing else.
fn using(options: &str) -> String {
    format!(
        "version = 1\n[[group]]\nname = \"g\"\nmode = \"enforce\"\ninterfaces = [\"lan0\"]\n\
         subnets = [\"10.20.0.0/24\"]\nprofiles = [\"azure-sphere\"]\n[group.azure-sphere]\n{options}\n"
    )
}

#[track_caller]
fn group(options: &str) -> Group {
    valid(&using(options)).groups.remove(0)
}

/// Target and service of each rule: `name tcp/443`.
fn reached(group: &Group) -> BTreeSet<String> {
    let pairs = group.rules.iter().flat_map(|rule| rule.services.iter().map(move |service| (&rule.target, service)));
    pairs.map(|(target, service)| format!("{target} {service}")).collect()
}

fn vendor_without(names: &[&str]) -> BTreeSet<String> {
    let rows = VENDOR.iter().filter(|(_, _, name, _)| !names.contains(name));
    rows.map(|(protocol, port, name, _)| format!("{name} {protocol}/{port}")).collect()
}

#[test]
fn the_profile_is_the_vendors_table_in_both_editions() {
    let expected: BTreeSet<_> =
        VENDOR.iter().map(|(.., need)| *need).zip(VENDOR.map(|row| (row.2, row.0, row.1))).collect();
    for edition in ["", "edition = \"integrated\"", "edition = \"legacy\""] {
        let group = group(edition);
        assert_eq!(reached(&group), vendor_without(&[]), "{edition}");
        let mut needs = BTreeSet::new();
        for rule in &group.rules {
            let Target::Name(pattern) = &rule.target else { panic!("{:?}", rule.target) };
            let name = pattern.exact().unwrap().as_str();
            for service in &rule.services {
                let row = VENDOR.iter().find(|row| row.2 == name && row.1 == service.port_number()).unwrap();
                needs.insert((rule.need, (row.2, row.0, row.1)));
            }
            assert!(rule.purpose.as_ref().is_some_and(|purpose| !purpose.is_empty()), "{name} has no purpose");
            assert!(!rule.allow_private, "{name} may not stand for private addresses");
            assert!(matches!(&rule.origin, Origin::Profile { profile, .. } if profile == "azure-sphere"));
        }
        assert_eq!(needs, expected, "{edition}");
    }
    assert_eq!(VENDOR.iter().map(|row| row.2).collect::<BTreeSet<_>>().len(), 19);
}

#[test]
fn the_serial_links_prefix_is_reserved() {
    let reserved: Vec<String> = valid(GOOD).reserved.iter().map(ToString::to_string).collect();
    assert_eq!(reserved, ["192.168.35.0/24"]);
}

#[test]
fn options_switch_their_rows_and_no_others() {
    assert_eq!(reached(&group("ntp = false")), vendor_without(&NTP));
    assert_eq!(reached(&group("telemetry = false")), vendor_without(&TELEMETRY));
    assert_eq!(reached(&group("dps = false")), vendor_without(&["global.azure-devices-provisioning.net"]));
    assert_eq!(reached(&group("ntp = true\ndps = true\ntelemetry = true\nhubs = []")), vendor_without(&[]));
}

#[test]
fn own_time_servers_replace_the_vendors() {
    let mut expected = vendor_without(&NTP);
    expected.extend(["ntp.example.net udp/123", "192.0.2.123 udp/123"].map(str::to_owned));
    assert_eq!(reached(&group("ntp = [\"NTP.example.net\", \"192.0.2.123\"]")), expected);
}

#[test]
fn each_hub_has_its_two_names_at_two_ports() {
    let mut expected = vendor_without(&[]);
    for hub in ["contoso", "fabrikam"] {
        for end in ["azure-devices.net", "device.azure-devices.net"] {
            expected.extend([443, 8883].map(|port| format!("{hub}.{end} tcp/{port}")));
        }
    }
    assert_eq!(reached(&group("hubs = [\"contoso\", \"Fabrikam\"]")), expected);
}

#[test]
fn a_proxy_takes_the_place_of_all_traffic_over_tcp() {
    let options = "hubs = [\"contoso\"]\nproxy = { host = \"proxy.example.net\", port = 3128 }";
    let tcp: Vec<String> = reached(&group(options)).into_iter().filter(|what| what.contains(" tcp/")).collect();
    assert_eq!(tcp, ["proxy.example.net tcp/3128"]);
    let by_address = reached(&group("ntp = false\nproxy = { host = \"10.20.0.9\", port = 8080 }"));
    assert_eq!(by_address, ["10.20.0.9 tcp/8080".to_owned()].into());
}

#[test]
fn options_are_checked_against_what_the_profile_declares() {
    for (options, words) in [
        ("colour = \"red\"", &["no option `colour`", "telemetry"][..]),
        ("telemetri = true", &["no option `telemetri`", "did you mean `telemetry`"]),
        ("edition = \"ultimate\"", &["ultimate", "integrated, legacy"]),
        ("dps = \"yes\"", &["true or false"]),
        ("ntp = []", &["servers for `ntp`", "1 to 2"]),
        ("ntp = [\"a.example\", \"b.example\", \"c.example\"]", &["3 servers", "1 to 2"]),
        ("ntp = [\"a..example\"]", &["empty label"]),
        ("hubs = [\"contoso.azure-devices.net\"]", &["no single label", "contoso"]),
        ("hubs = \"contoso\"", &["in brackets"]),
        ("proxy = { host = \"p.example\" }", &["needs `port`"]),
        ("proxy = { host = \"p.example\", port = 0 }", &["out of bounds"]),
        ("proxy = { host = \"p.example\", port = 1, user = \"x\" }", &["unknown key `user`"]),
    ] {
        let errors = lines(invalid(&using(options)).diagnostics());
        let [error] = errors.as_slice() else { panic!("{options}: {errors:?}") };
        assert!(error.contains("policy.toml:9:"), "{error}");
        for word in words {
            assert!(error.contains(word), "{options}: `{word}` is not in {error}");
        }
    }
}

#[test]
fn an_unknown_profile_is_answered_with_the_known_ones() {
    let text = with("profiles = [\"azure-sphere\"]", "profiles = [\"azure-cube\"]");
    let said = lines(invalid(&text).diagnostics());
    assert!(said.iter().any(|error| error.contains("unknown profile `azure-cube`") && error.contains("azure-sphere")));
    let twice = with("profiles = [\"azure-sphere\"]", "profiles = [\"azure-sphere\", \"azure-sphere\"]");
    assert!(lines(invalid(&twice).diagnostics()).concat().contains("named twice"));
    let unused = with("profiles = [\"azure-sphere\"]\n", "");
    assert!(lines(invalid(&unused).diagnostics()).concat().contains("`azure-sphere`"));
}

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
        let policy = policy::load(&directory.write("policy.toml", using_own(options))).unwrap();
        assert_eq!(policy.warnings, []);
        let group = policy.groups.first().unwrap();
        assert_eq!(reached(group).into_iter().collect::<Vec<_>>(), expected, "{options}");
        assert_eq!(group.profiles.get("thermostat").map(String::as_str), Some("3"));
        assert_eq!(policy.reserved.iter().map(ToString::to_string).collect::<Vec<_>>(), ["203.0.113.0/24"]);
    }
}

#[test]
fn a_profile_past_its_day_is_a_warning_at_its_use() {
    let directory = Directory::new("old");
    directory.write("thermostat.toml", THERMOSTAT.replace("9999-12-31", "2001-02-03"));
    let policy = policy::load(&directory.write("policy.toml", using_own(""))).unwrap();
    let warnings = lines(&policy.warnings);
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.contains("policy.toml:7:") && warning.contains("valid until 2001-02-03"), "{warning}");
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
