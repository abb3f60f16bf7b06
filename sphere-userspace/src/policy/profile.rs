//! Profiles: endpoint tables as data, with the options that they declare.
//!
//! A profile says which names a kind of device needs, at which ports and why, and which of that depends on options.
//! Nothing here knows a product: what `azure-sphere` means is in its file. An option is one of
//!
//! - `choice`: one of a few words; endpoints may be for some of them only (`editions`),
//! - `switch`: endpoints with `when = "OPTION"` are there when it is on,
//! - `servers`: as a switch, or a list of servers that take the place of those endpoints,
//! - `list`: an endpoint with `each = "OPTION"` is there once for each entry, put in the place of `{}`,
//! - `proxy`: a host and a port; then devices reach that alone, and endpoints with `direct = true`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net};

use super::{
    date::Date,
    diagnostic::Source,
    document::{Fields, Value},
    findings::{Findings, Located},
    group::{Need, Origin, Rule, Target},
    name::{DomainName, NamePattern},
    service::Service,
    values,
};

/// Profiles that ship with the daemon: name and text.
const SHIPPED: &[(&str, &str)] =
    &[("azure-sphere", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles/azure-sphere.toml")))];

/// Where profiles are found: the shipped ones by name, others by path beside the policy.
pub(super) struct Library<'a> {
    /// Directory that relative paths start from; `None` where no files may be read.
    pub(super) directory: Option<&'a Path>,
    /// Today, to tell profiles past their date; `None` when it does not matter.
    pub(super) today: Option<Date>,
}

/// A profile.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) reserved: BTreeSet<Ipv4Net>,
    options: BTreeMap<String, Kind>,
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug)]
enum Kind {
    Choice { words: Vec<String>, default: String },
    Switch { default: bool },
    Servers { default: bool, services: BTreeSet<Service>, most: usize },
    List,
    Proxy,
}

#[derive(Clone, Debug)]
struct Endpoint {
    host: String,
    services: BTreeSet<Service>,
    purpose: String,
    need: Need,
    when: Option<String>,
    each: Option<String>,
    choices: Option<BTreeSet<String>>,
    direct: bool,
    row: usize,
}

impl Library<'_> {
    /// The profile of this name or path. What is wrong with it is reported.
    pub(super) fn find(&self, name: &Located<&str>, findings: &mut Findings) -> Option<Profile> {
        let source = match SHIPPED.iter().find(|(shipped, _)| *shipped == name.value) {
            Some((shipped, text)) => Source::new(format!("profile {shipped}"), *text),
            None => self.read(name, findings)?,
        };
        let mut own = Findings::new(Arc::clone(&source));
        let profile = parse(&source, &mut own);
        let broken = own.has_errors();
        findings.extend(own.into_diagnostics());
        if broken {
            return None;
        }
        let (profile, valid_until) = profile?;
        if self.today.is_some_and(|today| today > valid_until) {
            let message = format!("the profile `{}` was valid until {valid_until}", profile.name);
            findings.warn(&name.span, message, "look for a newer one: endpoints may have changed");
        }
        Some(profile)
    }

    fn read(&self, name: &Located<&str>, findings: &mut Findings) -> Option<Arc<Source>> {
        let known: Vec<&str> = SHIPPED.iter().map(|(shipped, _)| *shipped).collect();
        let is_path = name.value.contains(['/', '.']);
        let (Some(directory), true) = (self.directory, is_path) else {
            let remedy = format!("use one of: {}; or the path of a profile file", known.join(", "));
            findings.error(&name.span, format!("unknown profile `{}`", name.value), remedy);
            return None;
        };
        let path = directory.join(name.value);
        match fs::read_to_string(&path) {
            Ok(text) => Some(Source::new(path.display().to_string(), text)),
            Err(error) => {
                let message = format!("cannot read the profile {}: {error}", path.display());
                findings.error(&name.span, message, "correct the path; it is relative to the policy file");
                None
            }
        }
    }
}

