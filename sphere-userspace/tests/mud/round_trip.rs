//! What is exported as a MUD file and imported again is the same, as far as MUD has words for it.

use std::collections::BTreeSet;

use ipnet::IpNet;
use proptest::prelude::*;
use sphere_userspace::export::mud::{About, Exported, export};
use sphere_userspace::import::mud::{Map, parse};
use sphere_userspace::policy::{
    self, InboundRule, NamePattern, PortMatch, Protocol, Rule, Service, Source, Target, profile_rules,
};

use crate::each;
use crate::files::{files, import, now, policy_of};

/// Targets with services, and who may open flows to which.
type Allowed = (BTreeSet<(Target, Service)>, BTreeSet<(IpNet, Service)>);

/// What rules allow, as far as MUD can say it.
fn allowed(rules: &[Rule], inbound: &[InboundRule]) -> Allowed {
    let target = |target: &Target| match target {
        Target::Name(NamePattern::Below(_)) => None,
        Target::Cidr(net) if net.prefix_len() == net.max_prefix_len() => Some(Target::Address(net.addr())),
        other => Some(other.clone()),
    };
    let pairs = rules.iter().flat_map(|rule| rule.services.iter().map(|service| (&rule.target, *service)));
    let served = inbound.iter().flat_map(|rule| rule.services.iter().map(|service| (rule.from, *service)));
    let is_said = |service: &Service| service.protocol() != Protocol::Udp || service.port() != PortMatch::Any;
    (
        pairs.filter_map(|(its, service)| Some((target(its)?, service))).collect(),
        served.filter(|(_, service)| is_said(service)).collect(),
    )
}

fn exported(rules: &[Rule], inbound: &[InboundRule]) -> Exported {
    let about = About {
        name: "devices".to_owned(),
        url: "https://devices.example.com/mud.json".to_owned(),
        system_info: "devices".to_owned(),
        last_update: now(),
    };
    export(rules, inbound, &about).unwrap()
}

/// Exports, imports, and compares; gives back what could not be said.
#[track_caller]
fn assert_same(rules: &[Rule], inbound: &[InboundRule]) -> Vec<String> {
    let exported = exported(rules, inbound);
    let imported = parse(&Source::new("exported.json", exported.text.as_str()), &Map::default(), now());
    let imported = imported.unwrap_or_else(|errors| panic!("{errors}\n{}", exported.text));
    assert_eq!(allowed(&imported.rules, &imported.inbound), allowed(rules, inbound), "{}", exported.text);
    assert_eq!((imported.withheld, imported.warnings), (Vec::new(), Vec::new()), "{}", exported.text);
    each(&exported.warnings)
}

#[track_caller]
fn rules_of(lines: &str) -> (Vec<Rule>, Vec<InboundRule>) {
    let mut policy = policy::parse(&policy_of(lines), "policy.toml").unwrap();
    let group = policy.groups.remove(0);
    (group.rules, group.inbound)
}

#[test]
fn the_profile_of_azure_sphere_comes_back_with_every_choice() {
    let options = [
        "",
        "edition = \"legacy\"",
        "ntp = false",
        "ntp = [\"time.example.com\", \"10.9.0.1\"]",
        "dps = false",
        "telemetry = false",
        "hubs = [\"contoso\", \"fabrikam\"]",
        "proxy = { host = \"proxy.example.com\", port = 3128 }",
        "ntp = false\ndps = false\ntelemetry = false\nhubs = [\"contoso\"]",
    ];
    let mut sizes = BTreeSet::new();
    for options in options {
        let (rules, inbound) = rules_of(&format!("profiles = [\"azure-sphere\"]\n[group.azure-sphere]\n{options}"));
        assert_same(&rules, &inbound);
        sizes.insert(rules.len());
    }
    assert!(sizes.len() >= 5, "the options change nothing: {sizes:?}");
    let profile = profile_rules("azure-sphere", "--profile").unwrap();
    let unsaid = assert_same(&profile.rules, &[]);
    assert_eq!(profile.name, "azure-sphere");
    assert_eq!(unsaid.len(), 2, "{unsaid:?}");
    assert!(unsaid.iter().any(|text| text.contains("no steps of a boot chain")), "{unsaid:?}");
    assert!(unsaid.iter().any(|text| text.contains("devices can do without")), "{unsaid:?}");
}

#[test]
fn every_kind_of_rule_that_mud_can_say_comes_back() {
    let (rules, inbound) = rules_of(
        r#"
        [[group.allow]]
        host = "api.example.com"
        ports = ["tcp/443", "tcp/*", "udp/5683", "udp/*", "icmp"]
        [[group.allow]]
        address = "198.51.100.7"
        ports = ["tcp/443", "tcp/*", "udp/5683", "udp/*", "icmp"]
        [[group.allow]]
        address = "2001:db8::7"
        ports = ["tcp/443", "tcp/*", "udp/5683", "udp/*", "icmp"]
        [[group.allow]]
        cidr = "203.0.113.0/24"
        ports = ["tcp/443", "tcp/*", "udp/5683", "udp/*", "icmp"]
        [[group.allow]]
        cidr = "2001:db8:1::/48"
        ports = ["tcp/443", "tcp/*", "udp/5683", "udp/*", "icmp"]
        [[group.inbound]]
        from = "203.0.113.0/24"
        ports = ["tcp/443", "tcp/*", "udp/5683", "icmp"]
        [[group.inbound]]
        from = "2001:db8:1::/48"
        ports = ["tcp/443", "tcp/*", "udp/5683", "icmp"]
        "#,
    );
    let unsaid = assert_same(&rules, &inbound);
    assert_eq!(unsaid.len(), 1, "{unsaid:?}");
    assert!(unsaid.iter().all(|text| text.contains("addresses of your network")), "{unsaid:?}");
}

