//! What an import says, in words to compare.

use std::path::Path;

use sphere_userspace::import::Imported;
use sphere_userspace::policy::{Diagnostic, PolicyErrors};
use sphere_userspace::render::write_imported;

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
