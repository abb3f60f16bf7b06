//! Files of service tags: prefixes, what is refused, and how old a file is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ipnet::IpNet;
use sphere_userspace::import::service_tags::{Age, Family, TagsError, Wanted, parse, published};
use sphere_userspace::import::{Imported, read_file};
use sphere_userspace::policy::{self, Source};

use crate::{check, directory, each, lines, policy_with, said};

const FILE: &str = "ServiceTags_Public_20251124.json";

fn source() -> Arc<Source> {
    let text = std::fs::read_to_string(directory("service-tags").join(FILE)).unwrap();
    Source::new(FILE, text)
}

fn wanted(tags: &[&str]) -> Wanted {
    Wanted {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        services: BTreeSet::from(["tcp/8883".parse().unwrap()]),
        family: None,
        multi_tenant: false,
    }
}

fn import(wanted: &Wanted) -> Imported {
    parse(&source(), wanted, None).unwrap()
}

fn targets(imported: &Imported) -> Vec<String> {
    imported.rules.iter().map(|rule| rule.target.to_string()).collect()
}

#[test]
fn prefixes_of_a_tag_become_rules() {
    let text = said(Ok(&import(&wanted(&["AzureIoTHub"]))));
    check(&directory("service-tags").join("AzureIoTHub.txt"), &text);
}

#[test]
fn only_prefixes_that_are_halves_of_one_are_put_together() {
    assert_eq!(targets(&import(&wanted(&["AzureSphere"]))), ["20.0.0.0/28", "20.0.1.4/31", "20.0.1.7/32"]);
    assert_eq!(
        targets(&import(&wanted(&["AzureIoTHub"]))),
        ["13.69.192.42/31", "40.74.0.0/24", "2603:1020:200::500/120", "2603:1030:1:402::300/122"]
    );
}

#[test]
fn a_family_can_be_left_out() {
    let of = |family| targets(&import(&Wanted { family: Some(family), ..wanted(&["AzureIoTHub.WestEurope"]) }));
    assert_eq!(of(Family::V4), ["13.69.192.42/31"]);
    assert_eq!(of(Family::V6), ["2603:1020:200::500/121"]);
}

#[test]
fn several_tags_are_one_list() {
    let imported = import(&wanted(&["AzureIoTHub.WestEurope", "AzureIoTHub.WestUS"]));
    assert_eq!(targets(&imported), ["13.69.192.42/31", "40.74.0.0/25", "2603:1020:200::500/121"]);
    assert_eq!(imported.notes[0].text, "AzureIoTHub.WestEurope, change 4: 2 IPv4 and 1 IPv6 prefixes");
}

#[test]
fn an_origin_is_the_line_of_the_first_part() {
    let imported = import(&wanted(&["AzureSphere"]));
    let text = source().text().to_owned();
    let line = text.lines().position(|line| line.contains("20.0.0.0/29")).unwrap() + 1;
    assert_eq!(imported.rules[0].origin.to_string(), format!("{FILE}:{line}"));
}

