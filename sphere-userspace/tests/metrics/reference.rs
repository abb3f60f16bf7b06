//! The table of metrics, and the document that is written from it.

use std::collections::BTreeSet;
use std::path::Path;

use sphere_userspace::metrics::reference;
use sphere_userspace::metrics::table::{ALL, Kind};

#[test]
fn the_reference_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    if std::env::var_os("SPHERE_WRITE_DOCS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    let remedy = "run SPHERE_WRITE_DOCS=1 cargo test -p sphere-userspace --test metrics";
    assert!(written == reference(), "docs/metrics.md is not what the table of metrics says: {remedy}");
}

#[test]
fn names_and_labels_follow_the_rules_of_prometheus() {
    let mut names = BTreeSet::new();
    for metric in ALL {
        let name = metric.name;
        assert!(names.insert(name), "{name} is there twice");
        assert!(name.starts_with("sphere_"), "{name}");
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(is_plain(name) && metric.labels.iter().all(|label| is_plain(label)), "{name}");
        assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        let labels: BTreeSet<_> = metric.labels.iter().collect();
        assert_eq!(labels.len(), metric.labels.len(), "{name}");
        assert_eq!(metric.most == 1, metric.labels.is_empty() || name.ends_with("_info") && metric.most == 1, "{name}");
        assert!(metric.help.ends_with(['.', ':']) && !metric.help.contains(['|', '\n']), "{name}: {}", metric.help);
    }
}
