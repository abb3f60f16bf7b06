//! What `sphere import` makes of files of other makers, and what it says of each mistake.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod command;
mod manifest;
mod policy;
mod service_tags;

use std::path::{Path, PathBuf};

use sphere_userspace::import::Imported;
use sphere_userspace::policy::{Diagnostic, PolicyErrors};
use sphere_userspace::render::write_imported;

/// Where files of these tests are.
pub(crate) fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name)
}

/// The lines for a policy.
pub(crate) fn lines(imported: &Imported) -> String {
    let mut output = Vec::new();
    write_imported(&mut output, imported).unwrap();
    String::from_utf8(output).unwrap()
}

/// Everything that an import says: lines, then findings.
pub(crate) fn said(imported: Result<&Imported, &PolicyErrors>) -> String {
    let (mut text, found) = match imported {
        Ok(imported) => (lines(imported), imported.warnings.as_slice()),
        Err(errors) => (format!("nothing is imported: {}\n", errors.summary()), errors.diagnostics()),
    };
    for found in found {
        text += &format!("\n{}\n", found.render());
    }
    text
}

/// The findings in a line each.
pub(crate) fn each(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

/// Compares a text with a file; `SPHERE_WRITE_SNAPSHOTS=1 cargo test` writes it anew.
#[track_caller]
pub(crate) fn check(path: &Path, text: &str) {
    if std::env::var_os("SPHERE_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, kept, "{} differs from what is kept", path.display());
}

/// A policy with one group, and in it these lines.
pub(crate) fn policy_with(lines: &str) -> String {
    format!(
        "version = 1\n\n[[interface]]\nname = \"lan0\"\nother_sources = \"deny\"\n\n[[group]]\nname = \"sphere\"\n\
         mode = \"enforce\"\ninterfaces = [\"lan0\"]\nsubnets = [\"10.20.0.0/24\"]\n{lines}"
    )
}
