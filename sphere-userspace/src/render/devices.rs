//! Devices and their boot chain for people, in 80 columns.

use std::io::{self, Write};

use super::table::{section, span, table};
use crate::ladder::{BlockedReport, DenialReport, DeviceReport, DevicesReport, RungReport};
use crate::policy::wrap;

/// Writes every device in a line and what stops which; or all that is known of one.
///
/// # Errors
///
/// When the output fails.
pub fn write_devices(output: &mut impl Write, report: &DevicesReport, in_full: bool) -> io::Result<()> {
    if report.daemon == "stopped" {
        writeln!(output, "No daemon runs: this is what the kernel's tables tell.\n")?;
    }
    if report.devices.is_empty() {
        return writeln!(output, "no such device has opened a flow or was denied one");
    }
    if in_full {
        return report.devices.iter().try_for_each(|device| write_device(output, device));
    }
    let mut devices = table(&["device", "mac", "group", "seen", "denied", "boot chain"], &[4]);
    for device in &report.devices {
        devices.add_row([
            device.device.to_string(),
            device.mac.clone().unwrap_or_else(|| "-".to_owned()),
            device.group.clone().unwrap_or_else(|| "-".to_owned()),
            span(device.seen_seconds_ago),
            device.denied_packets.to_string(),
            standing(device),
        ]);
    }
    for line in devices.to_string().lines() {
        writeln!(output, "{}", line.trim_end())?;
    }
    for device in &report.devices {
        if let Some(blocked) = &device.blocked {
            writeln!(output, "\n{} is stopped at {}", device.device, blocked.step.word())?;
            write_blocked(output, blocked)?;
        }
    }
    if report.crowded_out > 0 {
        writeln!(output, "\n{} devices are not remembered, for want of room", report.crowded_out)?;
    }
    Ok(())
}

/// Where a device stands, in a word or two.
fn standing(device: &DeviceReport) -> String {
    match &device.blocked {
        Some(blocked) if blocked.by == "gateway" => format!("blocked: {}", blocked.step.word()),
        Some(blocked) => format!("no answer: {}", blocked.step.word()),
        None => {
            let last = device.ladder.iter().rev().find(|rung| rung.state == "done");
            last.map_or_else(|| "-".to_owned(), |rung| format!("reached {}", rung.step.word()))
        }
    }
}

fn write_blocked(output: &mut impl Write, blocked: &BlockedReport) -> io::Result<()> {
    indented(output, &format!("why: {}", blocked.why))?;
    indented(output, &format!("remedy: {}", blocked.remedy))
}

/// Lines that stand in by two columns.
fn indented(output: &mut impl Write, text: &str) -> io::Result<()> {
    wrap(text, 2, 2).iter().try_for_each(|line| writeln!(output, "  {line}"))
}

fn write_device(output: &mut impl Write, device: &DeviceReport) -> io::Result<()> {
    let group = device.group.as_deref().unwrap_or("none that is left");
    let mode = if device.enforced { "which enforces" } else { "which only audits" };
    writeln!(output, "{} is in group {group}, {mode}", device.device)?;
    if let Some(mac) = &device.mac {
        writeln!(output, "hardware address {mac}")?;
    }
    let seen = span(device.seen_seconds_ago);
    writeln!(output, "seen {seen} ago; flows open: {}, packets denied: {}", device.flows, device.denied_packets)?;
    let dns = &device.dns;
    match dns.answered_seconds_ago.filter(|_| dns.state == "answered") {
        Some(ago) => writeln!(output, "DNS: last answered {} ago", span(ago))?,
        None => writeln!(output, "DNS: {}", dns.says)?,
    }
    if !dns.refused_names.is_empty() {
        indented(output, &format!("refused names that belong to no step: {}", dns.refused_names.join(", ")))?;
    }
    let mut rungs = table(&["step", "state", "last success", "last denial"], &[]);
    for rung in &device.ladder {
        rungs.add_row(row(rung));
    }
    section(output, "BOOT CHAIN", &rungs)?;
    if device.ladder.iter().any(|rung| rung.state == "implied") {
        writeln!(output, "implied: it has an address; how it came by it was not seen")?;
    }
    if let Some(blocked) = &device.blocked {
        writeln!(output, "\nSTOPPED AT {}", blocked.step.word().to_uppercase())?;
        write_blocked(output, blocked)?;
    }
    Ok(())
}

fn row(rung: &RungReport) -> [String; 4] {
    let ago = |seconds: Option<u64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{} ago", span(seconds)));
    let denial = rung.denial.as_ref().map_or_else(|| "-".to_owned(), denial);
    [rung.step.word().to_owned(), rung.state.to_owned(), ago(rung.success_seconds_ago), denial]
}

fn denial(denial: &DenialReport) -> String {
    let goal = match &denial.name {
        Some(name) if denial.reason.starts_with("query") => name.clone(),
        Some(name) => format!("{name} {}", denial.service),
        None => format!("{} {}", denial.peer, denial.service),
    };
    let only = if denial.verdict == "audit" { " (audit)" } else { "" };
    format!("{} ago, {}{only}: {goal}", span(denial.seconds_ago), denial.reason)
}
