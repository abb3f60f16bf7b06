//! A policy expanded, for people and as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::policy::{
    Diagnostic, DnsPolicy, Group, InboundRule, Interface, Policy, PolicyErrors, Rule, Step, Target, Unlearned,
    UsedProfile, plain, wrap,
};

/// Writes the policy: each group with what its devices may reach, and who may reach them.
///
/// # Errors
///
/// When the output fails.
pub fn write_policy(output: &mut impl Write, policy: &Policy) -> io::Result<()> {
    for group in &policy.groups {
        writeln!(output, "group {} · {}", group.name, group.mode.word())?;
        row(output, "behind", &words(&group.interfaces))?;
        row(output, "subnets", &words(&group.subnets))?;
        row(output, "resolvers", &words(&group.resolvers))?;
        row(output, "DNS", &names_said(group))?;
        row(output, "DHCP", &words(&group.dhcp_servers))?;
        for (name, used) in &group.profiles {
            row(output, "profile", &format!("{name} {}, valid until {}", used.version, used.valid_until))?;
        }
        writeln!(output, "\n  may reach")?;
        for rule in &group.rules {
            let is_name = matches!(rule.target, Target::Name(_));
            let any_type = if rule.any_type { " (any record type)" } else { "" };
            let private = if is_name && rule.allow_private { " (private addresses too)" } else { "" };
            writeln!(output, "    {}{private}{any_type}", rule.target)?;
            let services = words(&rule.services);
            let purpose = rule.purpose.as_deref().unwrap_or_default();
            detail(output, &[&services, rule.need.word(), &plain(&rule.origin.to_string()), purpose])?;
        }
        writeln!(output, "\n  may be reached from")?;
        if group.gateway_access {
            writeln!(output, "    the gateway itself, at every port")?;
        }
        for rule in &group.inbound {
            writeln!(output, "    {}", rule.from)?;
            let services = words(&rule.services);
            let purpose = rule.purpose.as_deref().unwrap_or_default();
            detail(output, &[&services, &plain(&rule.origin.to_string()), purpose])?;
        }
        if !group.gateway_access && group.inbound.is_empty() {
            writeln!(output, "    nobody")?;
        }
        writeln!(output)?;
    }
    ports(output, policy)?;
    let rules: usize = policy.groups.iter().map(|group| group.rules.len()).sum();
    let (groups, names) = (policy.groups.len(), policy.names().len());
    writeln!(output, "valid: {groups} group{}, {rules} rules, {names} names", if groups == 1 { "" } else { "s" })
}

/// What a group says of queries for names, and of what answers open.
fn names_said(group: &Group) -> String {
    let other = match group.dns {
        DnsPolicy::Refuse => "other names are refused",
        DnsPolicy::Drop => "queries for other names are dropped",
        DnsPolicy::Any => "any name may be asked for",
    };
    let hold = group.dns_hold.map_or_else(
        || "answers are never held".to_owned(),
        |hold| {
            let then = match group.dns_unlearned {
                Unlearned::Deliver => "delivered",
                Unlearned::Drop => "dropped",
            };
            format!("answers are held up to {}, and then {then}", humantime::format_duration(hold))
        },
    );
    format!("{other} · {} addresses may be learned · {hold}", group.learn)
}

/// The device ports, and what never appears on them.
fn ports(output: &mut impl Write, policy: &Policy) -> io::Result<()> {
    writeln!(output, "device ports")?;
    for port in &policy.interfaces {
        let (v4, v6) = (port.other_sources_v4.word(), port.other_sources_v6.word());
        let text = format!("mode {} · other sources: IPv4 {v4}, IPv6 {v6}", port.attach.word());
        writeln!(output, "  {}", port.name)?;
        detail(output, &[&text])?;
    }
    if !policy.reserved.is_empty() {
        row(output, "reserved", &words(&policy.reserved))?;
    }
    writeln!(output)
}

/// Columns before what a row says.
const ROW: usize = 13;
/// Columns before what is said below a target.
const DETAIL: usize = 8;

fn words<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    strings(items).join(" ")
}

/// A key and what is said of it.
fn row(output: &mut impl Write, key: &str, text: &str) -> io::Result<()> {
    let mut head = format!("  {key:<9}  ");
    for line in wrap(text, ROW, ROW) {
        writeln!(output, "{}", format!("{head}{line}").trim_end())?;
        head = " ".repeat(ROW);
    }
    Ok(())
}

