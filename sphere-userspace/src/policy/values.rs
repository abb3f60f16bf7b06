//! Values that several tables share: prefixes, names, services, servers.

use std::{collections::BTreeSet, net::IpAddr, ops::Range};

use ipnet::IpNet;

use super::{
    document::{Fields, Value},
    findings::{Findings, Located},
    group::Server,
    name::{DomainName, NameError, NamePattern},
    service::{Service, ServiceError},
    step::Step,
    wrap::is_plain,
};
use crate::resolve::Special;

/// Longest name that the kernel's table of names holds.
const MAX_NAME_BYTES: usize = sphere_common::name::MAX_NAME_BYTES;

/// A text that is shown in tables and records: one line, as it stands.
pub(super) fn line<'a>(value: &Value<'a>, findings: &mut Findings) -> Option<Located<&'a str>> {
    let text = value.string(findings)?;
    if let Some(character) = text.value.chars().find(|character| !is_plain(*character)) {
        let message = format!("the text holds the character {}", character.escape_unicode());
        findings.error(&text.span, message, "write one line, without control characters");
        return None;
    }
    Some(text)
}

/// A prefix without host bits.
pub(super) fn prefix(value: &Value<'_>, findings: &mut Findings) -> Option<IpNet> {
    let text = value.string(findings)?;
    if text.value.contains('%') {
        let remedy = "leave the zone out: the interface of a group is named in `interfaces`";
        findings.error(&text.span, format!("`{}` has a zone", text.value), remedy);
        return None;
    }
    match text.value.parse::<IpNet>() {
        Ok(net) if has_leading_zeros(text.value) => {
            let message =
                format!("`{}` has a number with leading zeros, which some programs read as octal", text.value);
            findings.error(&text.span, message, format!("write \"{net}\", if that is meant"));
            None
        }
        Ok(net) if net.trunc() == net => Some(net),
        Ok(net) => {
            let remedy = format!("write \"{}\", or the prefix length that you mean", net.trunc());
            findings.error(&text.span, format!("`{net}` has bits set behind its prefix length"), remedy);
            None
        }
        Err(_) => {
            let remedy = "write a prefix, such as \"10.20.0.0/24\" or \"fd00:20::/64\"";
            findings.error(&text.span, format!("`{}` is no prefix", text.value), remedy);
            None
        }
    }
}

/// Whether a prefix is written otherwise than the standard library reads numbers: `010.0.0.0/8`, `10.0.0.0/08`.
fn has_leading_zeros(prefix: &str) -> bool {
    let (address, length) = prefix.split_once('/').unwrap_or((prefix, "0"));
    address.parse::<IpAddr>().is_err() || (length.len() > 1 && length.starts_with('0'))
}

/// The address of a host that can be reached through a gateway.
pub(crate) fn address(value: &Value<'_>, findings: &mut Findings) -> Option<IpAddr> {
    let text = value.string(findings)?;
    let Ok(address) = text.value.parse::<IpAddr>() else {
        let remedy = "write an IPv4 or IPv6 address; names go into `host`, prefixes into `cidr`";
        findings.error(&text.span, format!("`{}` is no address", text.value), remedy);
        return None;
    };
    let Some(special) = Special::of(address).filter(|special| !special.is_reachable()) else { return Some(address) };
    let remedy = match (special, address) {
        (Special::Mapped, IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => format!("write \"{v4}\""),
            None => "name the address of one host".to_owned(),
        },
        (Special::Loopback, _) => "devices reach only themselves there: name an address on the network".to_owned(),
        _ => "name the address of one host".to_owned(),
    };
    findings.error(&text.span, format!("`{address}` is no address of a host: it is {special}"), remedy);
    None
}

/// A prefix in which there are hosts that can be reached through a gateway.
pub(crate) fn hosts(value: &Value<'_>, findings: &mut Findings) -> Option<IpNet> {
    let net = prefix(value, findings)?;
    if let Some(special) = unreachable(net) {
        let message = format!("no host has an address in `{net}`: it is {special}");
        findings.error(value.span(), message, "name the prefix of hosts");
        return None;
    }
    Some(net)
}

/// Why no host can have an address in the prefix; `None` when one can.
pub(crate) fn unreachable(net: IpNet) -> Option<Special> {
    let [first, last] = [net.network(), net.broadcast()].map(Special::of);
    first.filter(|special| first == last && !special.is_reachable())
}

