//! Reports for people.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, ContentArrangement, Table, TableComponent};

use crate::report::{Check, Flow, Report};

/// Writes a report as tables with a line of figures.
///
/// # Errors
/// When the output is gone.
pub fn report(to: &mut impl Write, report: &Report) -> io::Result<()> {
    if !report.flows.is_empty() {
        writeln!(to, "{}", flows(&report.flows))?;
    }
    if !report.checks.is_empty() {
        writeln!(to, "{}", checks(&report.checks))?;
    }
    for (name, value) in &report.figures {
        writeln!(to, "  {name}: {value}")?;
    }
    if let Some(error) = &report.error {
        writeln!(to, "  could not be carried through: {error}")?;
    }
    let word = if report.passed { "passed" } else { "FAILED" };
    writeln!(to, "{}: {word}", report.scenario)
}

fn flows(flows: &[Flow]) -> Table {
    let mut table = table(["", "step", "device", "client", "what", "to", "expected", "verdict", "reason", "seen"]);
    for flow in flows {
        let to = match flow.port {
            Some(port) => format!("{}/{port}", flow.protocol),
            None => flow.protocol.clone(),
        };
        let texts = [
            flow.step,
            &flow.device,
            &flow.client,
            &flow.name,
            &to,
            &flow.expected,
            flow.verdict,
            &flow.reason,
            &flow.seen,
        ];
        let mut cells = vec![mark(flow.ok)];
        cells.extend(texts.map(Cell::new));
        table.add_row(cells);
    }
    table
}

fn checks(checks: &[Check]) -> Table {
    let mut table = table(["", "what", "expected", "seen"]);
    for check in checks {
        let mut cells = vec![mark(check.ok)];
        cells.extend([&check.what, &check.expected, &check.seen].map(Cell::new));
        table.add_row(cells);
    }
    table
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_header(header);
    table
}

fn mark(ok: bool) -> Cell {
    Cell::new(if ok { "ok" } else { "NOT" })
}
