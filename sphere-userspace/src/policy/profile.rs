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
    ops::Range,
    path::Path,
    rc::Rc,
    sync::Arc,
};

use ipnet::Ipv4Net;

use super::{
    date::Date,
    file::Files,
    findings::{Findings, Located},
    group::{Need, Origin, Rule, Target},
    name::{DomainName, NamePattern},
    profile_choice::Chosen,
    profile_file, profile_source,
    service::Service,
    step::Step,
    values,
};

/// Where profiles are found: the shipped ones by name, others by path beside the policy.
pub(super) struct Library<'a> {
    /// Directory that relative paths start from, and the files; `None` where none may be read.
    files: Option<(&'a Path, &'a Files<'a>)>,
    /// Today, to tell profiles past their date; `None` when it does not matter.
    today: Option<Date>,
    /// What was read, by the name in the policy; `None` for what is wrong, and was reported.
    read: BTreeMap<String, Option<Rc<Profile>>>,
}

/// A profile.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) valid_until: Date,
    pub(super) reserved: BTreeSet<Ipv4Net>,
    pub(super) options: BTreeMap<String, Kind>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// An option, by what may be chosen.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// One of a few words; some of them may be valid for a shorter time than the profile.
    Choice {
        words: Vec<String>,
        default: String,
        valid_until: BTreeMap<String, Date>,
    },
    Switch {
        default: bool,
    },
    Servers {
        default: bool,
        services: BTreeSet<Service>,
        most: usize,
    },
    List,
    Proxy,
}

/// One thing that devices reach, and on what that depends.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) services: BTreeSet<Service>,
    pub(super) purpose: String,
    pub(super) need: Need,
    pub(super) step: Option<Step>,
    pub(super) when: Option<String>,
    pub(super) each: Option<String>,
    pub(super) choices: Option<BTreeSet<String>>,
    pub(super) direct: bool,
    pub(super) row: usize,
}

impl<'a> Library<'a> {
    /// Nothing read yet.
    pub(super) const fn new(files: Option<(&'a Path, &'a Files<'a>)>, today: Option<Date>) -> Self {
        Self { files, today, read: BTreeMap::new() }
    }

    /// Directory that relative paths start from, and the files; [`None`] where none may be read.
    pub(super) const fn files(&self) -> Option<(&'a Path, &'a Files<'a>)> {
        self.files
    }

    /// The profile of this name or path. What is wrong with it is reported once, however often it is named.
    pub(super) fn find(&mut self, name: &Located<&str>, findings: &mut Findings) -> Option<Rc<Profile>> {
        let profile = match self.read.get(name.value) {
            Some(profile) => profile.clone()?,
            None => {
                let source = profile_source::find(self.files, name, findings)?;
                let mut own = Findings::new(Arc::clone(&source));
                let profile = profile_file::read(&source, &mut own).filter(|_| !own.has_errors()).map(Rc::new);
                findings.extend(own.into_diagnostics());
                self.read.insert(name.value.to_owned(), profile.clone());
                profile?
            }
        };
        let what = || format!("the profile `{}`", profile.name);
        self.warn_if_past(profile.valid_until, what, (&name.span, findings));
        Some(profile)
    }

    /// Warns of what was chosen and is past its date. Gives back until when all of it is valid.
    pub(super) fn check_dates(&self, profile: &Profile, chosen: &Chosen, findings: &mut Findings) -> Date {
        let mut all_until = profile.valid_until;
        for (option, word) in &chosen.words {
            let Some(Kind::Choice { valid_until, .. }) = profile.options.get(option) else { continue };
            let what = || format!("`{option} = \"{}\"` of the profile `{}`", word.value, profile.name);
            if let Some(date) = valid_until.get(&word.value) {
                self.warn_if_past(*date, what, (&word.span, findings));
                all_until = all_until.min(*date);
            }
        }
        all_until
    }

    fn warn_if_past(&self, date: Date, what: impl FnOnce() -> String, (at, findings): (&Range<usize>, &mut Findings)) {
        if self.today.is_some_and(|today| today > date) {
            let message = format!("{} was valid until {date}", what());
            findings.warn(at, message, "look for a newer one: endpoints may have changed");
        }
    }
}

/// The rules of a profile with the options that the policy chose, each with its place in the policy: where an option
/// names a server or a label, else `at`, where the profile is named.
pub(super) fn expand(
    profile: &Profile,
    chosen: &Chosen,
    (at, findings): (&Range<usize>, &mut Findings),
) -> Vec<Located<Rule>> {
    let mut rules = Vec::new();
    if let Some((target, service)) = &chosen.proxy {
        let purpose = "proxy for all device traffic".to_owned();
        let services = BTreeSet::from([*service]);
        let row = Row { profile, services: &services, purpose: &purpose, need: Need::Required, step: None, number: 0 };
        rules.push(row.own_server(target));
    }
    let mut replaced = BTreeSet::new();
    for endpoint in profile.endpoints.iter().filter(|endpoint| endpoint.applies(chosen)) {
        let Endpoint { services, purpose, need, step, row, .. } = endpoint;
        let mut row = Row { profile, services, purpose, need: *need, step: *step, number: *row };
        let servers = endpoint.when.as_ref().and_then(|option| Some((option, chosen.servers.get(option)?)));
        if let Some((option, servers)) = servers {
            // The servers take the place of all endpoints of the option, once.
            if replaced.insert(option)
                && let Some(Kind::Servers { services, .. }) = profile.options.get(option)
            {
                row.services = services;
                rules.extend(servers.iter().map(|target| row.own_server(target)));
            }
            continue;
        }
        rules.extend(endpoint.names(chosen, (at, findings)).into_iter().map(|name| row.name(name)));
    }
    rules
}

/// What the rules of one row of a profile have in common.
struct Row<'a> {
    profile: &'a Profile,
    services: &'a BTreeSet<Service>,
    purpose: &'a str,
    need: Need,
    step: Option<Step>,
    number: usize,
}

