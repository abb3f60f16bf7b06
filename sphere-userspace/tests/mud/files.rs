//! MUD files: what is made of each file in `mud`, without a map and with one.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sphere_userspace::import::mud::{self, Map};
use sphere_userspace::import::{Imported, MOST_BYTES, read_file};
use sphere_userspace::policy::{self, PolicyErrors, Source};

use crate::{check, directory, each, lines, said};

/// The first of June 2026, a month after most of the files were written.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_272_000)
}

/// The files, by name.
pub(crate) fn files() -> Vec<PathBuf> {
    let all = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    files
}

/// The file as it is read where it lies: diagnostics name it without its directory.
pub(crate) fn import(path: &PathBuf, map: &Map) -> Result<Imported, PolicyErrors> {
    let text = fs::read_to_string(path).unwrap();
    mud::parse(&Source::new(path.file_name().unwrap().to_string_lossy(), text), map, now())
}

pub(crate) fn map() -> Map {
    mud::parse_map(&read_file(&directory().join("map.toml"), MOST_BYTES).unwrap()).unwrap()
}

/// A policy whose group has these lines.
pub(crate) fn policy_of(lines: &str) -> String {
    format!(
        "version = 1\n[[group]]\nname = \"devices\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\n\
         subnets = [\"172.31.0.0/24\", \"fd31::/64\"]\n\n{lines}"
    )
}

#[test]
fn every_file_says_what_is_kept() {
    assert!(files().len() >= 35);
    for path in files() {
        check(&path.with_extension("txt"), &said(import(&path, &Map::default()).as_ref()));
    }
}

#[test]
fn a_map_fills_classes_and_nothing_else() {
    let map = map();
    let mut changed = Vec::new();
    for path in files() {
        let (plain, mapped) = (import(&path, &Map::default()), import(&path, &map));
        let (plain, mapped) = (said(plain.as_ref()), said(mapped.as_ref()));
        if plain != mapped {
            check(&path.with_extension("mapped.txt"), &mapped);
            changed.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    for stem in ["hub", "plug", "printer", "camera", "dns-ntp", "bulb-coap", "capture-doorbell", "capture-speaker"] {
        assert!(changed.iter().any(|changed| changed == stem), "{stem} is the same with a map");
    }
}

#[test]
fn what_is_printed_is_a_part_of_a_policy() {
    let mut rules = 0;
    for path in files() {
        for map in [Map::default(), map()] {
            let Ok(imported) = import(&path, &map) else { continue };
            let policy = policy::parse(&policy_of(&lines(&imported)), "policy.toml");
            let policy = policy.unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
            let [group] = policy.groups.as_slice() else { panic!("{} groups", policy.groups.len()) };
            assert_eq!(group.rules.len(), imported.rules.len(), "{}", path.display());
            assert_eq!(group.inbound.len(), imported.inbound.len(), "{}", path.display());
            rules += group.rules.len() + group.inbound.len();
        }
    }
    assert!(rules > 80, "only {rules} rules");
}

#[test]
fn both_dialects_say_the_same() {
    let rfc = fs::read_to_string(directory().join("bulb-v6.json")).unwrap();
    let draft = [
        ("ietf-access-control-list:acls", "ietf-access-control-list:access-lists"),
        ("\"aces\"", "\"access-list-entries\""),
        ("\"type\"", "\"acl-type\""),
        ("ipv6-acl-type", "ipv6-acl"),
        ("\"source-port\"", "\"source-port-range-or-operator\""),
        ("\"destination-port\"", "\"destination-port-range-or-operator\""),
        ("\"ipv6\"", "\"ipv6-acl\""),
        ("\"tcp\"", "\"tcp-acl\""),
    ];
    let draft = draft.iter().fold(rfc.clone(), |text, (word, older)| text.replace(word, older));
    assert_ne!(rfc, draft);
    let read = |text: &str| mud::parse(&Source::new("a.json", text), &Map::default(), now()).unwrap();
    assert_eq!(read(&rfc).rules.len(), 1);
    assert_eq!(read(&rfc), read(&draft));
}

#[test]
fn mistakes_in_a_map_have_their_places() {
    let text = "my_controler = [\"10.0.0.1\"]\nlocal_networks = \"10.0.0.0/8\"\nntp = [\"10.0.0.1/8\", \"*.a.example\", 5]\n\
                [controllers]\n\"https://a.example\" = [\"224.0.0.1\"]\n";
    let errors = mud::parse_map(&Source::new("map.toml", text)).unwrap_err();
    let found = each(errors.diagnostics());
    let begins = |at: &str, what: &str| {
        assert!(found.iter().any(|found| found.starts_with(at) && found.contains(what)), "{found:#?}");
    };
    begins("map.toml:1:1: error", "unknown key `my_controler`");
    begins("map.toml:2:18: error", "expected a list");
    begins("map.toml:3:8: error", "bits set behind its prefix length");
    begins("map.toml:3:22: error", "stands for many names");
    begins("map.toml:3:37: error", "expected a text");
    begins("map.toml:5:24: error", "multicast");
    assert_eq!(errors.error_count(), 6, "{found:#?}");
}

#[test]
fn a_device_of_too_many_entries_is_refused() {
    let entry = |number: usize| {
        format!(
            r#"{{"name":"e{number}","matches":{{"ipv4":{{"protocol":6,"destination-ipv4-network":"192.0.2.0/24"}},
            "tcp":{{"destination-port":{{"operator":"eq","port":{number}}}}}}},"actions":{{"forwarding":"accept"}}}}"#
        )
    };
    let entries: Vec<String> = (1..5000).map(entry).collect();
    let text = format!(
        r#"{{"ietf-mud:mud":{{"mud-version":1,"mud-url":"https://a.example/","last-update":"2026-05-04T09:30:00Z",
        "from-device-policy":{{"access-lists":{{"access-list":[{{"name":"f"}}]}}}}}},
        "ietf-access-control-list:acls":{{"acl":[{{"name":"f","type":"ipv4-acl-type","aces":{{"ace":[{}]}}}}]}}}}"#,
        entries.join(",")
    );
    let errors = mud::parse(&Source::new("a.json", text), &Map::default(), now()).unwrap_err();
    let found = each(errors.diagnostics());
    assert!(found.iter().any(|found| found.contains("4999 entries, more than 4096")), "{found:?}");
}
