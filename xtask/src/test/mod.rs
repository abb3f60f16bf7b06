//! `cargo xtask test`: every tier with its heading, duration and count; at the end what failed, and one line that counts.
//!
//! A tier that cannot run says why. With `CI=true` that is a failure: a test that was not run proves nothing.

mod checks;
mod older_kernel;
mod scenarios;
mod suites;

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::vm::Series;
use crate::{console, process};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Pure tests only: seconds, no root, no BPF
    #[arg(long)]
    quick: bool,
    /// Only the tests in an emulated machine, with a kernel of this series (all tests: with 6.1)
    #[arg(long, value_name = "SERIES", conflicts_with = "quick")]
    kernel: Option<Series>,
    /// Only tests and scenarios whose name contains this
    filter: Option<String>,
}

/// What became of a tier.
enum Outcome {
    Ran(Counts),
    Skipped(String),
}

/// What tests ran, and what became of them.
#[derive(Default)]
struct Counts {
    passed: u32,
    failed: u32,
    /// What is known of those that failed: the name of each first.
    failures: Vec<String>,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
    }
}

impl Outcome {
    /// A tier that is one check.
    const PASSED: Self = Self::Ran(Counts { passed: 1, failed: 0, failures: Vec::new() });
}

/// One tier of the tests.
struct Tier {
    heading: &'static str,
    /// Part of `--quick`.
    quick: bool,
    /// Has tests with names, so that a filter can choose among them.
    named: bool,
    run: fn(&Options) -> Result<Outcome>,
}

/// From the cheapest to the dearest, so that what is wrong shows early.
const TIERS: [Tier; 10] = [
    Tier { heading: "format", quick: true, named: false, run: checks::format },
    Tier { heading: "unit, property and documentation tests", quick: true, named: true, run: suites::pure },
    Tier { heading: "fuzz seeds", quick: false, named: false, run: suites::fuzz_seeds },
    Tier { heading: "lints", quick: false, named: false, run: checks::lints },
    Tier { heading: "lints of the data plane", quick: false, named: false, run: checks::data_plane_lints },
    Tier { heading: "documentation", quick: false, named: false, run: checks::documentation },
    Tier { heading: "tests that need root", quick: false, named: true, run: suites::root },
    Tier { heading: "kernel against host classifier", quick: false, named: true, run: suites::kernel },
    OLDER_KERNEL,
    Tier { heading: "lab scenarios", quick: false, named: true, run: scenarios::all },
];

const OLDER_KERNEL: Tier =
    Tier { heading: "older kernel in an emulated machine", quick: false, named: true, run: older_kernel::all };

/// Runs the tiers and reports. The exit status is success only if nothing failed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut totals = Totals { skips_fail: process::switch("CI"), ..Totals::default() };
    let tiers = if options.kernel.is_some() { &[OLDER_KERNEL] } else { TIERS.as_slice() };
    for tier in tiers.iter().filter(|tier| selected(tier, options)) {
        console::report(&format!("\n== {}", tier.heading));
        let start = Instant::now();
        let outcome = (tier.run)(options);
        console::report(&totals.add(tier.heading, outcome, start.elapsed()));
    }
    if totals.is_empty() {
        bail!("no test has a name that contains {}", options.filter.as_deref().unwrap_or_default());
    }
    console::report(&format!("\n{totals}"));
    Ok(if totals.counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of all tiers.
#[derive(Default)]
struct Totals {
    /// A tier that was skipped counts as failed.
    skips_fail: bool,
    counts: Counts,
    /// Headings of the tiers that were skipped, and of those that failed.
    skipped: Vec<&'static str>,
    broken: Vec<&'static str>,
}

impl Totals {
    /// Counts one tier and says what became of it.
    fn add(&mut self, heading: &'static str, outcome: Result<Outcome>, taken: Duration) -> String {
        let (failed, line) = match outcome {
            Ok(Outcome::Ran(mut counts)) => {
                let Counts { passed, failed, .. } = counts;
                for failure in &mut counts.failures {
                    failure.insert_str(0, &format!("{heading}: "));
                }
                self.counts.add(counts);
                (failed, format!("-- {heading}: {passed} passed, {failed} failed in {taken:.1?}"))
            }
            Ok(Outcome::Skipped(why)) => {
                self.skipped.push(heading);
                let failed = u32::from(self.skips_fail);
                self.counts.failed += failed;
                (failed, format!("-- {heading}: skipped: {why}"))
            }
            Err(error) => {
                self.counts.failed += 1;
                self.counts.failures.push(format!("{heading}: {error:#}"));
                (1, format!("-- {heading}: failed in {taken:.1?}: {error:#}"))
            }
        };
        if failed > 0 {
            self.broken.push(heading);
        }
        line
    }

    /// Not one test ran, and no tier says why.
    fn is_empty(&self) -> bool {
        self.counts.passed + self.counts.failed == 0 && self.skipped.is_empty()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.skipped.is_empty() {
            let consequence = if self.skips_fail { ", which is a failure with CI set" } else { "" };
            writeln!(out, "skipped{consequence}: {}\n", self.skipped.join(", "))?;
        }
        for failure in &self.counts.failures {
            writeln!(out, "failed: {}\n", failure.trim_end())?;
        }
        write!(out, "{} passed, {} failed", self.counts.passed, self.counts.failed)?;
        if !self.broken.is_empty() {
            write!(out, ": {}", self.broken.join(", "))?;
        }
        Ok(())
    }
}

fn selected(tier: &Tier, options: &Options) -> bool {
    (tier.quick || !options.quick) && (tier.named || options.filter.is_none())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Counts, Outcome, Totals};

    #[test]
    fn the_end_tells_what_failed_and_the_last_line_counts() {
        for (skips_fail, last) in
            [(false, "3 passed, 2 failed: lints, units"), (true, "3 passed, 3 failed: lints, units, lab")]
        {
            let mut totals = Totals { skips_fail, ..Totals::default() };
            assert!(totals.is_empty());
            totals.add("format", Ok(Outcome::PASSED), Duration::ZERO);
            assert_eq!(totals.to_string(), "1 passed, 0 failed");
            totals.add("lints", Err(anyhow::anyhow!("nothing to lint")), Duration::ZERO);
            let failures = vec!["walk::loops\nno end".to_owned()];
            totals.add("units", Ok(Outcome::Ran(Counts { passed: 2, failed: 1, failures })), Duration::ZERO);
            totals.add("lab", Ok(Outcome::Skipped("no root".to_owned())), Duration::ZERO);
            let text = totals.to_string();
            assert!(text.starts_with("skipped") && text.lines().last() == Some(last), "{text}");
            assert!(text.contains("failed: lints: nothing to lint\n"), "{text}");
            assert!(text.contains("failed: units: walk::loops\nno end\n"), "{text}");
        }
    }
}
