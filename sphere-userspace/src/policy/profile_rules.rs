//! The rules of a profile by itself, as of a group that chooses nothing of its options.

use std::{path::Path, time::SystemTime};

use super::{
    date::Date,
    diagnostic::{Diagnostic, PolicyErrors, Severity, Source},
    file::Files,
    findings::{Findings, Located},
    group::Rule,
    profile::{self, Library},
    profile_choice,
};

/// A profile with every option at its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileRules {
    /// Its name.
    pub name: String,
    /// What devices may reach.
    pub rules: Vec<Rule>,
    /// What is worth a word to the operator, such as a date that is past.
    pub warnings: Vec<Diagnostic>,
}

/// The rules of a shipped profile by name, or of a profile file by path; `asked` is what the user calls the place where it
/// was named.
///
/// # Errors
///
/// Everything that is wrong with the profile, each with its place.
pub fn profile_rules(name: &str, asked: &str) -> Result<ProfileRules, PolicyErrors> {
    let mut findings = Findings::new(Source::new(asked, name));
    let files = Files::default();
    let mut library = Library::new(Some((Path::new(""), &files)), Some(Date::of(SystemTime::now())));
    let at = 0..name.len();
    let found = library.find(&Located { value: name, span: at.clone() }, &mut findings);
    let rules = found.map(|found| {
        let chosen = profile_choice::choose(&found, &at, None, &mut findings);
        library.check_dates(&found, &chosen, &mut findings);
        let rules = profile::expand(&found, &chosen, (&at, &mut findings));
        (found.name.clone(), rules.into_iter().map(|rule| rule.value).collect())
    });
    let found = findings.into_diagnostics();
    match rules {
        Some((name, rules)) if found.iter().all(|found| found.severity == Severity::Warning) => {
            Ok(ProfileRules { name, rules, warnings: found })
        }
        _ => Err(PolicyErrors::new(found)),
    }
}