impl Row<'_> {
    fn rule(&self, target: Target) -> Rule {
        Rule {
            target,
            services: self.services.clone(),
            origin: Origin::Profile { profile: self.profile.name.clone(), row: self.number },
            purpose: Some(self.purpose.to_owned()),
            allow_private: false,
            any_type: false,
            need: self.need,
            step: self.step,
        }
    }

    /// A rule about a name of the profile.
    fn name(&self, name: Located<DomainName>) -> Located<Rule> {
        Located { value: self.rule(Target::Name(NamePattern::Exact(name.value))), span: name.span }
    }

    /// A rule about a server that the operator names himself: it may well be on a private address.
    fn own_server(&self, target: &Located<Target>) -> Located<Rule> {
        Located { value: Rule { allow_private: true, ..self.rule(target.value.clone()) }, span: target.span.clone() }
    }
}

impl Endpoint {
    fn applies(&self, chosen: &Chosen) -> bool {
        let chosen_word = |words: &BTreeSet<String>| chosen.words.values().any(|word| words.contains(&word.value));
        let on = |option: &String| chosen.switches.get(option).copied().unwrap_or(true);
        (chosen.proxy.is_none() || self.direct)
            && self.choices.as_ref().is_none_or(chosen_word)
            && self.when.as_ref().is_none_or(on)
    }

    /// The names of the endpoint: one, or one for each entry of its list.
    fn names(&self, chosen: &Chosen, (at, findings): (&Range<usize>, &mut Findings)) -> Vec<Located<DomainName>> {
        let texts = match &self.each {
            None => vec![Located { value: self.host.clone(), span: at.clone() }],
            Some(option) => {
                let entries = chosen.lists.get(option).map(Vec::as_slice).unwrap_or_default().iter();
                entries.map(|entry| entry.map_ref(|entry| self.host.replace("{}", entry))).collect()
            }
        };
        texts.into_iter().filter_map(|text| values::fitting_name(&text, findings)).collect()
    }
}
