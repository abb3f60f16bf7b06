//! A policy expanded, for people and as JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::policy::{Diagnostic, Group, Policy, PolicyErrors, Target, wrap};

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
        row(output, "DHCP", &words(&group.dhcp_servers))?;
        for (name, version) in &group.profiles {
            row(output, "profile", &format!("{name} {version}"))?;
        }
        writeln!(output, "\n  may reach")?;
        for rule in &group.rules {
            let is_name = matches!(rule.target, Target::Name(_));
            let private = if is_name && rule.allow_private { " (private addresses too)" } else { "" };
            writeln!(output, "    {}{private}", rule.target)?;
            let services = words(&rule.services);
            let purpose = rule.purpose.as_deref().unwrap_or_default();
            detail(output, &[&services, rule.need.word(), &rule.origin.to_string(), purpose])?;
        }
        writeln!(output, "\n  may be reached from")?;
        if group.gateway_access {
            writeln!(output, "    the gateway itself, at every port")?;
        }
        for rule in &group.inbound {
            writeln!(output, "    {}", rule.from)?;
            let services = words(&rule.services);
            detail(output, &[&services, &rule.origin.to_string(), rule.purpose.as_deref().unwrap_or_default()])?;
        }
        if !group.gateway_access && group.inbound.is_empty() {
            writeln!(output, "    nobody")?;
        }
        writeln!(output)?;
    }
    let rules: usize = policy.groups.iter().map(|group| group.rules.len()).sum();
    let (groups, names) = (policy.groups.len(), policy.names().len());
    writeln!(output, "valid: {groups} group{}, {rules} rules, {names} names", if groups == 1 { "" } else { "s" })
}

/// Columns before what a row says.
const ROW: usize = 13;
/// Columns before what is said below a target.
const DETAIL: usize = 8;

fn words<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
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
    let group = |group: &Group| {
        let strings = |items: Vec<String>| Value::from(items);
        let rules = group.rules.iter().map(|rule| {
            json!({
                "target": rule.target.to_string(),
                "services": rule.services.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "origin": rule.origin.to_string(),
                "need": rule.need.word(),
                "purpose": rule.purpose,
                "allow_private": rule.allow_private,
            })
        });
        let inbound = group.inbound.iter().map(|rule| {
            json!({
                "from": rule.from.to_string(),
                "services": rule.services.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "origin": rule.origin.to_string(),
                "purpose": rule.purpose,
            })
        });
        json!({
            "name": group.name.as_str(),
            "mode": group.mode.word(),
            "interfaces": strings(group.interfaces.iter().map(ToString::to_string).collect()),
            "subnets": strings(group.subnets.iter().map(ToString::to_string).collect()),
            "resolvers": strings(group.resolvers.iter().map(ToString::to_string).collect()),
            "dhcp_servers": strings(group.dhcp_servers.iter().map(ToString::to_string).collect()),
            "gateway_access": group.gateway_access,
            "profiles": group.profiles,
            "rules": rules.collect::<Vec<_>>(),
            "inbound": inbound.collect::<Vec<_>>(),
        })
    };
    json!({
        "schema": "sphere.check/1",
        "valid": true,
        "warnings": policy.warnings.iter().map(diagnostic).collect::<Vec<_>>(),
        "groups": policy.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

/// What is wrong with a policy as one JSON object.
#[must_use]
pub fn policy_errors_json(errors: &PolicyErrors) -> Value {
    let found: Vec<Value> = errors.diagnostics().iter().map(diagnostic).collect();
    json!({ "schema": "sphere.check/1", "valid": false, "errors": errors.error_count(), "diagnostics": found })
}

fn diagnostic(found: &Diagnostic) -> Value {
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
