//! Tiers that are cargo tests: pure ones, ones that need root, and the comparison of kernel and host.
//!
//! The test targets named `root_*` need root and BPF; `kernel` compares the kernel's verdicts with the host's. Plain
//! `cargo test` passes for everybody: what needs root is ignored there, or says that it was skipped.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::{Counts, Options, Outcome};
use crate::privilege::{self, Privilege};
use crate::{build, console, process, setup, tree};

/// The test target that compares the kernel's verdicts with the host's.
pub(super) const KERNEL_TARGET: &str = "kernel";
/// What the names of test targets that need root begin with.
pub(super) const ROOT_PREFIX: &str = "root_";

/// Everything that needs neither root nor BPF, with the examples in the documentation.
pub(super) fn pure(options: &Options) -> Result<Outcome> {
    let targets = test_targets(|_, name| name != KERNEL_TARGET && !name.starts_with(ROOT_PREFIX))?;
    let mut command = process::cargo();
    command.args(["test", "--no-fail-fast", "--lib", "--bins"]).args(targets);
    let mut counts = count(filtered(&mut command, options))?;
    let mut command = process::cargo();
    command.args(["test", "--no-fail-fast", "--doc"]);
    counts.add(count(filtered(&mut command, options))?);
    Ok(Outcome::Ran(counts))
}

/// Replays the seeds of the fuzz targets, without libFuzzer: that needs a C++ compiler.
pub(super) fn fuzz_seeds(_: &Options) -> Result<Outcome> {
    let mut command = process::cargo();
    command.args(["test", "--no-fail-fast", "--no-default-features", "--manifest-path", "fuzz/Cargo.toml"]);
    count(command.env("CARGO_TARGET_DIR", tree::target())).map(Outcome::Ran)
}

/// Loads, attaches, pins: what only root may.
pub(super) fn root(options: &Options) -> Result<Outcome> {
    let mut command = process::cargo();
    command.args(["test", "--no-fail-fast"]).args(test_targets(|_, name| name.starts_with(ROOT_PREFIX))?);
    as_root(&mut command, options)
}

/// The packet corpus and random packets through BPF_PROG_TEST_RUN and through the host's classifier.
pub(super) fn kernel(options: &Options) -> Result<Outcome> {
    let mut command = process::cargo();
    command.args(["test", "--no-fail-fast", "--test", KERNEL_TARGET]);
    as_root(&mut command, options)
}

/// Builds as the user, runs the tests as root, one at a time: they share one kernel.
fn as_root(command: &mut Command, options: &Options) -> Result<Outcome> {
    if privilege::here() == Privilege::Missing {
        return Ok(Outcome::Skipped("root is needed, and sudo is not installed".to_owned()));
    }
    setup::lab_packages()?;
    build::run(&build::Options::default())?;
    // Cargo starts the test programs through what a command that runs as root begins with.
    let runner = privilege::command("env", "load BPF programs")?;
    let host = host_triple()?.to_uppercase().replace('-', "_");
    command.env(format!("CARGO_TARGET_{host}_RUNNER"), process::line(&runner));
    if let Some((_, Some(path))) = runner.get_envs().find(|(name, _)| *name == "PATH") {
        command.env("PATH", path);
    }
    let counts = count(filtered(command, options).args(["--include-ignored", "--show-output", "--test-threads", "1"]))?;
    if options.filter.is_none() && counts.passed + counts.failed == 0 {
        bail!("not one test ran");
    }
    Ok(Outcome::Ran(counts))
}

/// Adds the filter and what separates cargo's arguments from the tests' own.
fn filtered<'a>(command: &'a mut Command, options: &Options) -> &'a mut Command {
    command.args(&options.filter).arg("--")
}

/// Runs cargo test, shows what it prints, and adds up its results.
fn count(command: &mut Command) -> Result<Counts> {
    let line = process::line(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {line}"))?;
    let output = child.stdout.take().context("the output of cargo test is not piped")?;
    let mut counts = Counts::default();
    for said in BufReader::new(output).lines() {
        let said = said.with_context(|| format!("cannot read what {line} prints"))?;
        counts.read(&said);
        console::report(&said);
    }
    let status = child.wait().with_context(|| format!("cannot wait for {line}"))?;
    // A test program that does not compile, or dies, reports no result.
    if !status.success() && counts.failed == 0 {
        bail!("{line} failed ({status})");
    }
    Ok(counts)
}

impl Counts {
    /// Counts what a line of cargo test tells.
    pub(super) fn read(&mut self, line: &str) {
        if let Some((passed, failed)) = result(line) {
            self.passed += passed;
            self.failed += failed;
        } else if let Some(name) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
    }
}

/// The numbers of a line `test result: ok. 3 passed; 1 failed; …`.
fn result(line: &str) -> Option<(u32, u32)> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut numbers = numbers.split("; ");
    let passed = numbers.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = numbers.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some((passed, failed))
}

/// Cargo's arguments for the wanted integration tests, by package and name.
pub(super) fn test_targets(wanted: impl Fn(&str, &str) -> bool) -> Result<Vec<String>> {
    let metadata = process::read(process::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let mut arguments = Vec::new();
    for package in packages {
        let targets = package["targets"].as_array().into_iter().flatten();
        let tests = targets.filter(|target| target["kind"][0] == "test").filter_map(|target| target["name"].as_str());
        let package = package["name"].as_str().unwrap_or_default();
        arguments.extend(tests.filter(|name| wanted(package, name)).flat_map(|name| ["--test".into(), name.into()]));
    }
    if arguments.is_empty() {
        bail!("no integration tests found");
    }
    Ok(arguments)
}

fn host_triple() -> Result<String> {
    let version = process::read(Command::new("rustc").current_dir(tree::root()).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

#[cfg(test)]
mod tests {
    use super::{Counts, result};

    #[test]
    fn results_are_read_from_their_lines_only() {
        let ok = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        let bad = "test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(result(ok), Some((12, 0)));
        assert_eq!(result(bad), Some((7, 2)));
        assert_eq!(result("test result: ok"), None);
        assert_eq!(result("running 12 tests"), None);
    }

    #[test]
    fn tests_that_failed_are_named() {
        let mut counts = Counts::default();
        for line in [
            "test walk::ends ... ok",
            "test walk::loops ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored",
        ] {
            counts.read(line);
        }
        assert_eq!((counts.passed, counts.failed, counts.failures), (1, 1, vec!["walk::loops".to_owned()]));
    }
}
