//! What rules say and a MUD file cannot: each kind of it is one warning, with the rules by name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{About, MOST_INFO, is_local, is_told_apart};
use crate::policy::{Diagnostic, InboundRule, NamePattern, Need, Rule, Severity, Target};

/// Rules that a warning names.
const MOST_NAMED: usize = 12;

/// Something that a rule says, what is said of it, and what to do.
type Unsaid = (fn(&Rule) -> bool, &'static str, &'static str);

const UNSAID: [Unsaid; 6] = [
    (
        |rule| matches!(&rule.target, Target::Name(NamePattern::Below(_))),
        "left out, since MUD has no names below a name",
        "name the names that devices need, each by itself",
    ),
    (
        |rule| rule.allow_private && matches!(rule.target, Target::Name(_)),
        "MUD cannot say `allow_private`, that a name may lead to private addresses",
        "who uses the file has to allow it on the own network",
    ),
    (
        |rule| rule.any_type,
        "MUD cannot say `any_type`, that devices ask for other records than addresses",
        "who uses the file has to allow it on the own network",
    ),
    (|rule| rule.step.is_some(), "MUD has no steps of a boot chain (`step`)", "nothing is denied for it"),
    (
        |rule| rule.need == Need::Optional,
        "MUD cannot say that devices can do without",
        "leave out of the policy what the file should not ask for",
    ),
    (
        |rule| address(&rule.target).is_some_and(is_local),
        "addresses of your network mean others elsewhere",
        "MUD managers should not use such a file unasked (RFC 8520 section 2): name hosts where you can",
    ),
];

/// What a file of these rules leaves unsaid.
pub(super) fn warnings(rules: &[Rule], inbound: &[InboundRule], about: &About) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    for (says, what, remedy) in UNSAID {
        let named: BTreeSet<String> =
            rules.iter().filter(|rule| says(rule)).map(|rule| rule.target.to_string()).collect();
        warnings.extend(warning(what, &named, remedy));
    }
    let is_unsaid = |rule: &&InboundRule| rule.services.iter().any(|service| !is_told_apart(*service));
    let named = inbound.iter().filter(is_unsaid).map(|rule| rule.from.to_string()).collect();
    let what = "`udp/*` of inbound rules is left out, since MUD tells it from replies by the port alone";
    warnings.extend(warning(what, &named, "name the ports at which devices serve"));
    let length = about.system_info.chars().count();
    if length > MOST_INFO {
        let what = format!("the description has {length} characters");
        let remedy = format!("use at most {MOST_INFO} (RFC 8520 section 3.7)");
        warnings.push(told(what, &remedy));
    }
    warnings
}

/// An address of the target.
fn address(target: &Target) -> Option<IpAddr> {
    match target {
        Target::Name(_) => None,
        Target::Address(address) => Some(*address),
        Target::Cidr(net) => (net.prefix_len() > 0).then(|| net.network()),
    }
}

fn warning(what: &str, named: &BTreeSet<String>, remedy: &str) -> Option<Diagnostic> {
    let mut names: Vec<&str> = named.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = format!("and {} more", named.len().saturating_sub(MOST_NAMED));
    if named.len() > MOST_NAMED {
        names.push(&more);
    }
    (!named.is_empty()).then(|| told(format!("{what}: {}", names.join(", ")), remedy))
}

fn told(message: String, remedy: &str) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, message, remedy: Some(remedy.to_owned()), place: None, related: None }
}
