//! The tier of an older kernel: the tests that load programs, in an emulated machine with the kernel that gateways run.
//!
//! What an older verifier accepts, and what an older kernel lacks, shows only there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Counts, Options, Outcome, suites};
use crate::vm::{Job, Machine};
use crate::{build, console, process};

/// The kernel of Debian 12.
const USUAL: &str = "6.1";
/// The package whose tests load programs. The lab's need more of a kernel, and test the lab.
const PACKAGE: &str = "sphere-userspace";
/// What measures time, which is not an emulated machine's own, and what needs a terminal, which it has none of.
const LEFT_OUT: [&str; 4] = [
    "the_terminal_is_left_as_it_was_found_by_a_key_and_by_a_signal",
    "lessons::reading_an_answer_adds_little",
    "an_interface_that_comes_back_is_guarded_within_a_tenth_of_a_second",
    "a_page_over_a_hundred_thousand_endpoints_is_read_while_a_device_floods",
];

/// What cargo built.
#[derive(Default)]
struct Built {
    /// Names of the test programs, and where they are.
    tests: Vec<(String, PathBuf)>,
    /// The programs that the tests start.
    programs: Vec<PathBuf>,
}

/// Runs the tests that load programs.
pub(super) fn all(options: &Options) -> Result<Outcome> {
    let series = match &options.kernel {
        Some(series) => series.clone(),
        None => USUAL.parse().map_err(anyhow::Error::msg)?,
    };
    build::data_plane(&build::Options::default())?;
    let built = build_tests()?;
    let (jobs, expected) = jobs(&built, options)?;
    if expected == 0 {
        return Ok(Outcome::Ran(Counts::default()));
    }
    let machine = match Machine::ensure(&series) {
        Ok(machine) => machine,
        // Whoever asks for this kernel wants no other tests.
        Err(error) if options.kernel.is_some() => return Err(error),
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    console::report(&format!("left out, for they measure time or need a terminal: {}", LEFT_OUT.join(", ")));
    let mut counts = Counts::default();
    let ran = machine.run(&jobs, &built.programs, |line| {
        counts.read(line);
        console::report(line);
    });
    if let Err(error) = &ran {
        console::report(&format!("{error:#}"));
        counts.failures.push(format!("{error:#}"));
    }
    // A test program that was cut short gives no result: what it should have run has failed.
    counts.failed = counts.failed.max(expected.saturating_sub(counts.passed)).max(u32::from(ran.is_err()));
    Ok(Outcome::Ran(counts))
}

/// Builds the tests, without running them.
fn build_tests() -> Result<Built> {
    let loads = |name: &str| name == suites::KERNEL_TARGET || name.starts_with(suites::ROOT_PREFIX);
    let targets = suites::test_targets(|package, name| package == PACKAGE && loads(name))?;
    let mut command = process::cargo();
    command.args(["test", "--no-run", "--message-format", "json-render-diagnostics"]).args(targets);
    let output = command.stderr(std::process::Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{} failed ({})", process::line(&command), output.status);
    }
    let built = artifacts(&String::from_utf8_lossy(&output.stdout));
    if built.tests.is_empty() {
        bail!("cargo names no test program that it built");
    }
    Ok(built)
}

/// The programs among cargo's messages.
fn artifacts(messages: &str) -> Built {
    let mut built = Built::default();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let Some(program) = message["executable"].as_str().map(PathBuf::from) else {
            continue;
        };
        match (message["target"]["kind"][0].as_str(), message["target"]["name"].as_str()) {
            (Some("test"), Some(name)) => built.tests.push((name.to_owned(), program)),
            (Some("bin"), Some(_)) => built.programs.push(program),
            _ => {}
        }
    }
    built
}

/// A job for each test program with its wanted tests, and how many tests these are.
fn jobs(built: &Built, options: &Options) -> Result<(Vec<Job>, u32)> {
    let filter = options.filter.as_deref().unwrap_or_default();
    let (mut jobs, mut expected, mut left_out) = (Vec::new(), 0, 0);
    for (name, program) in &built.tests {
        let (timed, tests): (Vec<String>, Vec<String>) =
            names(program)?.into_iter().partition(|test| LEFT_OUT.contains(&test.as_str()));
        left_out += timed.len();
        let wanted: Vec<String> = tests.into_iter().filter(|test| test.contains(filter)).collect();
        if !wanted.is_empty() {
            expected += u32::try_from(wanted.len())?;
            let how = ["--include-ignored", "--show-output", "--test-threads", "1", "--exact"].map(str::to_owned);
            let arguments = how.into_iter().chain(wanted).collect();
            jobs.push(Job { name: name.clone(), program: program.clone(), arguments });
        }
    }
    if left_out != LEFT_OUT.len() {
        bail!("the list of tests that are left out names one that is no more");
    }
    Ok((jobs, expected))
}

/// The names of a program's tests.
fn names(program: &Path) -> Result<Vec<String>> {
    let listed = process::read(Command::new(program).args(["--list", "--format", "terse"]))?;
    Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::artifacts;

    #[test]
    fn test_programs_and_what_they_start_are_told_apart() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"other"},"executable":null}"#,
            "\nno message\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"tool"},"executable":"/t/debug/tool"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"kernel"},"executable":"/t/deps/kernel-1"}"#,
        );
        let built = artifacts(messages);
        assert_eq!(built.tests, [("kernel".to_owned(), "/t/deps/kernel-1".into())]);
        assert_eq!(built.programs, [std::path::PathBuf::from("/t/debug/tool")]);
    }
}
