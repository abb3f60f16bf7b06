//! Reads `[[group.allow]]` and `[[group.inbound]]`.

use std::{collections::BTreeSet, ops::Range};

use ipnet::IpNet;

use super::{
    document::Fields,
    findings::{Findings, Located},
    group::{InboundRule, Need, Origin, Rule, Target},
    service::Service,
    values,
};
use crate::resolve::Special;

/// Reads one `[[group.allow]]`; it stands where its target stands.
pub(super) fn allow(mut fields: Fields<'_>, findings: &mut Findings) -> Option<Located<Rule>> {
    let line = findings.line(fields.span());
    let is_about_a_name = fields.get("host").is_some();
    let target = target(&mut fields, findings);
    let services = fields.require("ports", findings).map(|value| values::services(&value, findings));
    let private = fields.take("allow_private");
    if let (Some(value), false) = (&private, is_about_a_name) {
        let remedy = "remove it: an address or a prefix is allowed as it stands";
        findings.warn(value.span(), "`allow_private` is about the addresses that a `host` leads to", remedy);
    }
    let allow_private = private.and_then(|value| value.boolean(findings)).unwrap_or(false);
    let any_type = fields.take("any_type");
    if let (Some(value), false) = (&any_type, is_about_a_name) {
        findings.error(value.span(), "`any_type` is about names", "remove it, or name a `host`");
    }
    let any_type = any_type.and_then(|value| value.boolean(findings)).unwrap_or(false);
    let purpose = comment(&mut fields, findings);
    let step = values::step(&mut fields, findings);
    fields.finish(findings);
    let services = services.filter(|services| !services.is_empty())?;
    let origin = Origin::File { path: findings.source().path().to_owned(), line };
    let Located { value: target, span } = target?;
    warn_of_wide(&target, &services, (&span, findings));
    let rule = Rule { target, services, origin, purpose, allow_private, any_type, need: Need::Required, step };
    Some(Located { value: rule, span })
}

const REMEDY: &str = "write exactly one of `host`, `address` and `cidr`";

/// Exactly one of `host`, `address` and `cidr`; what is wrong with any of them is reported.
fn target(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Located<Target>> {
    let given = ["host", "address", "cidr"].map(|key| fields.take(key));
    let mut places = given.iter().flatten().map(|value| value.span().clone());
    let (first, second) = (places.next(), places.next());
    let [host, address, cidr] = given;
    let targets = [
        host.and_then(|value| values::host(&value, findings)).map(Target::Name),
        address.and_then(|value| values::address(&value, findings)).map(Target::Address),
        cidr.and_then(|value| values::hosts(&value, findings)).map(Target::Cidr),
    ];
    let Some(first) = first else {
        findings.absent(fields.span(), "the rule says nothing to reach", REMEDY);
        return None;
    };
    if let Some(second) = second {
        let message = "the rule says several things to reach".to_owned();
        findings.error_beside(&second, (message, REMEDY), (&first, "the first one"));
        return None;
    }
    targets.into_iter().flatten().next().map(|value| Located { value, span: first })
}

/// What may well be allowed, and rarely is meant or of use.
fn warn_of_wide(target: &Target, services: &BTreeSet<Service>, (at, findings): (&Range<usize>, &mut Findings)) {
    match target {
        Target::Cidr(net) => warn_of_everything(*net, services, (at, findings)),
        Target::Address(address) if Special::of(*address) == Some(Special::LinkLocal) => {
            let remedy = "name another address of the host, or remove the rule";
            findings.warn(at, format!("`{address}` is link-local: no gateway forwards to it"), remedy);
        }
        Target::Address(_) | Target::Name(_) => {}
    }
}

fn warn_of_everything(net: IpNet, services: &BTreeSet<Service>, (at, findings): (&Range<usize>, &mut Findings)) {
    let Some(service) = services.iter().find(|service| service.is_wildcard()) else { return };
    if net.prefix_len() == 0 {
        let message = format!("`{net}` with `{service}` is every address at every port");
        findings.warn(at, message, "name prefixes, or the ports that are needed");
    }
}

/// Reads one `[[group.inbound]]`; it stands where its prefix stands.
pub(super) fn inbound(mut fields: Fields<'_>, findings: &mut Findings) -> Option<Located<InboundRule>> {
    let line = findings.line(fields.span());
    let from = fields.require("from", findings);
    let span = from.as_ref().map_or_else(|| fields.span().clone(), |value| value.span().clone());
    let from = from.and_then(|value| values::hosts(&value, findings));
    let services = fields.require("ports", findings).map(|value| values::services(&value, findings));
    let purpose = comment(&mut fields, findings);
    fields.finish(findings);
    let services = services.filter(|services| !services.is_empty())?;
    let origin = Origin::File { path: findings.source().path().to_owned(), line };
    let from = from?;
    warn_of_everything(from, &services, (&span, findings));
    Some(Located { value: InboundRule { from, services, origin, purpose }, span })
}

fn comment(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<String> {
    fields.take("comment").and_then(|value| values::line(&value, findings)).map(|text| text.value.to_owned())
}