/// What is said below a target; what is empty is left out.
fn detail(output: &mut impl Write, parts: &[&str]) -> io::Result<()> {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    for line in wrap(&parts.join(" · "), DETAIL, DETAIL) {
        writeln!(output, "{:DETAIL$}{line}", "")?;
    }
    Ok(())
}

/// The policy as one JSON object.
#[must_use]
pub fn policy_json(policy: &Policy) -> Value {
    let mut object = enforced_json(policy);
    object["schema"] = "sphere.check/1".into();
    object["valid"] = true.into();
    object["fingerprint"] = policy_fingerprint(policy).into();
    object["warnings"] = policy.warnings.iter().map(diagnostic).collect();
    object
}

/// Tells one policy from another by what it enforces: sixteen hexadecimal digits. Nothing depends on it being hard to
/// forge (FNV-1a).
#[must_use]
pub fn policy_fingerprint(policy: &Policy) -> String {
    let text = enforced_json(policy).to_string();
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// What a policy says of devices and their ports.
fn enforced_json(policy: &Policy) -> Value {
    json!({
        "interfaces": policy.interfaces.iter().map(interface_json).collect::<Vec<_>>(),
        "reserved": strings(&policy.reserved),
        "groups": policy.groups.iter().map(group_json).collect::<Vec<_>>(),
    })
}

/// The texts of things.
pub(super) fn strings<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

fn interface_json(port: &Interface) -> Value {
    json!({
        "name": port.name.as_str(),
        "mode": port.attach.word(),
        "other_sources": port.other_sources_v4.word(),
        "other_sources_v6": port.other_sources_v6.word(),
    })
}

/// A rule as JSON.
pub(super) fn rule_json(rule: &Rule) -> Value {
    json!({
        "target": rule.target.to_string(),
        "services": strings(&rule.services),
        "origin": rule.origin.to_string(),
        "need": rule.need.word(),
        "step": rule.step.map(Step::word),
        "purpose": rule.purpose,
        "allow_private": rule.allow_private,
        "any_type": rule.any_type,
    })
}

/// An inbound rule as JSON.
pub(super) fn inbound_json(rule: &InboundRule) -> Value {
    json!({
        "from": rule.from.to_string(),
        "services": strings(&rule.services),
        "origin": rule.origin.to_string(),
        "purpose": rule.purpose,
    })
}

fn group_json(group: &Group) -> Value {
    let rules = group.rules.iter().map(rule_json);
    let inbound = group.inbound.iter().map(inbound_json);
    let profiles = |what: fn(&UsedProfile) -> &String| -> BTreeMap<&str, &str> {
        group.profiles.iter().map(|(name, used)| (name.as_str(), what(used).as_str())).collect()
    };
    json!({
        "name": group.name.as_str(),
        "mode": group.mode.word(),
        "interfaces": strings(&group.interfaces),
        "subnets": strings(&group.subnets),
        "resolvers": strings(&group.resolvers),
        "dns": group.dns.word(),
        "dns_hold_ms": group.dns_hold.map(|hold| u64::try_from(hold.as_millis()).unwrap_or(u64::MAX)),
        "dns_unlearned": group.dns_unlearned.word(),
        "learn": group.learn,
        "dhcp_servers": strings(&group.dhcp_servers),
        "gateway_access": group.gateway_access,
        "profiles": profiles(|used| &used.version),
        "profiles_valid_until": profiles(|used| &used.valid_until),
        "rules": rules.collect::<Vec<_>>(),
        "inbound": inbound.collect::<Vec<_>>(),
    })
}

/// What is wrong with a policy as one JSON object.
#[must_use]
pub fn policy_errors_json(errors: &PolicyErrors) -> Value {
    let found: Vec<Value> = errors.diagnostics().iter().map(diagnostic).collect();
    json!({ "schema": "sphere.check/1", "valid": false, "errors": errors.error_count(), "diagnostics": found })
}

/// A finding as JSON.
pub(super) fn diagnostic(found: &Diagnostic) -> Value {
    let position = found.position();
    json!({
        "severity": found.severity.word(),
        "message": found.message,
        "remedy": found.remedy,
        "file": found.place.as_ref().map(|place| place.source.path()),
        "line": position.map(|(line, _)| line),
        "column": position.map(|(_, column)| column),
    })
}
