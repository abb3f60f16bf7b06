//! Reads `[[group.allow]]` and `[[group.inbound]]`, and what they are made of: hosts, addresses, prefixes, ports.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;

use super::{
    document::{Fields, Value},
    findings::{Findings, Located},
    group::{InboundRule, Need, Origin, Rule, Target},
    name::{DomainName, NameError, NamePattern},
    service::Service,
};
use crate::resolve::Special;

/// Reads one `[[group.allow]]`.
pub(super) fn allow(mut fields: Fields<'_>, findings: &mut Findings) -> Option<Located<Rule>> {
    let target = target(&mut fields, findings);
    let services = services(&mut fields, findings);
    let private = fields.take("allow_private");
    let purpose = comment(&mut fields, findings);
    let allow_private = private.as_ref().and_then(|value| value.boolean(findings)).unwrap_or(false);
    if let (Some(Located { value: Target::Address(_) | Target::Cidr(_), .. }), Some(private)) = (&target, private) {
        let remedy = "remove it: it is about the addresses that a `host` resolves to";
        findings.warn(private.span(), "`allow_private` has no effect here", remedy);
    }
    fields.finish(findings);
    let (target, services) = (target?, services?);
    let origin = origin(&target, findings);
    let Located { value: target, span } = target;
    let rule = Rule { target, services, origin, purpose, allow_private, need: Need::Required };
    Some(Located { value: rule, span })
}

/// Reads one `[[group.inbound]]`.
pub(super) fn inbound(mut fields: Fields<'_>, findings: &mut Findings) -> Option<Located<InboundRule>> {
    let from = fields.require("from", findings).and_then(|value| prefix(&value, findings));
    let services = services(&mut fields, findings);
    let purpose = comment(&mut fields, findings);
    fields.finish(findings);
    let (from, services) = (from?, services?);
    let origin = origin(&from, findings);
    let Located { value: from, span } = from;
    Some(Located { value: InboundRule { from, services, origin, purpose }, span })
}

/// The line of a place as the origin of a rule.
pub(super) fn origin<T>(located: &Located<T>, findings: &Findings) -> Origin {
    Origin::File { path: findings.source().path().to_owned(), line: findings.line(&located.span) }
}

/// Exactly one of `host`, `address` and `cidr`; what is wrong in any of them is reported.
fn target(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Located<Target>> {
    let given = ["host", "address", "cidr"].map(|key| fields.take(key));
    let mut spans = given.iter().flatten().map(|value| value.span().clone());
    let (first, second) = (spans.next(), spans.next());
    let [name, single, cidr] = given;
    let targets = [
        name.and_then(|value| host(&value, findings)).map(|host| host.map(|name| Target::Name(NamePattern::Exact(name)))),
        single.and_then(|value| address(&value, findings)).map(|address| address.map(Target::Address)),
        cidr.and_then(|value| destinations(&value, findings)).map(|prefix| prefix.map(Target::Cidr)),
    ];
    if first.is_none() {
        let message = "an allow rule needs one of `host`, `address` and `cidr`";
        findings.absent(fields.span(), message, "add `host = \"name.example\"` here");
    }
    if let (Some(first), Some(second)) = (first, second) {
        let message = "an allow rule has only one of `host`, `address` and `cidr`".to_owned();
        findings.error_beside(&second, (message, "make a rule of each"), (&first, "the other one"));
        return None;
    }
    targets.into_iter().flatten().next()
}

/// The name of a host.
pub(super) fn host(value: &Value<'_>, findings: &mut Findings) -> Option<Located<DomainName>> {
    let text = value.string(findings)?;
    let (message, remedy) = match NamePattern::parse(text.value) {
        Ok(NamePattern::Exact(name)) => {
            warn_of_odd_names(&name, value, findings);
            return Some(Located { value: name, span: text.span });
        }
        Ok(NamePattern::Below(_)) => {
            let message = format!("`{}`: wildcards need learning from the DNS answers that devices get", text.value);
            (message, "name each host: this version does not learn from the answers of devices")
        }
        Err(error @ NameError::Address(_)) => (error.to_string(), "write `address` instead of `host`"),
        Err(NameError::Character(..)) if text.value.parse::<IpNet>().is_ok() => {
            (format!("`{}` is a prefix, not a name", text.value), "write `cidr` instead of `host`")
        }
        Err(error @ NameError::Character(_, '/' | ':')) => {
            (error.to_string(), "write the name alone: no scheme, no path, and ports in `ports`")
        }
        Err(error) => (error.to_string(), "write an absolute DNS name such as \"api.example.com\""),
    };
    findings.error(&text.span, message, remedy);
    None
}

fn warn_of_odd_names(name: &DomainName, value: &Value<'_>, findings: &mut Findings) {
    let last = name.labels().next_back();
    if name.labels().nth(1).is_none() {
        let remedy = "write the whole name: names are absolute, and no search domain is added";
        findings.warn(value.span(), format!("`{name}` is a single label"), remedy);
    } else if last == Some("local") {
        let remedy = "names below `local` belong to multicast DNS, which no gateway forwards: use `address`";
        findings.warn(value.span(), format!("`{name}` is unlikely to resolve"), remedy);
    }
}

/// The address of a host that can be reached through a gateway.
pub(super) fn address(value: &Value<'_>, findings: &mut Findings) -> Option<Located<IpAddr>> {
    let text = value.string(findings)?;
    let (message, remedy) = match text.value.parse::<IpAddr>() {
        Ok(address) => match Special::of(address).filter(|special| !special.is_reachable()) {
            None => return Some(Located { value: address, span: text.span }),
            Some(special) => {
                let message = format!("`{address}` is {}: no host is reached there", special.word());
                (message, "write the address of a host")
            }
        },
        Err(_) if text.value.parse::<IpNet>().is_ok() => {
            (format!("`{}` is a prefix, not an address", text.value), "write `cidr` instead of `address`")
        }
        Err(_) => (format!("`{}` is no address", text.value), no_address_remedy(text.value)),
    };
    findings.error(&text.span, message, remedy);
    None
}

fn no_address_remedy(text: &str) -> &'static str {
    if NamePattern::parse(text).is_ok() {
        "write `host` for a name"
    } else {
        "write an IPv4 or IPv6 address such as \"192.0.2.1\" or \"2001:db8::1\""
    }
}