#[track_caller]
fn refused(wanted: &Wanted) -> String {
    match parse(&source(), wanted, None) {
        Err(TagsError::Asked(errors)) => each(errors.diagnostics()).join("\n"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tags_with_everybodys_addresses_need_a_word() {
    for tag in ["Storage", "Storage.WestEurope", "AzureCloud.westeurope"] {
        let said = refused(&wanted(&[tag]));
        assert!(said.contains("any customer can have") && said.contains("--allow-multi-tenant"), "{said}");
        let imported = import(&Wanted { multi_tenant: true, ..wanted(&[tag]) });
        assert_eq!(imported.rules.len(), 1);
    }
    assert_eq!(import(&wanted(&["StorageSyncService"])).rules.len(), 1);
    let shared = import(&wanted(&["AzureFrontDoor.FirstParty"]));
    assert!(each(&shared.warnings).join("").contains("many customers' services"), "{:?}", shared.warnings);
}

#[test]
fn an_unknown_tag_is_likened_to_those_there_are() {
    assert!(refused(&wanted(&["AzureIotHub"])).contains("did you mean AzureIoTHub, AzureIoTHub.WestUS"));
    assert!(refused(&wanted(&["AzureIoTHub.WestEuropa"])).contains("did you mean AzureIoTHub.WestEurope"));
    assert!(refused(&wanted(&["Something else entirely"])).contains("letter case counts"));
}

#[test]
fn prefixes_of_no_internet_host_are_left_out_with_a_word() {
    let imported = import(&wanted(&["Reserved"]));
    assert_eq!(targets(&imported), ["20.5.0.0/16"]);
    let said = each(&imported.warnings);
    assert!(said.len() == 2 && said[0].contains("no rule for `10.0.0.0/8`: it is private"), "{said:?}");
}

#[test]
fn everything_wrong_with_a_file_is_told() {
    let path = directory("service-tags").join("wrong.json");
    let source = Source::new("wrong.json", std::fs::read_to_string(&path).unwrap());
    let tags = wanted(&["AzureSphere", "AzureIoTHub", "AzureMonitor"]);
    let Err(TagsError::File(errors)) = parse(&source, &tags, None) else { panic!("accepted") };
    check(&path.with_extension("txt"), &said(Err(&errors)));
}

#[test]
fn other_files_are_told_from_these() {
    for (text, words) in
        [("[]", "expected an object"), ("{}", "no file of service tags"), ("{\"values\": 7}", "a list")]
    {
        let Err(TagsError::File(errors)) = parse(&Source::new("a.json", text), &wanted(&["A"]), None) else {
            panic!("accepted: {text}")
        };
        assert!(each(errors.diagnostics()).join("").contains(words), "{text}: {errors}");
    }
}

#[test]
fn the_age_is_told_by_the_name_else_by_the_time_of_change() {
    let day = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
    let published_at = published(FILE).unwrap();
    assert_eq!(published_at, day(20_416));
    assert_eq!(published("ServiceTags_Public_20251324.json"), None);
    assert_eq!(published("other_20251124.json"), None);
    assert_eq!(published("é.json"), None);
    let after = |days: u64| published_at + Duration::from_secs(days * 86_400);
    let warnings =
        |age: Option<Age>| each(&parse(&source(), &wanted(&["AzureSphere"]), age).unwrap().warnings).join("");
    assert_eq!(warnings(Age::of(FILE, None, after(14))), "");
    let said = warnings(Age::of(FILE, Some(after(99)), after(15)));
    assert!(said.contains("is 15 days old by its name"), "{said}");
    let said = warnings(Age::of("tags.json", Some(day(100)), day(130)));
    assert!(said.contains("is 30 days old by its date of change"), "{said}");
    assert_eq!(Age::of("tags.json", None, day(130)), None);
    // A clock that is behind makes no file old.
    assert_eq!(warnings(Age::of(FILE, None, day(0))), "");
}

/// A file with a tag of so many prefixes, no two of which are halves of one.
fn many(count: u32) -> Arc<Source> {
    let prefixes: Vec<String> = (0..count).map(|n| format!("\"20.{}.{}.0/25\"", n >> 8, n & 255)).collect();
    let values = format!(
        "{{\"name\":\"Many\",\"properties\":{{\"changeNumber\":1,\"addressPrefixes\":[{}]}}}}",
        prefixes.join(",")
    );
    Source::new("many.json", format!("{{\"values\":[{values}]}}"))
}

#[test]
fn more_than_a_policy_has_room_for_is_told() {
    let warnings = |count, services: &[&str]| {
        let services = services.iter().map(|service| service.parse().unwrap()).collect();
        let imported = parse(&many(count), &Wanted { services, ..wanted(&["Many"]) }, None).unwrap();
        assert_eq!(imported.rules.len(), count as usize);
        each(&imported.warnings)
    };
    assert_eq!(warnings(8_191, &["tcp/443", "tcp/8883"]), [""; 0]);
    let said = warnings(8_192, &["tcp/443"]);
    assert!(said.len() == 1 && said[0].contains("8193 rule numbers, and `rules` gives 8192"), "{said:?}");
    let said = warnings(8_191, &["tcp/443", "tcp/8883", "udp/5000"]);
    assert!(
        said.len() == 1 && said[0].contains("24573 prefix rules of one family, and `cidrs` gives 16384"),
        "{said:?}"
    );
}

#[test]
fn the_lines_are_a_valid_policy_with_the_same_addresses() {
    let imported = import(&wanted(&["AzureIoTHub", "AzureSphere"]));
    let text = policy_with(&lines(&imported));
    let policy = policy::parse(&text, "policy.toml").unwrap_or_else(|errors| panic!("{errors}"));
    let read: Vec<String> = policy.groups[0].rules.iter().map(|rule| rule.target.to_string()).collect();
    assert_eq!(read, targets(&imported));
}

#[test]
fn a_file_of_this_kind_is_read_whole() {
    let file = directory("service-tags").join(FILE);
    assert_eq!(read_file(&file, 1 << 20).unwrap().text(), source().text());
}

proptest::proptest! {
    #[test]
    fn aggregated_prefixes_hold_exactly_the_same_addresses(
        prefixes in proptest::collection::vec((0_u32..64, 26_u8..=32), 1..12),
    ) {
        let nets: Vec<IpNet> = prefixes
            .iter()
            .map(|(low, bits)| IpNet::new(std::net::Ipv4Addr::from(0x1400_0000 + low).into(), *bits).unwrap().trunc())
            .collect();
        let list: Vec<String> = nets.iter().map(|net| format!("\"{net}\"")).collect();
        let text = format!(
            "{{\"values\":[{{\"name\":\"T\",\"properties\":{{\"changeNumber\":1,\"addressPrefixes\":[{}]}}}}]}}",
            list.join(",\n")
        );
        let imported = parse(&Source::new("t.json", text), &wanted(&["T"]), None).unwrap();
        let out: Vec<IpNet> = targets(&imported).iter().map(|net| net.parse().unwrap()).collect();
        for low in 0_u32..128 {
            let address = std::net::IpAddr::from(std::net::Ipv4Addr::from(0x1400_0000 + low));
            let holding = out.iter().filter(|net| net.contains(&address)).count();
            proptest::prop_assert_eq!(holding, usize::from(nets.iter().any(|net| net.contains(&address))), "{}", address);
        }
    }
}
