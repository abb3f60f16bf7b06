//! Where the text of a profile comes from, and whether it may be shown.
//!
//! A path in a policy may name any file that whoever checks it can read, such as a table of passwords. Before a file has
//! turned out to be a profile, nothing that it says is repeated.

use std::{path::Path, sync::Arc};

use super::{
    diagnostic::{Diagnostic, Severity, Source},
    file::Files,
    findings::{Findings, Located},
};

/// Profiles that ship with the daemon: name and text.
const SHIPPED: &[(&str, &str)] =
    &[("azure-sphere", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles/azure-sphere.toml")))];

/// Names of the profiles that ship with the daemon.
pub(super) fn shipped() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// The text of the profile of this name, or at this path below the directory of the files.
pub(super) fn find(
    files: Option<(&Path, &Files<'_>)>,
    name: &Located<&str>,
    findings: &mut Findings,
) -> Option<Arc<Source>> {
    match SHIPPED.iter().find(|(shipped, _)| *shipped == name.value) {
        Some((shipped, text)) => Some(Source::new(format!("profile {shipped}"), *text)),
        None => in_file(files, name, findings),
    }
}

fn in_file(files: Option<(&Path, &Files<'_>)>, name: &Located<&str>, findings: &mut Findings) -> Option<Arc<Source>> {
    let known: Vec<&str> = shipped().collect();
    let is_path = name.value.contains(['/', '.']);
    let (Some((directory, files)), true) = (files, is_path) else {
        let remedy = format!("use one of: {}; or the path of a profile file", known.join(", "));
        findings.error(&name.span, format!("unknown profile `{}`", name.value), remedy);
        return None;
    };
    let path = directory.join(name.value.strip_prefix("./").unwrap_or(name.value));
    match files.read_unshown(&path) {
        Ok(source) => return if is_profile(&source, name, findings) { Some(source.shown()) } else { None },
        Err(error) if error.place().is_some() => findings.extend(vec![error.into()]),
        Err(error) => {
            let remedy = format!("{}; a path is relative to the policy file", error.remedy());
            findings.error(&name.span, format!("the profile cannot be used: {error}"), remedy);
        }
    }
    None
}

/// Whether the text is TOML that says that it is a profile; reported if not.
fn is_profile(source: &Arc<Source>, name: &Located<&str>, findings: &mut Findings) -> bool {
    let mut own = Findings::new(Arc::clone(source));
    let table = own.parse(source.text());
    if let Some(place) = own.broken_at() {
        findings.extend(vec![Diagnostic {
            severity: Severity::Error,
            message: "the profile is not TOML".to_owned(),
            remedy: Some("correct the syntax here, or name another file".to_owned()),
            place: Some(place.clone()),
            related: None,
        }]);
        return false;
    }
    let is_profile = table.value.contains_key("profile");
    if !is_profile {
        let message = format!("`{}` is no profile: it does not say `profile = \"NAME\"`", source.path());
        findings.error(&name.span, message, "name a profile file, or add that line to it");
    }
    is_profile
}
