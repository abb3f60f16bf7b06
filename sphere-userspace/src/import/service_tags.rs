//! Azure service tags: the prefixes of a service, from the file `ServiceTags_Public_YYYYMMDD.json` that is published weekly.

mod age;
mod prefixes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;

pub use self::age::Age;
use self::prefixes::Prefixes;
use super::json::{self, Json, Node};
use super::{Imported, Note};
use crate::policy::{
    Diagnostic, Findings, Limits, Need, Origin, PolicyErrors, Rule, Service, Severity, Source, Target, nearest, plain,
};

/// What is wanted of a file of service tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Names of tags.
    pub tags: BTreeSet<String>,
    /// Services that the rules open; must not be empty, since tags name none.
    pub services: BTreeSet<Service>,
    /// Only prefixes of this family; [`None`]: both.
    pub family: Option<Family>,
    /// Whether tags may be taken that hold addresses of everybody's.
    pub multi_tenant: bool,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Why a file of service tags gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagsError {
    /// The file is wrong.
    #[error("{0}")]
    File(PolicyErrors),
    /// What was asked for is not in it, or is refused.
    #[error("{0}")]
    Asked(PolicyErrors),
}

/// Tags that hold addresses which any customer can have, by the first part of their names.
const MULTI_TENANT: [&str; 2] = ["AzureCloud", "Storage"];
/// Tags whose addresses answer for many customers, and that are often needed all the same.
const SHARED: [&str; 2] = ["AzureFrontDoor", "AzureTrafficManager"];
/// Names that an unknown tag is likened to.
const NEAR: usize = 5;

/// Tags by name.
type Tags<'a> = BTreeMap<&'a str, &'a Node>;

/// Reads the prefixes of tags. Never panics. `age` is how old the file is, when that is known.
///
/// # Errors
///
/// Everything that is wrong with the file, each with its place; or with what is wanted of it.
pub fn parse(source: &Arc<Source>, wanted: &Wanted, age: Option<Age>) -> Result<Imported, TagsError> {
    let mut findings = Findings::new(Arc::clone(source));
    let root = json::read(&mut findings);
    let tags = root.as_ref().and_then(|root| read(root, &mut findings));
    let mut imported = Imported::default();
    if let Some(tags) = &tags {
        let asked = refused(tags, wanted, source.path());
        if !asked.is_empty() && !findings.has_errors() {
            return Err(TagsError::Asked(PolicyErrors::new(asked)));
        }
        imported = take(tags, wanted, &mut findings);
    }
    imported.warnings.extend(age.and_then(|age| age.warning(source.path())));
    imported.warnings.extend(wanted.tags.iter().filter_map(|name| warn_of_shared(name)));
    imported.warnings.extend(warn_of_room(&imported, wanted));
    super::finish(findings, tags.map(|_| imported)).map_err(TagsError::File)
}

/// When the file that a name is of was published: `ServiceTags_Public_20251124.json`.
#[must_use]
pub fn published(file_name: &str) -> Option<SystemTime> {
    age::published(file_name)
}

/// The tags of a file by name. [`None`] when it is no file of service tags.
fn read<'a>(root: &'a Node, findings: &mut Findings) -> Option<Tags<'a>> {
    root.object("an object, `{ … }`", findings)?;
    let Some(values) = root.get("values") else {
        let remedy = "name a file `ServiceTags_Public_YYYYMMDD.json`: it has a list `values`";
        findings.error(&(root.span.start..root.span.start + 1), "this is no file of service tags", remedy);
        return None;
    };
    let mut tags = Tags::new();
    for tag in values.array("tags", findings)? {
        if tag.object("a tag, `{ … }`", findings).is_none() {
            continue;
        }
        let Some(name) = tag.get("name") else {
            findings.error(&(tag.span.start..tag.span.start + 1), "the tag has no `name`", "is the file whole?");
            continue;
        };
        let Some(text) = name.text(findings) else { continue };
        if tags.contains_key(text) {
            let message = format!("the tag `{}` is there twice", plain(text));
            findings.error(&name.span, message, "load the file again from its publisher");
        } else {
            tags.insert(text, tag);
        }
    }
    Some(tags)
}

