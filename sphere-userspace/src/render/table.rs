//! The status for people: short tables that fit 80 columns.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::status::Status;
use crate::daemon::StoreState;
use crate::policy::wrap;

/// Columns that the tables may take.
pub(super) const WIDTH: u16 = 80;
/// Rules shown; the JSON has them all.
const RULES: usize = 20;

/// Writes the status.
///
/// # Errors
///
/// When the output fails.
pub fn write_status(output: &mut impl Write, status: &Status) -> io::Result<()> {
    writeln!(
        output,
        "daemon {} · pins {}/v{} · {} ticks/s",
        status.daemon, status.pin_root, status.abi, status.clock.ticks_per_second
    )?;
    section(output, "PORTS", &ports(status))?;
    for warning in status.ports.iter().filter_map(|port| port.warning.as_ref()) {
        let lines = wrap(&format!("warning: {warning}"), 0, 0);
        writeln!(output, "\n{}", lines.join("\n"))?;
    }
    section(output, "GROUPS", &groups(status))?;
    section(output, "PROGRAMS", &programs(status))?;
    section(output, "TABLES", &tables(status))?;
    section(output, "PACKETS", &counters(status))?;
    section(output, "RULES MOST USED", &rules(status))?;
    section(output, "DNS", &lessons("of devices", &status.lessons))?;
    section(output, "ANSWERS LEFT TO THE DAEMON", &lessons("what became of them", &status.overheard))?;
    if let Some(store) = &status.store {
        section(output, "DENIALS ON DISK", &on_disk(store))?;
    }
    if status.unaccounted.packets > 0 {
        writeln!(output, "\nwithout an account: {} denied packets", status.unaccounted.packets)?;
    }
    section(output, "RECORDS", &sinks(status))?;
    writeln!(output, "\nsamples: {} sent, {} lost", status.events.sent, status.events.lost)
}

/// How the account of denials on disk stands; what is zero is left out.
fn on_disk(store: &StoreState) -> Table {
    let mut table = table(&["store", store.standing.word()], &[]);
    table.add_row(["directory", &store.directory.display().to_string()]);
    let texts = [("problem", &store.problem), ("complete at", &store.complete_at)];
    for (word, text) in texts.into_iter().filter_map(|(word, text)| Some((word, text.as_ref()?))) {
        table.add_row([word, text]);
    }
    let numbers = [
        ("bytes", store.bytes),
        ("open accounts", store.open_accounts),
        ("closed accounts", store.closed_accounts),
        ("accounts written", store.written),
        ("written later", store.paused),
        ("waits for the disk", store.waits),
        ("unreadable accounts", store.unreadable),
        ("old files removed", store.aged_files),
        ("files removed for room", store.dropped_files),
        ("damaged files", store.damaged_files),
    ];
    for (word, number) in numbers.into_iter().filter(|(_, number)| *number > 0) {
        table.add_row([word, &number.to_string()]);
    }
    table
}

/// A table below its title, unless it is empty.
pub(super) fn section(output: &mut impl Write, title: &str, table: &Table) -> io::Result<()> {
    if table.row_count() == 0 {
        return Ok(());
    }
    writeln!(output, "\n{title}")?;
    for line in table.to_string().lines() {
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A table without lines; the columns named in `right` hold numbers.
pub(super) fn table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header.to_vec());
    for index in right {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn ports(status: &Status) -> Table {
    let mut table = table(&["interface", "index", "ingress", "egress", "state"], &[1]);
    for port in &status.ports {
        let index = port.ifindex.map_or_else(|| "-".to_owned(), |index| index.to_string());
        let (ingress, egress) = (port.ingress.unwrap_or("-"), port.egress.unwrap_or("-"));
        table.add_row([port.interface.as_str(), &index, ingress, egress, &port.state]);
    }
    table
}

fn groups(status: &Status) -> Table {
    let mut table = table(&["group", "mode", "subnets"], &[]);
    for group in &status.groups {
        table.add_row([group.name.as_str(), group.mode, &group.subnets.join(" ")]);
    }
    table
}

fn programs(status: &Status) -> Table {
    let mut table = table(&["program", "id", "tag", "verified", "jited bytes"], &[1, 3, 4]);
    for program in &status.programs {
        let verified = program.verified_instructions.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let (id, bytes) = (program.id.to_string(), program.jited_bytes.to_string());
        table.add_row([program.name, &id, &program.tag, &verified, &bytes]);
    }
    table
}

fn tables(status: &Status) -> Table {
    let mut table = table(&["table", "entries", "room", "full"], &[1, 2, 3]);
    for row in &status.tables {
        let percent = row.entries as u64 * 100 / u64::from(row.capacity.max(1));
        table.add_row([row.map, &row.entries.to_string(), &row.capacity.to_string(), &format!("{percent} %")]);
    }
    table
}

fn counters(status: &Status) -> Table {
    let mut table = table(&["direction", "verdict", "reason", "packets", "bytes"], &[3, 4]);
    for row in &status.counters {
        table.add_row([row.direction, row.verdict, row.reason, &row.packets.to_string(), &row.bytes.to_string()]);
    }
    table
}

fn sinks(status: &Status) -> Table {
    let mut table = table(&["sink", "delivered", "waiting", "lost", "state"], &[1, 2, 3]);
    for sink in &status.sinks {
        let [delivered, waiting, lost] = [sink.delivered, sink.waiting, sink.lost].map(|count| count.to_string());
        let state = sink.failure.as_deref().unwrap_or("works");
        table.add_row([sink.sink.as_str(), &delivered, &waiting, &lost, state]);
    }
    table
}

fn lessons(what: &str, counts: &BTreeMap<&'static str, u64>) -> Table {
    let mut table = table(&[what, "count"], &[1]);
    for (word, total) in counts.iter().filter(|(_, total)| **total > 0) {
        table.add_row([word, total.to_string().as_str()]);
    }
    table
}

fn rules(status: &Status) -> Table {
    let mut table = table(&["rule", "group", "packets", "bytes", "what"], &[0, 2, 3]);
    let mut rules: Vec<_> = status.rules.iter().filter(|rule| rule.packets > 0).collect();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.packets));
    for rule in rules.into_iter().take(RULES) {
        let (number, packets, bytes) = (rule.rule.to_string(), rule.packets.to_string(), rule.bytes.to_string());
        table.add_row([number.as_str(), &rule.group, &packets, &bytes, &rule.label]);
    }
    table
}

/// Writes a table without spaces before and behind it.
pub(super) fn write_narrow(output: &mut impl Write, mut table: Table) -> io::Result<()> {
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
    }
    for line in table.to_string().lines() {
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A number of seconds as people say it.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m {}s", seconds / 60, seconds % 60),
        7200..=172_799 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Bytes as people say them: at most four digits, and a unit (IEC 80000-13).
pub(super) fn amount(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut units = UNITS.iter();
    let (mut number, mut unit) = (bytes, units.next());
    while number >= 10_000 {
        (number, unit) = (number / 1024, units.next());
    }
    format!("{number} {}", unit.unwrap_or(&"B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_at_most_four_digits() {
        let amounts = [0, 9_999, 10_000, 20_971_520, u64::MAX].map(amount);
        assert_eq!(amounts, ["0 B", "9999 B", "9 KiB", "20 MiB", "15 EiB"]);
    }

    #[test]
    fn spans_are_short() {
        let spans = [5, 119, 125, 7_260, 200_000].map(span);
        assert_eq!(spans, ["5s", "119s", "2m 5s", "2h 1m", "2d 7h"]);
    }
}
