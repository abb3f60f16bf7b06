//! The tier of the lab's scenarios: one after the other, each a line of the report with its figures.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::{Counts, Options, Outcome};
use crate::privilege::{self, Privilege};
use crate::{build, console, process, setup};

const PURPOSE: &str = "make network namespaces and load BPF programs";

/// Runs every scenario that `sphere-lab --list` names.
pub(super) fn all(options: &Options) -> Result<Outcome> {
    if privilege::here() == Privilege::Missing {
        return Ok(Outcome::Skipped("root is needed, and sudo is not installed".to_owned()));
    }
    setup::lab_packages()?;
    let program = build::run(&build::Options::default())?.join("sphere-lab");
    let listed = process::read(Command::new(&program).arg("--list"))?;
    let all: Vec<&str> = names(&listed).collect();
    if all.is_empty() {
        bail!("sphere-lab --list names no scenario");
    }
    let wanted = |name: &&&str| options.filter.as_deref().is_none_or(|filter| name.contains(filter));
    let mut counts = Counts::default();
    for name in all.iter().filter(wanted) {
        counts.add(run(&program, name)?);
    }
    Ok(Outcome::Ran(counts))
}

/// The first word of each line that is not indented.
fn names(listed: &str) -> impl Iterator<Item = &str> {
    listed
        .lines()
        .filter(|line| !line.starts_with(char::is_whitespace))
        .filter_map(|line| line.split_whitespace().next())
}

/// Runs one scenario; says what it measured, or everything that it said when it failed.
fn run(program: &Path, name: &str) -> Result<Counts> {
    let program = program.to_str().context("the path of the repository is not UTF-8")?;
    let start = Instant::now();
    let output = process::output(privilege::command(program, PURPOSE)?.args([name, "--json"]))?;
    let taken = start.elapsed();
    let said = String::from_utf8_lossy(&output.stdout);
    let record = record(&said, name);
    let passed = output.status.success() && record.as_ref().is_some_and(|record| record["passed"] == true);
    let word = if passed { "ok" } else { "FAILED" };
    let figures = record.map(|record| record["figures"].to_string()).unwrap_or_default();
    console::report(&format!("scenario {name} ... {word} ({taken:.1?}) {figures}"));
    if passed {
        return Ok(Counts { passed: 1, ..Counts::default() });
    }
    let said = format!("{said}{}({})", String::from_utf8_lossy(&output.stderr), output.status);
    console::report(&said);
    Ok(Counts { failed: 1, failures: vec![format!("{name}\n{}", end(&said))], ..Counts::default() })
}

/// The last lines of what a scenario said: what it failed on stands at the end.
fn end(said: &str) -> &str {
    const LINES: usize = 30;
    let breaks = said.trim_end().rmatch_indices('\n');
    said.get(breaks.map(|(at, _)| at + 1).nth(LINES - 1).unwrap_or(0)..).unwrap_or(said)
}

/// The scenario's own record among the lines of standard output.
fn record(said: &str, name: &str) -> Option<serde_json::Value> {
    said.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|record| record["scenario"] == name)
}

#[cfg(test)]
mod tests {
    use super::{end, names, record};

    #[test]
    fn scenarios_are_the_first_words_of_lines_that_are_not_indented() {
        let listed = "fleet      every row of the table\n           (the main job)\n\nrotation   addresses change\n";
        assert_eq!(names(listed).collect::<Vec<_>>(), ["fleet", "rotation"]);
    }

    #[test]
    fn a_record_is_found_among_other_lines() {
        let said = "noise\n{\"scenario\":\"crash\",\"passed\":true}\n{\"scenario\":\"fleet\",\"passed\":false}\n";
        assert_eq!(record(said, "fleet").map(|record| record["passed"] == false), Some(true));
        assert!(record(said, "rotation").is_none());
    }

    #[test]
    fn of_what_a_scenario_said_the_last_lines_are_kept() {
        let said: String = (0..100).map(|line| format!("{line}\n")).collect();
        assert_eq!((end(&said).lines().next(), end(&said).lines().last()), (Some("70"), Some("99")));
        assert_eq!(end("one\ntwo"), "one\ntwo");
        assert_eq!(end(""), "");
    }
}
