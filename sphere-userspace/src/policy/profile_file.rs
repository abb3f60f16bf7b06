//! Reads a profile file: what it declares, and whether that holds together.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};

use super::{
    diagnostic::Source,
    document::{Fields, Value},
    findings::{Findings, Located},
    group::{GroupName, Need},
    name::DomainName,
    profile::{Endpoint, Kind, Profile},
    profile_option::{self, Declared},
    suggest::suggestion,
    values,
};

/// Reads a profile file.
pub(super) fn read(source: &Source, findings: &mut Findings) -> Option<Profile> {
    let table = findings.parse(source.text());
    let mut fields = Fields::new(&table.value, table.span.clone(), "a profile");
    let name = fields.require("profile", findings).and_then(|value| profile_name(&value, findings));
    let mut text = |key, findings: &mut Findings| {
        fields.require(key, findings).and_then(|value| values::line(&value, findings)).map(|text| text.value.to_owned())
    };
    let version = text("version", findings);
    for key in ["source", "description"] {
        text(key, findings);
    }
    fields.require("checked", findings).and_then(|value| value.date(findings));
    let valid_until = fields.require("valid_until", findings).and_then(|value| value.date(findings));
    let reserved = fields.take("reserved").and_then(|value| value.array("prefixes", findings)).unwrap_or_default();
    let reserved = reserved.iter().filter_map(|value| reserved_prefix(value, findings)).collect();
    let options = fields.take("option").and_then(|value| value.table("the options", findings));
    let declared = options.map(|table| profile_option::read(&table, findings)).unwrap_or_default();
    let tables = fields.require("endpoint", findings).map(|value| value.tables("an endpoint", findings));
    let mut uses = Uses::default();
    let numbered = tables.unwrap_or_default().into_iter().enumerate();
    let endpoint = |(index, fields)| endpoint(fields, findings, (index + 1, &declared, &mut uses));
    let endpoints = numbered.filter_map(endpoint).collect();
    fields.finish(findings);
    unused(&declared, &uses, findings);
    let options = declared.into_iter().filter_map(|(name, option)| Some((name, option.kind?))).collect();
    Some(Profile { name: name?, version: version?, valid_until: valid_until?, reserved, options, endpoints })
}

fn profile_name(value: &Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = value.string(findings)?;
    // It is shown where groups are, and is the name of a table in them.
    if GroupName::parse(text.value).is_none() {
        let remedy = format!("use 1 to {} letters, digits, `.`, `_` or `-`", GroupName::MAX_BYTES);
        findings.error(&text.span, format!("`{}` is no profile name", text.value), remedy);
        return None;
    }
    Some(text.value.to_owned())
}

fn reserved_prefix(value: &Value<'_>, findings: &mut Findings) -> Option<Ipv4Net> {
    match values::prefix(value, findings)? {
        IpNet::V4(net) if net.prefix_len() == 0 => {
            findings.error(value.span(), format!("`{net}` is every address"), "name the prefix that is never used");
            None
        }
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => value.wrong_type("an IPv4 prefix", findings),
    }
}

/// Options that endpoints depend on.
#[derive(Default)]
struct Uses {
    names: BTreeSet<String>,
    /// Whether an endpoint names what it cannot depend on.
    refused: bool,
}

/// Options that change nothing, because no endpoint depends on them.
fn unused(declared: &Declared, uses: &Uses, findings: &mut Findings) {
    // What was refused may have been meant for any of them.
    if uses.refused {
        return;
    }
    for (name, option) in declared.iter().filter(|(name, _)| !uses.names.contains(*name)) {
        let key = match option.kind {
            Some(Kind::Switch { .. } | Kind::Servers { .. }) => "when",
            Some(Kind::List) => "each",
            // An edition may differ in nothing but its date, and a proxy concerns all endpoints.
            Some(Kind::Choice { .. } | Kind::Proxy) | None => continue,
        };
        let remedy = format!("write `{key} = \"{name}\"` at the endpoints that it is about, or remove it");
        findings.absent(&option.at, format!("no endpoint depends on the option `{name}`"), remedy);
    }
}

