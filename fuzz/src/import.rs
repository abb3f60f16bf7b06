//! An arbitrary text as an application manifest and as a file of service tags.
//!
//! Nothing may panic. Every finding in the text has its place there, a remedy, and a form for people that acts on no
//! terminal. What is accepted is JSON but for comments, and the lines that are printed of it are a valid policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sphere_userspace::import::Imported;
use sphere_userspace::import::manifest::{self, Said};
use sphere_userspace::import::service_tags::{self, TagsError, Wanted};
use sphere_userspace::policy::{self, Diagnostic, Source};
use sphere_userspace::render::write_imported;

/// Tags that are looked for.
const TAGS: [&str; 3] = ["AzureIoTHub", "AzureSphere", "Storage"];
/// Findings of which each is looked at: rendering is what takes time.
const LOOKED_AT: usize = 8;

/// Reads the input as each kind of file.
///
/// # Panics
///
/// When a finding is not as it should be, or the lines are no policy.
pub fn read(data: &[u8]) {
    drop(accepted(data));
}

/// As which kinds the input was accepted.
///
/// # Panics
///
/// As [`read`].
#[must_use]
pub fn accepted(data: &[u8]) -> BTreeSet<&'static str> {
    let source = Source::new("import.json", String::from_utf8_lossy(data));
    let mut kinds = BTreeSet::new();
    let from = BTreeSet::from(["10.30.0.0/24".parse().expect("a prefix")]);
    match manifest::parse(&source, &Said { ports: BTreeMap::new(), from }) {
        Ok(imported) => {
            assert_policy(&source, &imported);
            kinds.insert("manifest");
        }
        Err(errors) => assert_refused(&source, errors.diagnostics(), errors.error_count()),
    }
    for tag in TAGS {
        let (tags, services) = ([tag.to_owned()].into(), ["tcp/8883".parse().expect("a service")].into());
        match service_tags::parse(&source, &Wanted { tags, services, family: None, multi_tenant: true }, None) {
            Ok(imported) => {
                assert_policy(&source, &imported);
                kinds.insert("service-tags");
            }
            Err(TagsError::File(errors)) => assert_refused(&source, errors.diagnostics(), errors.error_count()),
            Err(TagsError::Asked(errors)) => assert!(errors.error_count() > 0, "refused without an error"),
        }
    }
    kinds
}

fn assert_refused(source: &Arc<Source>, found: &[Diagnostic], errors: usize) {
    assert!(errors > 0, "refused without an error");
    assert!(found.iter().all(|found| found.place.is_some()), "an error in a text without its place: {found:?}");
    assert_found(source, found);
}

fn assert_found(source: &Arc<Source>, found: &[Diagnostic]) {
    let lines = source.text().split('\n').count();
    for found in found.iter().take(LOOKED_AT) {
        if let Some((line, column)) = found.position() {
            assert!((1..=lines).contains(&line) && column > 0, "line {line} of {lines}, column {column}");
        }
        assert!(found.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()), "no remedy: {found}");
        let shown = found.render();
        let acts = shown.chars().find(|character| character.is_control() && *character != '\n');
        assert_eq!(acts, None, "{shown:?}");
    }
}

fn assert_policy(source: &Arc<Source>, imported: &Imported) {
    assert_found(source, &imported.warnings);
    let mut lines = Vec::new();
    write_imported(&mut lines, imported).expect("memory takes what is written");
    let lines = String::from_utf8(lines).expect("what is written for people is text");
    let acts = lines.chars().find(|character| character.is_control() && *character != '\n');
    assert_eq!(acts, None, "{lines:?}");
    let policy = format!(
        "version = 1\n[[group]]\nname = \"g\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\nsubnets = [\"10.20.0.0/24\"]\n{lines}"
    );
    let read = policy::parse(&policy, "policy.toml").unwrap_or_else(|errors| panic!("{errors}"));
    let complete = imported.rules.iter().filter(|rule| !rule.services.is_empty()).count();
    assert_eq!(read.groups[0].rules.len(), complete, "a rule is lost");
}
