//! What a policy chooses of the options that a profile declares.

use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU16, ops::Range};

use super::{
    document::{Fields, Value},
    findings::{Findings, Located},
    group::Target,
    name::{DomainName, NamePattern},
    profile::{Kind, Profile},
    service::Service,
    suggest::suggestion,
    values,
};

/// What the policy chose of one profile.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) words: BTreeMap<String, Located<String>>,
    pub(super) switches: BTreeMap<String, bool>,
    pub(super) servers: BTreeMap<String, Vec<Located<Target>>>,
    pub(super) lists: BTreeMap<String, Vec<Located<String>>>,
    pub(super) proxy: Option<(Located<Target>, Service)>,
}

/// Reads the table of options; what it leaves out has its default, and stands where the profile is named.
pub(super) fn choose(
    profile: &Profile,
    at: &Range<usize>,
    options: Option<Fields<'_>>,
    findings: &mut Findings,
) -> Chosen {
    let mut chosen = Chosen::default();
    for (name, kind) in &profile.options {
        match kind {
            Kind::Choice { default, .. } => {
                let word = Located { value: default.clone(), span: at.clone() };
                chosen.words.insert(name.clone(), word);
            }
            Kind::Switch { default } | Kind::Servers { default, .. } => {
                chosen.switches.insert(name.clone(), *default);
            }
            Kind::List | Kind::Proxy => {}
        }
    }
    let Some(mut fields) = options else { return chosen };
    for key in fields.rest() {
        match (profile.options.get(key.value), fields.take(key.value)) {
            (Some(kind), Some(value)) => choose_one((key.value, kind), &value, &mut chosen, findings),
            _ => {
                let known: Vec<String> = profile.options.keys().cloned().collect();
                let message = format!("the profile `{}` has no option `{}`", profile.name, key.value);
                findings.error(&key.span, message, suggestion(key.value, &known));
            }
        }
    }
    chosen
}

fn choose_one((name, kind): (&str, &Kind), value: &Value<'_>, chosen: &mut Chosen, findings: &mut Findings) {
    match kind {
        Kind::Choice { words, .. } => {
            let words: Vec<(&str, &str)> = words.iter().map(|word| (word.as_str(), word.as_str())).collect();
            if let Some(word) = value.one_of(&words, findings) {
                let word = Located { value: word.to_owned(), span: value.span().clone() };
                chosen.words.insert(name.to_owned(), word);
            }
        }
        Kind::Switch { .. } => {
            if let Some(on) = value.boolean(findings) {
                chosen.switches.insert(name.to_owned(), on);
            }
        }
        Kind::Servers { most, .. } => {
            if let Some(on) = value.as_bool() {
                chosen.switches.insert(name.to_owned(), on);
            } else if let Some(targets) = servers((name, *most), value, findings) {
                chosen.switches.insert(name.to_owned(), true);
                chosen.servers.insert(name.to_owned(), targets);
            }
        }
        Kind::List => {
            let list = value.array("labels", findings).unwrap_or_default();
            let entries = list.iter().filter_map(|entry| label(entry, findings)).collect();
            chosen.lists.insert(name.to_owned(), entries);
        }
        Kind::Proxy => chosen.proxy = proxy(value, findings),
    }
}

/// Servers that take the place of those of the profile.
fn servers((name, most): (&str, usize), value: &Value<'_>, findings: &mut Findings) -> Option<Vec<Located<Target>>> {
    let list = value.array("server names or addresses, or true or false", findings)?;
    if list.is_empty() || list.len() > most {
        let remedy = format!("name 1 to {most} servers, or write true or false");
        findings.error(value.span(), format!("{} servers for `{name}`", list.len()), remedy);
    }
    Some(list.iter().filter_map(|server| target(server, findings)).collect())
}

fn proxy(value: &Value<'_>, findings: &mut Findings) -> Option<(Located<Target>, Service)> {
    let mut fields = value.table("a proxy", findings)?;
    let host = fields.require("host", findings).and_then(|host| target(&host, findings));
    let port = fields.require("port", findings).and_then(|port| port.integer(1..=65_535, findings));
    fields.finish(findings);
    let port = port.and_then(|port| u16::try_from(port).ok()).and_then(NonZeroU16::new);
    host.zip(port.map(Service::tcp))
}

/// A name or an address.
fn target(value: &Value<'_>, findings: &mut Findings) -> Option<Located<Target>> {
    let target = match value.as_str().map(str::parse::<IpAddr>) {
        Some(Ok(_)) => Target::Address(values::address(value, findings)?),
        _ => Target::Name(NamePattern::Exact(values::name(value, findings)?)),
    };
    Some(Located { value: target, span: value.span().clone() })
}

/// One label of a name.
fn label(value: &Value<'_>, findings: &mut Findings) -> Option<Located<String>> {
    let text = value.string(findings)?;
    match DomainName::parse(&format!("{}.example", text.value)) {
        Ok(name) if !text.value.contains('.') => {
            name.labels().next().map(|label| Located { value: label.to_owned(), span: text.span })
        }
        _ => {
            let remedy = "write the first label of the name only, such as \"contoso\"";
            findings.error(&text.span, format!("`{}` is no single label of a name", text.value), remedy);
            None
        }
    }
}
