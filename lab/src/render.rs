//! Reports for people.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, ContentArrangement, Table, TableComponent};

use crate::report::{Check, Flow, Report};

/// Columns that the tables may take.
const WIDTH: u16 = 100;

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

/// One flow a line. What was expected and what the client saw is told of those that came out otherwise; the JSON has all.
fn flows(flows: &[Flow]) -> Table {
    let mut table = table(["", "step", "device", "client", "what", "to", "verdict"]);
    for flow in flows {
        let to = match flow.port {
            Some(port) => format!("{}/{port}", flow.protocol),
            None => flow.protocol.clone(),
        };
        let verdict = format!("{} {}", flow.verdict, flow.reason);
        let texts = [flow.step, &flow.device, &flow.client, &flow.name, &to, verdict.trim_end()];
        let mut cells = vec![mark(flow.ok)];
        cells.extend(texts.map(Cell::new));
        table.add_row(cells);
        if !flow.ok {
            let told = format!("expected {}; the client saw: {}", flow.expected, flow.seen);
            table.add_row(["", "", "", "", told.as_str(), "", ""]);
        }
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
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_header(header);
    table
}

fn mark(ok: bool) -> Cell {
    Cell::new(if ok { "ok" } else { "NOT" })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn flow(ok: bool) -> Flow {
        Flow {
            device: "hostile".to_owned(),
            client: "raw socket".to_owned(),
            name: "sphereblobeus.azurewatson.microsoft.com, by a name of its own".to_owned(),
            protocol: "tcp".to_owned(),
            port: Some(8883),
            expected: "deny (fragment-overlap)".to_owned(),
            verdict: "deny",
            reason: "fragment-of-allowed".to_owned(),
            step: "misbehaviour",
            seen: "no answer within a second, and then a reset of the connection".to_owned(),
            ok,
        }
    }

    #[test]
    fn reports_fit_100_columns_and_tell_what_came_out_otherwise() {
        let checks =
            [Check { what: "w ".repeat(40), expected: "e ".repeat(40), seen: "s ".repeat(40), ok: true }].to_vec();
        let report = Report { flows: vec![flow(true), flow(false)], checks, ..Report::default() }.conclude("fleet");
        let mut text = Vec::new();
        super::report(&mut text, &report).unwrap();
        let text = String::from_utf8(text).unwrap();
        let widest = text.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= usize::from(WIDTH), "{widest} columns:\n{text}");
        assert_eq!(text.matches("expected deny").count(), 1, "{text}");
        assert!(text.contains("NOT") && text.contains("misbehaviour"), "{text}");
    }
}
