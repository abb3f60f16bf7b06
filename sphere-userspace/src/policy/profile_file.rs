//! Reads a profile file: what it declares, and whether that holds together.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{
    diagnostic::Source,
    document::Fields,
    findings::Findings,
    group::Need,
    name::DomainName,
    profile::{Endpoint, Kind, Profile},
    values,
};

/// Reads a profile file.
pub(super) fn read(source: &Source, findings: &mut Findings) -> Option<Profile> {
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
    Some(Profile { name: name?, version: version?, valid_until: valid_until?, reserved, options, endpoints })
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