/// What is wanted and cannot be had.
fn refused(tags: &Tags<'_>, wanted: &Wanted, path: &str) -> Vec<Diagnostic> {
    let error = |message, remedy| Diagnostic {
        severity: Severity::Error,
        message,
        remedy: Some(remedy),
        place: None,
        related: None,
    };
    let refused = |name: &String| {
        if !tags.contains_key(name.as_str()) {
            let near = nearest(name, tags.keys().copied(), NEAR);
            let remedy = match near.as_slice() {
                [] => "look for its name in the file: letter case counts".to_owned(),
                near => format!("did you mean {}?", plain(&near.join(", "))),
            };
            return Some(error(format!("{} has no tag `{}`", plain(path), plain(name)), remedy));
        }
        if is_any(name, &MULTI_TENANT) && !wanted.multi_tenant {
            let message = format!("`{name}` holds addresses that any customer can have, an attacker too");
            let remedy = "allow the names that devices need instead, or say --allow-multi-tenant if you must";
            return Some(error(message, remedy.to_owned()));
        }
        None
    };
    wanted.tags.iter().filter_map(refused).collect()
}

/// Whether a tag is one of these, or their part in a region.
fn is_any(name: &str, families: &[&str]) -> bool {
    families.iter().any(|family| name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// The prefixes of the tags as rules.
fn take(tags: &Tags<'_>, wanted: &Wanted, findings: &mut Findings) -> Imported {
    let mut imported = Imported::default();
    let mut prefixes = Prefixes::default();
    for (name, tag) in wanted.tags.iter().filter_map(|name| tags.get_key_value(name.as_str())) {
        let Some(properties) = tag.get("properties") else {
            findings.error(&tag.span, format!("the tag `{}` has no `properties`", plain(name)), "is the file whole?");
            continue;
        };
        let Some(list) = properties.get("addressPrefixes") else {
            let message = format!("the tag `{}` has no `addressPrefixes`", plain(name));
            findings.error(&properties.span, message, "is the file whole?");
            continue;
        };
        let list = list.array("prefixes", findings).unwrap_or_default();
        let counts = prefixes.add(list, wanted.family, findings);
        let change = match properties.get("changeNumber").map(|node| &node.value) {
            Some(Json::Number(number)) => format!("change {number}"),
            _ => "no change number".to_owned(),
        };
        let (v4, v6) = counts;
        let text = format!("{}, {change}: {v4} IPv4 and {v6} IPv6 prefixes", plain(name));
        imported.notes.push(Note { target: None, text });
    }
    let path = findings.source().path().to_owned();
    let rule = |(net, line): (IpNet, usize)| Rule {
        target: Target::Cidr(net),
        services: wanted.services.clone(),
        origin: Origin::File { path: path.clone(), line },
        purpose: None,
        allow_private: false,
        any_type: false,
        need: Need::Required,
        step: None,
    };
    let (taken, rules) = (prefixes.len(), prefixes.aggregated());
    if rules.len() < taken {
        let text =
            format!("{taken} prefixes are {} without those that others hold or that are halves of one", rules.len());
        imported.notes.push(Note { target: None, text });
    }
    imported.rules = rules.into_iter().map(rule).collect();
    imported
}

fn warning(message: String, remedy: String) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, message, remedy: Some(remedy), place: None, related: None }
}

fn warn_of_shared(name: &str) -> Option<Diagnostic> {
    is_any(name, &SHARED).then(|| {
        let message = format!("`{name}` is in front of many customers' services: its prefixes open all of them");
        warning(message, "allow the names that devices need instead, if you know them".to_owned())
    })
}

/// Warns when the rules alone need more room than a policy has without `[limits]`.
fn warn_of_room(imported: &Imported, wanted: &Wanted) -> Vec<Diagnostic> {
    let limits = Limits::default();
    let is_v4 = |rule: &&Rule| matches!(rule.target, Target::Cidr(IpNet::V4(_)));
    let v4 = imported.rules.iter().filter(is_v4).count();
    let entries = v4.max(imported.rules.len() - v4) * wanted.services.len();
    // Number 0 belongs to no rule.
    let numbers = imported.rules.len() + 1;
    let room = [
        ("cidrs", "prefix rules of one family", entries, limits.cidrs),
        ("rules", "rule numbers", numbers, limits.rules),
    ];
    let short = |(key, what, needed, given): (&str, &str, usize, u32)| {
        let message = format!("the lines need {needed} {what}, and `{key}` gives {given} if a policy does not say");
        let remedy = format!("set `{key}` in [limits] to more than {needed}, or take tags of single regions");
        (needed > given as usize).then(|| warning(message, remedy))
    };
    room.into_iter().filter_map(short).collect()
}