fn endpoint(
    mut fields: Fields<'_>,
    findings: &mut Findings,
    (row, declared, uses): (usize, &Declared, &mut Uses),
) -> Option<Endpoint> {
    let host = fields.require("host", findings);
    let services = fields.require("ports", findings).map(|value| values::services(&value, findings));
    let purpose = fields.require("purpose", findings).and_then(|value| values::line(&value, findings));
    let needs = [Need::Required, Need::Optional].map(|need| (need.word(), need));
    let need = fields.require("need", findings).and_then(|value| value.one_of(&needs, findings));
    let mut option = |key: &str, kinds: &str, fits: fn(&Kind) -> bool, findings: &mut Findings| {
        let name = fields.take(key)?.string(findings)?;
        uses.refused |= !depends(&name, (kinds, fits), declared, findings);
        uses.names.insert(name.value.to_owned());
        Some(name.value.to_owned())
    };
    let is_switch = |kind: &Kind| matches!(kind, Kind::Switch { .. } | Kind::Servers { .. });
    let when = option("when", "`switch` or `servers`", is_switch, findings);
    let each = option("each", "`list`", |kind| matches!(kind, Kind::List), findings);
    let choices = fields.take("editions").and_then(|value| editions(&value, declared, findings));
    let step = values::step(&mut fields, findings);
    let direct = fields.take("direct").and_then(|value| value.boolean(findings)).unwrap_or(false);
    fields.finish(findings);
    let host = host.and_then(|value| if each.is_some() { pattern(&value, findings) } else { name(&value, findings) });
    let (host, purpose) = (host?, purpose?.value.to_owned());
    Some(Endpoint { host, services: services?, purpose, need: need?, step, when, each, choices, direct, row })
}

/// Whether an endpoint may depend on an option of this name; reported if not.
fn depends(
    name: &Located<&str>,
    (kinds, fits): (&str, fn(&Kind) -> bool),
    declared: &Declared,
    findings: &mut Findings,
) -> bool {
    match declared.get(name.value) {
        None => {
            let known: Vec<&String> = declared.keys().collect();
            let message = format!("the profile has no option `{}`", name.value);
            findings.error(&name.span, message, suggestion(name.value, &known));
            false
        }
        Some(option) if option.kind.as_ref().is_some_and(|kind| !fits(kind)) => {
            let message = format!("the option `{}` is of another kind than {kinds}", name.value);
            let remedy = format!("name an option of the kind {kinds}");
            findings.error_beside(&name.span, (message, &remedy), (&option.at, "declared here"));
            false
        }
        Some(_) => true,
    }
}

/// Words of options, each of which must be one that can be chosen.
fn editions(value: &Value<'_>, declared: &Declared, findings: &mut Findings) -> Option<BTreeSet<String>> {
    let list = value.array("words", findings)?;
    if list.is_empty() {
        let remedy = "name an edition, or remove the key: then the endpoint holds for all";
        findings.error(value.span(), "the endpoint holds for no edition", remedy);
    }
    // With a choice that could not be read, its words are unknown.
    let all_known = declared.values().all(|option| option.kind.is_some());
    let choices = declared.values().filter_map(|option| match &option.kind {
        Some(Kind::Choice { words, .. }) => Some(words),
        _ => None,
    });
    let known: Vec<&String> = choices.flatten().collect();
    let mut words = BTreeSet::new();
    for word in list.iter().filter_map(|word| word.string(findings)).collect::<Vec<_>>() {
        if all_known && !known.iter().any(|known| *known == word.value) {
            let message = format!("no option of the profile has the choice `{}`", word.value);
            findings.error(&word.span, message, suggestion(word.value, &known));
        }
        words.insert(word.value.to_owned());
    }
    Some(words)
}

/// The name of an endpoint.
fn name(value: &Value<'_>, findings: &mut Findings) -> Option<String> {
    if value.as_str().is_some_and(|text| text.contains("{}")) {
        let remedy = "add `each = \"OPTION\"` with an option of the kind `list`";
        findings.error(value.span(), "`{}` stands for an entry of a list, and the endpoint names none", remedy);
        return None;
    }
    values::name(value, findings).map(|name| name.to_string())
}

/// The name of an endpoint with a place for entries of a list.
fn pattern(value: &Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = value.string(findings)?;
    let error = match DomainName::parse(&text.value.replace("{}", "a")) {
        Ok(_) if text.value.contains("{}") => return Some(text.value.to_owned()),
        Ok(_) => "the name is the same for every entry of the list".to_owned(),
        Err(error) => error.to_string(),
    };
    findings.error(&text.span, error, "write an absolute DNS name with `{}` in it, such as \"{}.example.com\"");
    None
}
