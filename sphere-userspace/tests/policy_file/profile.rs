//! The shipped profile against the vendor's table, and its options.

use std::collections::BTreeSet;

use sphere_userspace::policy::{Group, Need, Origin, Step, Target};

use crate::{GOOD, invalid, lines, valid, with};

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
pub(crate) fn using(options: &str) -> String {
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
pub(crate) fn reached(group: &Group) -> BTreeSet<String> {
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
    let group = group("hubs = [\"contoso\", \"Fabrikam\"]");
    assert_eq!(reached(&group), expected);
    // Devices attest and update without a hub: it is their applications that need it.
    let hubs = group.rules.iter().filter(|rule| rule.target.to_string().ends_with("azure-devices.net"));
    assert_eq!(hubs.map(|rule| rule.need).collect::<Vec<_>>(), [Need::Optional; 4]);
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

#[test]
fn steps_of_the_boot_chain_are_data_and_what_an_option_leaves_out_keeps_its_own() {
    let full = group("hubs = [\"contoso\"]");
    let step_of = |name: &str| {
        let rule = full.rules.iter().find(|rule| rule.target.to_string() == name).unwrap();
        rule.step.map(Step::word)
    };
    assert_eq!(step_of("www.msftconnecttest.com"), Some("connection-check"));
    assert_eq!(step_of("prod.time.sphere.azure.net"), Some("time"));
    assert_eq!(step_of("prod.deviceauth.sphere.azure.net"), Some("attestation"));
    assert_eq!(step_of("contoso.azure-devices.net"), Some("application"));
    assert_eq!(step_of("anse.azurewatson.microsoft.com"), None, "error reports stop nothing");
    let left_out = |options: &str| -> Vec<(String, String)> {
        let left_out = group(options).left_out.into_iter();
        left_out.map(|left_out| (left_out.host, left_out.remedy)).collect()
    };
    let hubs = ["{}.azure-devices.net", "{}.device.azure-devices.net"]
        .map(|host| (host.to_owned(), "add the first label of the name to `hubs` in [group.azure-sphere]".to_owned()));
    assert_eq!(left_out(""), hubs);
    let without_time = left_out("ntp = false");
    let remedies = without_time.iter().filter(|(host, _)| NTP.contains(&host.as_str())).map(|(_, remedy)| remedy);
    assert_eq!(remedies.collect::<Vec<_>>(), ["write `ntp = true` in [group.azure-sphere]"; 3]);
    assert_eq!(without_time.len(), 5);
}

#[test]
fn a_step_that_devices_do_not_take_there_is_refused() {
    let rule = "[[group.allow]]\nhost = \"api.example.com\"\nports = [\"tcp/443\"]\nstep = \"dns\"\n";
    let errors = invalid(&(using("") + rule));
    assert_eq!(errors.diagnostics().len(), 1, "{errors:?}");
    let rule = rule.replace("dns", "application");
    let rules = valid(&(using("") + &rule)).groups.remove(0).rules;
    assert_eq!(rules.first().and_then(|rule| rule.step), Some(Step::Application));
}
