//! Reads `[[group.allow]]` and `[[group.inbound]]`.

use super::{
    document::Fields,
    findings::{Findings, Located},
    group::{InboundRule, Need, Origin, Rule, Target},
    values,
};

/// Reads one `[[group.allow]]`; it stands where its target stands.
pub(super) fn allow(mut fields: Fields<'_>, findings: &mut Findings) -> Option<Located<Rule>> {
    let line = findings.line(fields.span());
    let is_about_a_name = fields.get("host").is_some();
    let target = target(&mut fields, findings);
    let services = fields.require("ports", findings).map(|value| values::services(&value, findings));
    let allow_private = fields.take("allow_private").and_then(|value| value.boolean(findings)).unwrap_or(false);
    let any_type = fields.take("any_type");
    if let (Some(value), false) = (&any_type, is_about_a_name) {
        findings.error(value.span(), "`any_type` is about names", "remove it, or name a `host`");
    }
    let any_type = any_type.and_then(|value| value.boolean(findings)).unwrap_or(false);
    let purpose = comment(&mut fields, findings);
    fields.finish(findings);
    let services = services.filter(|services| !services.is_empty())?;
    let origin = Origin::File { path: findings.source().path().to_owned(), line };
    let Located { value: target, span } = target?;
    let rule = Rule { target, services, origin, purpose, allow_private, any_type, need: Need::Required };
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
        cidr.and_then(|value| values::prefix(&value, findings)).map(Target::Cidr),
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

/// Reads one `[[group.inbound]]`.
pub(super) fn inbound(mut fields: Fields<'_>, findings: &mut Findings) -> Option<InboundRule> {
    let line = findings.line(fields.span());
    let from = fields.require("from", findings).and_then(|value| values::prefix(&value, findings));
    let services = fields.require("ports", findings).map(|value| values::services(&value, findings));
    let purpose = comment(&mut fields, findings);
    fields.finish(findings);
    let services = services.filter(|services| !services.is_empty())?;
    let origin = Origin::File { path: findings.source().path().to_owned(), line };
    Some(InboundRule { from: from?, services, origin, purpose })
}

fn comment(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<String> {
    fields.take("comment").and_then(|value| value.string(findings)).map(|text| text.value.to_owned())
}