/// Reads a profile file: the profile, and the day until which it is valid.
fn parse(source: &Source, findings: &mut Findings) -> Option<(Profile, Date)> {
    let table = findings.parse(source.text());
    let mut fields = Fields::new(&table.value, table.span.clone(), "a profile");
    let mut text = |key, findings: &mut Findings| {
        fields.require(key, findings).and_then(|value| value.string(findings)).map(|text| text.value.to_owned())
    };
    let name = text("profile", findings);
    let version = text("version", findings);
    for key in ["source", "description"] {
        text(key, findings);
    }
    fields.require("checked", findings).and_then(|value| value.date(findings));
    let valid_until = fields.require("valid_until", findings).and_then(|value| value.date(findings));
    let reserved = fields.take("reserved").and_then(|value| value.array("prefixes", findings)).unwrap_or_default();
    let reserved = reserved.iter().filter_map(|value| match values::prefix(value, findings)? {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => value.wrong_type("an IPv4 prefix", findings),
    });
    let reserved = reserved.collect();
    let mut options = BTreeMap::new();
    if let Some(value) = fields.take("option")
        && let Some(mut table) = value.table("the options", findings)
    {
        for key in table.rest() {
            let fields = table.take(key.value).and_then(|value| value.table("an option", findings));
            if let Some(kind) = fields.and_then(|fields| option(fields, findings)) {
                options.insert(key.value.to_owned(), kind);
            }
        }
    }
    let tables = fields.require("endpoint", findings).map(|value| value.tables("an endpoint", findings));
    let numbered = tables.unwrap_or_default().into_iter().enumerate();
    let endpoints = numbered.filter_map(|(index, fields)| endpoint(fields, findings, (index + 1, &options))).collect();
    fields.finish(findings);
    Some((Profile { name: name?, version: version?, reserved, options, endpoints }, valid_until?))
}

fn option(mut fields: Fields<'_>, findings: &mut Findings) -> Option<Kind> {
    let kinds = [("choice", 0), ("switch", 1), ("servers", 2), ("list", 3), ("proxy", 4)];
    let kind = fields.require("kind", findings)?.one_of(&kinds, findings)?;
    fields.require("about", findings).and_then(|value| value.string(findings));
    let switch = |fields: &mut Fields<'_>, findings: &mut Findings| {
        fields.require("default", findings).and_then(|value| value.boolean(findings))
    };
    let kind = match kind {
        0 => {
            let words = fields.require("choices", findings)?.array("words", findings)?;
            let words: Vec<String> =
                words.iter().filter_map(|word| word.string(findings)).map(|word| word.value.to_owned()).collect();
            let default = fields.require("default", findings)?.string(findings)?.value.to_owned();
            Kind::Choice { words, default }
        }
        1 => Kind::Switch { default: switch(&mut fields, findings)? },
        2 => {
            let services = values::services(&fields.require("ports", findings)?, findings);
            let most = fields.require("most", findings)?.integer(1..=16, findings)? as usize;
            Kind::Servers { default: switch(&mut fields, findings)?, services, most }
        }
        3 => Kind::List,
        _ => Kind::Proxy,
    };
    fields.finish(findings);
    Some(kind)
}

fn endpoint(
    mut fields: Fields<'_>,
    findings: &mut Findings,
    (row, options): (usize, &BTreeMap<String, Kind>),
) -> Option<Endpoint> {
    let host = fields.require("host", findings).and_then(|value| value.string(findings));
    let services = fields.require("ports", findings).map(|value| values::services(&value, findings));
    let purpose = fields.require("purpose", findings).and_then(|value| value.string(findings));
    let needs = [Need::Required, Need::Optional].map(|need| (need.word(), need));
    let need = fields.require("need", findings).and_then(|value| value.one_of(&needs, findings));
    let mut declared = |key, findings: &mut Findings| {
        let text = fields.take(key)?.string(findings)?;
        if !options.contains_key(text.value) {
            findings.error(&text.span, format!("the profile has no option `{}`", text.value), "declare it");
        }
        Some(text.value.to_owned())
    };
    let when = declared("when", findings);
    let each = declared("each", findings);
    let choices = fields
        .take("editions")
        .and_then(|value| value.array("words", findings))
        .map(|words| words.iter().filter_map(|word| word.string(findings)).map(|word| word.value.to_owned()).collect());
    let direct = fields.take("direct").and_then(|value| value.boolean(findings)).unwrap_or(false);
    fields.finish(findings);
    let host = host?;
    if each.is_none() && DomainName::parse(host.value).is_err() {
        findings.error(&host.span, format!("`{}` is no name", host.value), "write an absolute DNS name");
    }
    Some(Endpoint {
        host: host.value.to_owned(),
        services: services?,
        purpose: purpose?.value.to_owned(),
        need: need?,
        when,
        each,
        choices,
        direct,
        row,
    })
}

/// What the policy chose of one profile.
#[derive(Default)]
struct Chosen {
    words: BTreeMap<String, String>,
    switches: BTreeMap<String, bool>,
    servers: BTreeMap<String, Vec<Target>>,
    lists: BTreeMap<String, Vec<String>>,
    proxy: Option<(Target, Service)>,
}

