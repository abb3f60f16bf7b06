//! Flows and rules for people, in 80 columns.

use std::io::{self, Write};

use super::table::{amount, section, span, table};
use crate::usage::{FlowReport, FlowsReport, RuleReport, RulesReport, SharedAddress};

/// Writes the flows of each device.
///
/// # Errors
///
/// When the output fails.
pub fn write_flows(output: &mut impl Write, report: &FlowsReport) -> io::Result<()> {
    if report.flows.is_empty() {
        return writeln!(output, "no such flow is open");
    }
    for (index, flows) in report.flows.chunk_by(|a, b| a.device == b.device).enumerate() {
        if index > 0 {
            writeln!(output)?;
        }
        let Some(first) = flows.first() else { continue };
        let group = first.group.as_deref().unwrap_or("no group");
        let open = if flows.len() == 1 { "flow".to_owned() } else { "flows".to_owned() };
        writeln!(output, "{} ({group}): {} {open}", first.device, flows.len())?;
        let mut rows = table(&["peer", "service", "state", "received", "age", "idle", "name and rule"], &[3, 4, 5]);
        for flow in flows {
            rows.add_row(flow_row(flow));
        }
        for line in rows.to_string().lines() {
            writeln!(output, "{}", line.trim_end())?;
        }
    }
    Ok(())
}

fn flow_row(flow: &FlowReport) -> [String; 7] {
    let is_inbound = flow.direction == "to-device";
    let port = if is_inbound { flow.device_port } else { flow.peer_port };
    let rule = match (&flow.rule, flow.audited) {
        (_, true) if is_inbound => "no rule: opened by the peer, in audit mode".to_owned(),
        (_, true) => "no rule: audit mode".to_owned(),
        (Some(rule), false) => rule.clone(),
        (None, false) => "a rule that is gone".to_owned(),
    };
    let name = flow.peer_names.first().filter(|name| !rule.starts_with(name.as_str()));
    [
        flow.peer.to_string(),
        format!("{}/{port}", flow.protocol),
        flow.state.to_owned(),
        amount(flow.received_bytes),
        span(flow.age_seconds),
        span(flow.idle_seconds),
        name.map_or_else(|| rule.clone(), |name| format!("{name}, {rule}")),
    ]
}

/// Writes the rules, and the addresses that several names share.
///
/// # Errors
///
/// When the output fails.
pub fn write_rules(output: &mut impl Write, report: &RulesReport) -> io::Result<()> {
    match report.watched_seconds {
        Some(seconds) => writeln!(output, "the daemon has watched for {}", span(seconds))?,
        None => writeln!(output, "no daemon runs: what was used before is not known")?,
    }
    let mut rules = table(&["group", "packets", "bytes", "last use", "rule"], &[1, 2]);
    for rule in &report.rules {
        rules.add_row(rule_row(rule));
    }
    if report.rules.is_empty() {
        writeln!(output, "\nno such rule")?;
    }
    section(output, "RULES", &rules)?;
    let mut shared = table(&["address", "names"], &[]);
    for SharedAddress { address, names } in &report.shared {
        shared.add_row([address.to_string(), names.join(" ")]);
    }
    section(output, "ADDRESSES THAT SEVERAL NAMES SHARE", &shared)
}

fn rule_row(rule: &RuleReport) -> [String; 5] {
    let used = match (rule.used_seconds_ago, rule.never_used) {
        (Some(ago), _) => format!("{} ago", span(ago)),
        (None, true) => "never".to_owned(),
        (None, false) => "not seen".to_owned(),
    };
    [rule.group.clone(), rule.packets.to_string(), rule.bytes.to_string(), used, rule.rule.clone()]
}
