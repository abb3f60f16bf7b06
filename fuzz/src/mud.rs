//! An arbitrary text as a MUD file.
//!
//! Nothing may panic. Every finding has its place in the text, a remedy, and a form for people that acts on no terminal; the
//! lines that are printed of what is accepted are a valid policy with the rules that were imported.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sphere_userspace::import::Imported;
use sphere_userspace::import::mud::{self, Map};
use sphere_userspace::policy::{self, Diagnostic, Source};
use sphere_userspace::render::write_imported;

use crate::policy::assert_found;

/// Findings of which each is looked at: rendering is what takes time.
const LOOKED_AT: usize = 8;

/// Classes that a text may name.
const MAP: &str = r#"
my_controller = ["10.20.0.10"]
local_networks = ["10.0.0.0/8", "fd00::/8"]
same_manufacturer = ["devices.example.com"]
ntp = ["10.20.0.1", "ntp.example.com"]
"#;

/// Reads the input as a MUD file, without a map and with one.
///
/// # Panics
///
/// When a finding is not as it should be, or the lines are no policy.
pub fn read(data: &[u8]) {
    let map = mud::parse_map(&Source::new("map.toml", MAP)).expect("a map without mistakes");
    drop(imported(data, &Map::default()));
    drop(imported(data, &map));
}

/// What the input asks for; `None` when it was refused.
///
/// # Panics
///
/// As [`read`].
#[must_use]
pub fn imported(data: &[u8], map: &Map) -> Option<Imported> {
    let source: Arc<Source> = Source::new("mud.json", String::from_utf8_lossy(data));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_272_000);
    match mud::parse(&source, map, now) {
        Ok(imported) => {
            assert_all(&source, &imported.warnings);
            assert_policy(&imported);
            Some(imported)
        }
        Err(errors) => {
            assert!(errors.error_count() > 0, "refused without an error");
            assert_all(&source, errors.diagnostics());
            None
        }
    }
}

fn assert_all(source: &Arc<Source>, found: &[Diagnostic]) {
    let lines = source.text().split('\n').count();
    found.iter().take(LOOKED_AT).for_each(|found| assert_found(found, lines));
}

/// What is printed is a policy with the rules that were imported, and nothing besides.
fn assert_policy(imported: &Imported) {
    let mut printed = Vec::new();
    write_imported(&mut printed, imported).expect("memory takes what is written");
    let printed = String::from_utf8(printed).expect("what is written for people is text");
    let acts = printed.chars().find(|character| character.is_control() && *character != '\n');
    assert_eq!(acts, None, "{printed:?}");
    let text = format!(
        "version = 1\n[[group]]\nname = \"g\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\nsubnets = [\"10.20.0.0/24\"]\n{printed}"
    );
    let read = policy::parse(&text, "policy.toml").unwrap_or_else(|errors| panic!("{errors}"));
    let group = &read.groups[0];
    let said = group.rules.iter().map(|rule| (&rule.target, &rule.services));
    assert!(said.eq(imported.rules.iter().map(|rule| (&rule.target, &rule.services))), "{printed}");
    let said = group.inbound.iter().map(|rule| (&rule.from, &rule.services));
    assert!(said.eq(imported.inbound.iter().map(|rule| (&rule.from, &rule.services))), "{printed}");
}