#[test]
fn what_mud_cannot_say_is_named() {
    let (rules, inbound) = rules_of(
        r#"
        [[group.allow]]
        host = "*.example.com"
        ports = ["tcp/443"]
        [[group.allow]]
        host = "a.example.com"
        ports = ["tcp/443"]
        allow_private = true
        any_type = true
        step = "application"
        [[group.inbound]]
        from = "203.0.113.0/24"
        ports = ["udp/*"]
        "#,
    );
    let unsaid = assert_same(&rules, &inbound);
    assert_eq!(unsaid.len(), 5, "{unsaid:#?}");
    for (what, of) in [
        ("no names below a name", "*.example.com"),
        ("allow_private", "a.example.com"),
        ("any_type", "a.example.com"),
        ("step", "a.example.com"),
        ("udp/*", "203.0.113.0/24"),
    ] {
        assert!(unsaid.iter().any(|text| text.contains(what) && text.contains(of)), "{what}: {unsaid:#?}");
    }
}

#[test]
fn an_exported_file_is_what_the_standard_has() {
    let (rules, inbound) = rules_of(
        "[[group.allow]]\nhost = \"api.example.com\"\nports = [\"tcp/443\"]\n\
         [[group.inbound]]\nfrom = \"10.30.0.0/24\"\nports = [\"udp/161\"]\n",
    );
    let exported = exported(&rules, &inbound);
    crate::check(&crate::directory().join("exported.snapshot"), &exported.text);
    let file: serde_json::Value = serde_json::from_str(&exported.text).unwrap();
    let mud = &file["ietf-mud:mud"];
    for key in ["mud-version", "mud-url", "last-update", "is-supported", "from-device-policy", "to-device-policy"] {
        assert!(!mud[key].is_null(), "{key} is missing");
    }
    let lists = file["ietf-access-control-list:acls"]["acl"].as_array().unwrap();
    let named = ["from-device-policy", "to-device-policy"]
        .map(|way| mud[way]["access-lists"]["access-list"].as_array().unwrap().clone());
    assert_eq!(named.concat().len(), lists.len());
    for list in lists {
        assert!(list["name"].as_str().is_some_and(|name| name.len() <= 64));
        let names: BTreeSet<&str> =
            list["aces"]["ace"].as_array().unwrap().iter().map(|ace| ace["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), list["aces"]["ace"].as_array().unwrap().len(), "a name is there twice");
    }
}

#[test]
fn what_was_imported_comes_back() {
    let mut rules = 0;
    for path in files() {
        let Ok(imported) = import(&path, &crate::files::map()) else { continue };
        assert_same(&imported.rules, &imported.inbound);
        rules += imported.rules.len();
    }
    assert!(rules > 40, "only {rules} rules");
}

fn service() -> impl Strategy<Value = String> {
    let port = prop_oneof![Just(1_u16), Just(53), Just(67), Just(443), Just(65_535), 1_u16..=65_535];
    prop_oneof![
        4 => port.clone().prop_map(|port| format!("tcp/{port}")),
        4 => port.prop_map(|port| format!("udp/{port}")),
        1 => Just("tcp/*".to_owned()),
        1 => Just("udp/*".to_owned()),
        1 => Just("icmp".to_owned()),
    ]
}

fn net() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u32..4, 8_u32..=32).prop_map(|(third, bits)| format!("198.51.{third}.128/{bits}")),
        (0_u32..4, 16_u32..=128).prop_map(|(third, bits)| format!("2001:db8:{third}::8000/{bits}")),
        Just("0.0.0.0/0".to_owned()),
        Just("::/0".to_owned()),
    ]
    .prop_map(|net| net.parse::<IpNet>().unwrap().trunc().to_string())
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..6).prop_map(|number| format!("host = \"n{number}.example.com\"")),
        (0..2).prop_map(|number| format!("host = \"*.w{number}.example.com\"")),
        (1..6).prop_map(|number| format!("address = \"198.51.100.{number}\"")),
        (1..6).prop_map(|number| format!("address = \"2001:db8::{number}\"")),
        net().prop_map(|net| format!("cidr = \"{net}\"")),
    ]
}

/// Rules as lines of a policy.
fn lines() -> impl Strategy<Value = String> {
    let services = || {
        proptest::collection::btree_set(service(), 1..4)
            .prop_map(|services| format!("{services:?}").replace(['{', '}'], ""))
    };
    let allow = (target(), services())
        .prop_map(|(target, services)| format!("[[group.allow]]\n{target}\nports = [{services}]\n"));
    let inbound = (net(), services())
        .prop_map(|(net, services)| format!("[[group.inbound]]\nfrom = \"{net}\"\nports = [{services}]\n"));
    proptest::collection::vec(prop_oneof![2 => allow, 1 => inbound], 0..12).prop_map(|rules| rules.concat())
}

proptest! {
    #[test]
    fn random_policies_come_back(lines in lines()) {
        // Some open more at one name than the data plane holds.
        if let Ok(mut policy) = policy::parse(&policy_of(&lines), "policy.toml") {
            let group = policy.groups.remove(0);
            assert_same(&group.rules, &group.inbound);
        }
    }
}
