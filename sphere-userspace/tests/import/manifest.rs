//! Application manifests as they are found, each with everything that is said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::strategy::Strategy as _;
use sphere_userspace::import::manifest::{Said, parse};
use sphere_userspace::import::{Imported, MOST_BYTES, read_file};
use sphere_userspace::policy::{self, DomainName, NamePattern, PolicyErrors, Source, Target};

use crate::{check, directory, each, lines, policy_with, said};

fn manifests() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory("manifests")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

/// As it is called in what is said of it, wherever the tests are run.
fn source(file: &PathBuf) -> Arc<Source> {
    let text = std::fs::read_to_string(file).unwrap();
    Source::new(file.file_name().unwrap().to_str().unwrap(), text)
}

fn import(text: &str, said: &Said) -> Result<Imported, PolicyErrors> {
    parse(&Source::new("app_manifest.json", text), said)
}

fn with_connections(connections: &str) -> String {
    format!("{{\"SchemaVersion\": 1, \"Capabilities\": {{\"AllowedConnections\": [{connections}]}}}}")
}

#[test]
fn every_manifest_gives_what_is_kept_beside_it() {
    let files = manifests();
    assert!(files.len() >= 25, "only {} manifests", files.len());
    for file in &files {
        let imported = parse(&source(file), &Said::default());
        check(&file.with_extension("txt"), &said(imported.as_ref()));
    }
}

#[test]
fn the_manifests_are_accepted_and_refused_and_fit_in_80_columns() {
    let (mut accepted, mut refused) = (0, 0);
    for file in manifests() {
        let imported = parse(&source(&file), &Said::default());
        if imported.is_ok() {
            accepted += 1;
        } else {
            refused += 1;
        }
        let text = said(imported.as_ref());
        // Lines of the file itself and words that cannot be broken may be wider.
        let is_wide = |line: &&str| line.chars().count() > 80 && !line.contains(" | ") && line.split(' ').count() > 8;
        assert_eq!(text.lines().find(is_wide), None, "{}", file.display());
    }
    assert!(accepted >= 12 && refused >= 12, "{accepted} accepted, {refused} refused");
}

#[test]
fn complete_rules_are_a_valid_policy_that_means_the_same() {
    let mut complete = 0;
    for file in manifests() {
        let from = BTreeSet::from(["10.30.0.0/24".parse().unwrap()]);
        let Ok(imported) = parse(&source(&file), &Said { ports: BTreeMap::new(), from }) else { continue };
        let text = policy_with(&lines(&imported));
        let policy = policy::parse(&text, "policy.toml").unwrap_or_else(|errors| panic!("{errors}\nin:\n{text}"));
        let is_complete = |rule: &&policy::Rule| !rule.services.is_empty();
        let wanted: Vec<_> = imported.rules.iter().filter(is_complete).map(meaning).collect();
        assert_eq!(policy.groups[0].rules.iter().map(meaning).collect::<Vec<_>>(), wanted, "{}", file.display());
        let inbound = |rule: &policy::InboundRule| (rule.from, rule.services.clone());
        assert_eq!(
            policy.groups[0].inbound.iter().map(inbound).collect::<Vec<_>>(),
            imported.inbound.iter().map(inbound).collect::<Vec<_>>()
        );
        complete += wanted.len();
    }
    assert!(complete >= 10, "only {complete} complete rules");
}

fn meaning(rule: &policy::Rule) -> (String, Vec<String>, Option<policy::Step>) {
    (rule.target.to_string(), rule.services.iter().map(ToString::to_string).collect(), rule.step)
}