/// A name, or `*.` and a name.
pub(super) fn host(value: &Value<'_>, findings: &mut Findings) -> Option<NamePattern> {
    let text = value.string(findings)?;
    let pattern = match NamePattern::parse(text.value) {
        Ok(pattern) => pattern,
        Err(error) => {
            let remedy = match &error {
                NameError::Address(address) if address.parse::<IpAddr>().is_ok() => {
                    format!("write `address = \"{address}\"` instead of `host`")
                }
                NameError::Star => "put the star first, as in \"*.example.com\"".to_owned(),
                _ => "write an absolute DNS name, such as \"api.example.com\"".to_owned(),
            };
            findings.error(&text.span, error.to_string(), remedy);
            return None;
        }
    };
    let (NamePattern::Exact(name) | NamePattern::Below(name)) = &pattern;
    // Below a name, the shortest name has two bytes more: as many as the star and its dot.
    if !fits(&pattern.to_string(), &text.span, findings) {
        return None;
    }
    if matches!(pattern, NamePattern::Below(_)) && name.labels().count() == 1 {
        let remedy = format!("name the domain that devices need, such as \"*.example.{name}\"");
        findings.error(&text.span, format!("`{pattern}` is too wide: anyone can have a name there"), remedy);
        return None;
    }
    if matches!(pattern, NamePattern::Below(_)) && is_like_a_registry(name) {
        let message = format!("`{name}` looks like the domain of a registry: `{pattern}` is then everybody's names");
        findings.warn(&text.span, message, format!("name the domain that devices need, such as \"*.example.{name}\""));
    }
    if name.labels().next_back() == Some("local") {
        let remedy = "remove it, or name the service's address";
        findings.warn(&text.span, "names under `local` are found by multicast DNS, which no router forwards", remedy);
    }
    Some(pattern)
}

/// Whether names are registered below the name, as below `co.uk` or `com.au`: a short label below a country. The list of
/// such names changes every week, so this only tells what is worth a look.
pub(crate) fn is_like_a_registry(name: &DomainName) -> bool {
    let labels: Vec<&str> = name.labels().collect();
    matches!(labels.as_slice(), [second, country] if second.len() <= 3 && country.len() == 2)
}

/// Whether the kernel's table of names holds the name; reported if not.
fn fits(name: &str, at: &Range<usize>, findings: &mut Findings) -> bool {
    let fits = name.len() <= MAX_NAME_BYTES;
    if !fits {
        let message = format!("the name is longer than {MAX_NAME_BYTES} bytes");
        findings.error(at, message, "the kernel's table of names cannot hold it: use a shorter alias");
    }
    fits
}

/// A name that was put together: it may have become too long.
pub(super) fn fitting_name(text: &Located<String>, findings: &mut Findings) -> Option<Located<DomainName>> {
    if !fits(&text.value, &text.span, findings) {
        return None;
    }
    match DomainName::parse(&text.value) {
        Ok(value) => Some(Located { value, span: text.span.clone() }),
        Err(error) => {
            findings.error(&text.span, error.to_string(), "write another label");
            None
        }
    }
}

/// One name.
pub(crate) fn name(value: &Value<'_>, findings: &mut Findings) -> Option<DomainName> {
    match host(value, findings)? {
        NamePattern::Exact(name) => Some(name),
        pattern @ NamePattern::Below(_) => {
            let remedy = "name the one server";
            findings.error(value.span(), format!("`{pattern}` stands for many names"), remedy);
            None
        }
    }
}

/// `step`: to which step of the boot chain something belongs.
pub(super) fn step(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Step> {
    let words = Step::OF_ENDPOINTS.map(|step| (step.word(), step));
    fields.take("step").and_then(|value| value.one_of(&words, findings))
}

/// A list of services, not empty.
pub(super) fn services(value: &Value<'_>, findings: &mut Findings) -> BTreeSet<Service> {
    let Some(list) = value.array("services such as \"tcp/443\"", findings) else {
        return BTreeSet::new();
    };
    if list.is_empty() {
        findings.error(value.span(), "the rule has no ports, so it allows nothing", "name a port, such as \"tcp/443\"");
    }
    list.iter().filter_map(|value| service(value, findings)).collect()
}

fn service(value: &Value<'_>, findings: &mut Findings) -> Option<Service> {
    let text = value.string(findings)?;
    let report = |error: ServiceError| {
        let quoted = format!("`{}`", text.value);
        let message = error.to_string();
        let message = if message.contains(&quoted) { message } else { format!("{quoted}: {message}") };
        findings.error(&text.span, message, error.remedy());
    };
    text.value.parse().map_err(report).ok()
}

/// A list of servers: addresses, or "gateway". `None` when it is no list, or when none of its servers is usable.
pub(super) fn servers(value: &Value<'_>, findings: &mut Findings) -> Option<Vec<Located<Server>>> {
    let list = value.array("addresses or \"gateway\"", findings)?;
    let server = |value: &Value<'_>, findings: &mut Findings| {
        let server = match value.as_str() {
            Some("gateway") => Server::Gateway,
            _ => Server::Address(address(value, findings)?),
        };
        Some(Located { value: server, span: value.span().clone() })
    };
    let servers: Vec<_> = list.iter().filter_map(|value| server(value, findings)).collect();
    (servers.len() == list.len() || !servers.is_empty()).then_some(servers)
}