/// A prefix without host bits.
pub(super) fn prefix(value: &Value<'_>, findings: &mut Findings) -> Option<Located<IpNet>> {
    let text = value.string(findings)?;
    let (message, remedy) = match (text.value.parse::<IpNet>(), text.value.parse::<IpAddr>()) {
        (Ok(net), _) if net == net.trunc() => return Some(Located { value: net, span: text.span }),
        (Ok(net), _) => (
            format!("`{net}` has bits set behind its prefix"),
            format!("write \"{}\" for the network, or \"{}\" for the one address", net.trunc(), IpNet::from(net.addr())),
        ),
        (Err(_), Ok(address)) => {
            (format!("`{address}` has no prefix length"), format!("write \"{}\"", IpNet::from(address)))
        }
        (Err(_), Err(_)) => (
            format!("`{}` is no prefix", text.value),
            "write a prefix such as \"192.0.2.0/24\" or \"2001:db8::/32\"".to_owned(),
        ),
    };
    findings.error(&text.span, message, remedy);
    None
}

/// A prefix that devices may reach.
fn destinations(value: &Value<'_>, findings: &mut Findings) -> Option<Located<IpNet>> {
    let net = prefix(value, findings)?;
    let is_broad = net.value.prefix_len() < if net.value.addr().is_ipv4() { 8 } else { 16 };
    if is_broad {
        let message = format!("`{}` opens a large part of the internet", net.value);
        findings.warn(&net.span, message, "allow names, or smaller prefixes, where you can");
    }
    Some(net)
}

/// `ports`: at least one.
pub(super) fn services(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<BTreeSet<Service>> {
    let value = fields.require("ports", findings)?;
    let elements = value.array("ports", findings)?;
    if elements.is_empty() {
        findings.error(value.span(), "a rule without ports allows nothing", "list ports such as \"tcp/443\"");
    }
    let services: Vec<Option<Service>> = elements.iter().map(|element| service(element, findings)).collect();
    let services: Option<BTreeSet<Service>> = services.into_iter().collect();
    services.filter(|services| !services.is_empty())
}

fn service(value: &Value<'_>, findings: &mut Findings) -> Option<Service> {
    let text = value.string(findings)?;
    text.value
        .parse::<Service>()
        .map_err(|error| findings.error(&text.span, error.to_string(), error.remedy()))
        .ok()
}

/// `comment`: why a rule is there.
fn comment(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<String> {
    fields.take("comment").and_then(|value| plain(&value, findings))
}

/// A text of one line: it ends up in tables and logs.
pub(super) fn plain(value: &Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = value.string(findings)?;
    if text.value.chars().any(char::is_control) {
        findings.error(&text.span, "the text holds control characters", "write one line of plain text");
        return None;
    }
    Some(text.value.to_owned())
}