#[test]
fn what_the_operator_says_of_a_port_counts_more_than_a_profile() {
    let name = |text: &str| Target::Name(NamePattern::Exact(DomainName::parse(text).unwrap()));
    let mut said = Said::default();
    said.ports.insert(name("contoso.azure-devices.net"), BTreeSet::from(["tcp/443".parse().unwrap()]));
    said.ports.insert(Target::Address("192.0.2.7".parse().unwrap()), BTreeSet::from(["udp/5000".parse().unwrap()]));
    let text =
        with_connections("\"CONTOSO.azure-devices.net\", \"fabrikam.azure-devices.net\", \"192.0.2.7\", \"a.example\"");
    let imported = import(&text, &said).unwrap();
    let rules: Vec<_> = imported.rules.iter().map(|rule| meaning(rule).1.join(" ")).collect();
    assert_eq!(rules, ["tcp/443", "tcp/443 tcp/8883", "udp/5000", ""]);
    assert_eq!(imported.incomplete(), 1);
}

#[test]
fn ports_that_an_application_listens_at_need_a_prefix() {
    let text = "{\"SchemaVersion\": 1, \"Capabilities\": {\"AllowedTcpServerPorts\": [80, 443]}}";
    let imported = import(text, &Said::default()).unwrap();
    assert_eq!((imported.listeners.len(), imported.inbound.len(), imported.incomplete()), (1, 0, 1));
    let from = ["10.30.0.0/24", "10.31.0.0/24"].map(|net| net.parse().unwrap()).into();
    let imported = import(text, &Said { from, ..Said::default() }).unwrap();
    assert_eq!((imported.listeners.len(), imported.inbound.len(), imported.incomplete()), (0, 2, 0));
}

#[test]
fn a_file_with_a_mistake_gives_nothing() {
    let text = with_connections("\"contoso.azure-devices.net\", \"CHANGE THIS\"");
    let errors = import(&text, &Said::default()).unwrap_err();
    assert_eq!(errors.error_count(), 1);
    let place = format!("app_manifest.json:1:{}: ", text.find("\"CHANGE").unwrap() + 1);
    let said = each(errors.diagnostics());
    assert!(said[0].starts_with(&format!("{place}error: `CHANGE THIS` is a placeholder")), "{said:?}");
}

#[test]
fn files_are_bounded_and_regular() {
    let folder = std::env::temp_dir().join(format!("sphere-import-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let large = folder.join("large.json");
    std::fs::write(&large, " ".repeat(MOST_BYTES as usize + 1)).unwrap();
    let error = |path: &Path| each(read_file(path, MOST_BYTES).unwrap_err().diagnostics()).join("");
    assert!(error(&large).contains("is larger than 1048576 bytes"), "{}", error(&large));
    assert!(error(&folder).contains("is a directory"), "{}", error(&folder));
    assert!(error(&folder.join("none")).contains("cannot read"));
    std::fs::write(&large, b"\xef\xbb\xbf{\"a\": \"\xff\"}").unwrap();
    assert!(error(&large).contains(":1:8: error: byte 11 is not UTF-8"), "{}", error(&large));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Entries as people write them, and what they are not.
fn entries() -> impl proptest::strategy::Strategy<Value = String> {
    proptest::collection::vec("[a-z0-9_.:/*<>\\-]{0,12}|[ -~]{0,8}", 0..6)
        .prop_map(|entries| serde_json::to_string(&entries).unwrap())
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(3_000))]

    #[test]
    fn whatever_the_entries_are_each_is_a_rule_or_told_of(list in entries()) {
        let count = serde_json::from_str::<Vec<String>>(&list).unwrap().len();
        let text = format!("{{\"SchemaVersion\": 1, \"Capabilities\": {{\"AllowedConnections\": {list}}}}}");
        match import(&text, &Said::default()) {
            Ok(imported) => {
                proptest::prop_assert!(imported.rules.len() + imported.warnings.len() >= count, "{}", list);
                let complete = policy_with(&lines(&imported));
                proptest::prop_assert!(policy::parse(&complete, "policy.toml").is_ok(), "{}", complete);
            }
            Err(errors) => proptest::prop_assert!(errors.error_count() > 0 && count > 0),
        }
    }
}