/// The rules of a profile with the options that the policy chose.
pub(super) fn expand(profile: &Profile, options: Option<Fields<'_>>, findings: &mut Findings) -> Vec<Rule> {
    let chosen = choose(profile, options, findings);
    let origin = |row| Origin::Profile { profile: profile.name.clone(), row };
    let mut rules = Vec::new();
    if let Some((target, service)) = &chosen.proxy {
        rules.push(Rule {
            target: target.clone(),
            services: BTreeSet::from([*service]),
            origin: origin(0),
            purpose: Some("proxy for all device traffic".to_owned()),
            allow_private: true,
            any_type: false,
            need: Need::Required,
        });
    }
    let mut replaced = BTreeSet::new();
    for endpoint in profile.endpoints.iter().filter(|endpoint| endpoint.applies(&chosen)) {
        let rule = |target, services: &BTreeSet<Service>, allow_private| Rule {
            target,
            services: services.clone(),
            origin: origin(endpoint.row),
            purpose: Some(endpoint.purpose.clone()),
            allow_private,
            any_type: false,
            need: endpoint.need,
        };
        let servers = endpoint.when.as_ref().and_then(|option| Some((option, chosen.servers.get(option)?)));
        if let Some((option, servers)) = servers {
            // The servers take the place of all endpoints of the option, once.
            if replaced.insert(option.clone())
                && let Some(Kind::Servers { services, .. }) = profile.options.get(option)
            {
                rules.extend(servers.iter().map(|target| rule(target.clone(), services, true)));
            }
            continue;
        }
        rules.extend(
            endpoint
                .names(&chosen)
                .into_iter()
                .map(|name| rule(Target::Name(NamePattern::Exact(name)), &endpoint.services, false)),
        );
    }
    rules
}

impl Endpoint {
    fn applies(&self, chosen: &Chosen) -> bool {
        let chosen_word = |words: &BTreeSet<String>| chosen.words.values().any(|word| words.contains(word));
        let on = |option: &String| chosen.switches.get(option).copied().unwrap_or(true);
        (chosen.proxy.is_none() || self.direct)
            && self.choices.as_ref().is_none_or(chosen_word)
            && self.when.as_ref().is_none_or(on)
    }

    /// The names of the endpoint: one, or one for each entry of its list.
    fn names(&self, chosen: &Chosen) -> Vec<DomainName> {
        let names = match &self.each {
            None => vec![self.host.clone()],
            Some(option) => {
                let entries = chosen.lists.get(option).map(Vec::as_slice).unwrap_or_default();
                entries.iter().map(|entry| self.host.replace("{}", entry)).collect()
            }
        };
        names.iter().filter_map(|name| DomainName::parse(name).ok()).collect()
    }
}

fn choose(profile: &Profile, options: Option<Fields<'_>>, findings: &mut Findings) -> Chosen {
    let mut chosen = Chosen::default();
    for (name, kind) in &profile.options {
        match kind {
            Kind::Choice { default, .. } => {
                chosen.words.insert(name.clone(), default.clone());
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
                findings.error(&key.span, message, super::suggest::suggestion(key.value, &known));
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
                chosen.words.insert(name.to_owned(), word.to_owned());
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
            } else if let Some(list) = value.array("server names or addresses, or true or false", findings) {
                if list.is_empty() || list.len() > *most {
                    let remedy = format!("name 1 to {most} servers, or write true or false");
                    findings.error(value.span(), format!("{} servers for `{name}`", list.len()), remedy);
                }
                let targets = list.iter().filter_map(|server| target(server, findings)).collect();
                chosen.switches.insert(name.to_owned(), true);
                chosen.servers.insert(name.to_owned(), targets);
            }
        }
        Kind::List => {
            let list = value.array("labels", findings).unwrap_or_default();
            let entries = list.iter().filter_map(|entry| label(entry, findings)).collect();
            chosen.lists.insert(name.to_owned(), entries);
        }
        Kind::Proxy => {
            if let Some(mut fields) = value.table("a proxy", findings) {
                let host = fields.require("host", findings).and_then(|host| target(&host, findings));
                let port = fields.require("port", findings).and_then(|port| port.integer(1..=65_535, findings));
                fields.finish(findings);
                let port = port.and_then(|port| u16::try_from(port).ok()).and_then(std::num::NonZeroU16::new);
                chosen.proxy = host.zip(port.map(Service::tcp));
            }
        }
    }
}

/// A name or an address.
fn target(value: &Value<'_>, findings: &mut Findings) -> Option<Target> {
    match value.as_str().map(str::parse) {
        Some(Ok(address)) => Some(Target::Address(address)),
        _ => values::name(value, findings).map(|name| Target::Name(NamePattern::Exact(name))),
    }
}

/// One label of a name.
fn label(value: &Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = value.string(findings)?;
    match DomainName::parse(&format!("{}.example", text.value)) {
        Ok(name) if !text.value.contains('.') => name.labels().next().map(str::to_owned),
        _ => {
            let remedy = "write the first label of the name only, such as \"contoso\"";
            findings.error(&text.span, format!("`{}` is no single label of a name", text.value), remedy);
            None
        }
    }
}
