//! Names and explanations for people, in 80 columns.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::table::{section, span, table};
use crate::names::{AddressReport, Explanation, FamilyReport, NameReport, NamesReport};
use crate::policy::wrap;

/// Devices shown behind a name; the JSON has them all.
const DEVICES: usize = 4;

/// Writes every name with its addresses.
///
/// # Errors
///
/// When the output fails.
pub(super) fn write_names(output: &mut impl Write, report: &NamesReport) -> io::Result<()> {
    if report.daemon == "stopped" {
        writeln!(output, "No daemon runs: this is what the kernel's tables tell.\n")?;
    }
    if report.names.is_empty() {
        return writeln!(output, "no such name in any rule, and none was seen in an answer");
    }
    for (index, name) in report.names.iter().enumerate() {
        if index > 0 {
            writeln!(output)?;
        }
        write_name(output, name)?;
    }
    Ok(())
}

fn write_name(output: &mut impl Write, name: &NameReport) -> io::Result<()> {
    let groups = if name.groups.is_empty() { "no rule".to_owned() } else { name.groups.join(", ") };
    writeln!(output, "{} ({groups})", name.name)?;
    for (family, report) in [("A", &name.ipv4), ("AAAA", &name.ipv6)] {
        if let Some(report) = report {
            writeln!(output, "  {family:<5} {}", question(report))?;
        }
    }
    if !name.addresses.is_empty() {
        let mut addresses = table(&["", "address", "state", "source", "age", "ends in", "flows"], &[4, 5, 6]);
        for address in &name.addresses {
            addresses.add_row(row(address));
        }
        for line in addresses.to_string().lines() {
            writeln!(output, "{}", line.trim_end())?;
        }
        let refused = name.addresses.iter().filter_map(|address| address.remedy.as_deref());
        for remedy in refused.collect::<BTreeSet<_>>() {
            paragraph(output, &format!("  refused: {remedy}"), 4)?;
        }
    }
    if !name.asked_by.is_empty() {
        let shown = name.asked_by.iter().take(DEVICES);
        let shown: Vec<String> =
            shown.map(|asker| format!("{} {} ago", asker.device, span(asker.seconds_ago))).collect();
        let more = name.asked_by.len().saturating_sub(DEVICES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(output, "  asked by {}{more}", shown.join(", "))?;
    }
    Ok(())
}

fn question(report: &FamilyReport) -> String {
    let mut text = format!("{} for {}", report.state, span(report.for_seconds));
    if report.times > 1 {
        text.push_str(&format!(", {} times", report.times));
    }
    text.push_str(&format!(", asked {} ago", span(report.asked_seconds_ago)));
    match report.answered_seconds_ago {
        Some(ago) if report.state != "answer" => text.push_str(&format!(", last answer {} ago", span(ago))),
        _ => {}
    }
    text
}

fn row(address: &AddressReport) -> [String; 7] {
    let source = match address.device {
        Some(device) => format!("{} by {device}", address.source),
        None => address.source.clone(),
    };
    [
        String::new(),
        address.address.to_string(),
        address.state.to_owned(),
        source,
        span(address.age_seconds),
        span(address.ends_in_seconds),
        address.flows.to_string(),
    ]
}

/// Writes an explanation.
///
/// # Errors
///
/// When the output fails.
pub(super) fn write_explanation(output: &mut impl Write, explanation: &Explanation) -> io::Result<()> {
    let Explanation { device, group, enforced, name, may_ask, .. } = explanation;
    match group {
        Some(group) => writeln!(output, "{device} is in group {group}, {}", mode(*enforced))?,
        None => writeln!(output, "{device} is in no device subnet of the policy: no rule speaks of it")?,
    }
    let mut ports = table(&["device port", "verdict", "reason", "why"], &[]);
    for line in &explanation.ports {
        ports.add_row([line.interface.as_str(), line.verdict, line.reason, line.explanation]);
    }
    section(output, "SUCH A SOURCE NOW", &ports)?;
    if let (Some(name), Some(may_ask)) = (name, may_ask) {
        let may = if *may_ask { "a rule of its group allows" } else { "no rule of its group allows" };
        paragraph(output, &format!("{may} the name {name}"), 2)?;
        if explanation.verdicts.is_empty() {
            writeln!(output, "no address of it is known")?;
        }
    }
    let mut verdicts = table(&["address", "service", "verdict", "reason", "why"], &[]);
    for line in &explanation.verdicts {
        let why = line.rule.as_ref().map_or_else(|| line.explanation.to_owned(), |rule| format!("rule {rule}"));
        verdicts.add_row([line.address.to_string().as_str(), &line.service, line.verdict, line.reason, &why]);
    }
    section(output, "A FIRST PACKET NOW", &verdicts)?;
    let remedies = explanation.verdicts.iter().filter_map(|line| Some((line.address, line.remedy.as_deref()?)));
    for (address, remedy) in remedies.collect::<BTreeSet<_>>() {
        paragraph(output, &format!(" {address}: {remedy}"), 3)?;
    }
    if explanation.flows > 0 {
        writeln!(output, "\nflows open to it: {}", explanation.flows)?;
    }
    if !explanation.history.is_empty() {
        writeln!(output, "\nWHAT WAS KNOWN")?;
        for line in &explanation.history {
            paragraph(output, &format!(" {line}"), 3)?;
        }
    }
    Ok(())
}

/// A line, and what does not fit indented below it. Blanks before it stay.
fn paragraph(output: &mut impl Write, text: &str, indent: usize) -> io::Result<()> {
    let before = text.len() - text.trim_start().len();
    for (index, line) in wrap(text, before, indent).iter().enumerate() {
        let columns = if index == 0 { before } else { indent };
        writeln!(output, "{:columns$}{line}", "")?;
    }
    Ok(())
}

const fn mode(enforced: bool) -> &'static str {
    if enforced { "which enforces" } else { "which only audits" }
}
