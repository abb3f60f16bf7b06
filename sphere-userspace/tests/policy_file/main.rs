//! Policy files from outside: what they mean, what is wrong with them and where, and that no text makes them panic.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod check;
mod documents;
mod errors;
mod files;
mod meaning;
mod overlap;
mod profile;
mod profile_file;
mod random;
mod room;
mod sinks;
mod targets;
mod together;
mod warnings;

use std::path::PathBuf;

use sphere_userspace::policy::{self, Diagnostic, Policy, PolicyErrors};

/// A policy that uses every table, has no errors and no warnings.
pub(crate) const GOOD: &str = include_str!("good.toml");

/// Behind a policy: its port lan0 denies sources in no device subnet, so that there is no warning of them.
pub(crate) const CLOSED: &str = "\n[[interface]]\nname = \"lan0\"\nother_sources = \"deny\"\n";

/// What the texts of these tests are called.
pub(crate) const ORIGIN: &str = "policy.toml";

/// Reads a text that must be valid.
#[track_caller]
pub(crate) fn valid(text: &str) -> Policy {
    policy::parse(text, ORIGIN).unwrap_or_else(|errors| panic!("{errors}\nin:\n{text}"))
}

/// Reads a text that must not be valid.
#[track_caller]
pub(crate) fn invalid(text: &str) -> PolicyErrors {
    match policy::parse(text, ORIGIN) {
        Ok(policy) => panic!("accepted as {policy:#?}\nin:\n{text}"),
        Err(errors) => errors,
    }
}

/// The good policy with one part replaced; the part must be there once.
#[track_caller]
pub(crate) fn with(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "`{from}` must be in the good policy once");
    GOOD.replace(from, to)
}

/// Line and column, both from 1, of the only place where a text has a word.
#[track_caller]
pub(crate) fn place_of(word: &str, text: &str) -> (usize, usize) {
    assert_eq!(text.matches(word).count(), 1, "`{word}` must be in the text once:\n{text}");
    let before = &text[..text.find(word).unwrap()];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The diagnostics as lines.
pub(crate) fn lines(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

/// A directory of its own for one test, removed with it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sphere-policy-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and gives back its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // The directory is below the system's temporary one; a file that stays there does no harm.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
