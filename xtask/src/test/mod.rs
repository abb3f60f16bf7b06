//! `cargo xtask test`: every tier with its heading, duration and count; one closing line.
//!
//! A tier that cannot run says why. With `CI=true` that is a failure: a test that was not run proves nothing.

mod checks;
mod scenarios;
mod suites;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::{console, process};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Pure tests only: seconds, no root, no BPF
    #[arg(long)]
    quick: bool,
    /// Only tests and scenarios whose name contains this
    filter: Option<String>,
}

/// What became of a tier.
enum Outcome {
    Ran { passed: u32, failed: u32 },
    Skipped(String),
}

impl Outcome {
    /// A tier that is one check.
    const PASSED: Self = Self::Ran { passed: 1, failed: 0 };
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
const TIERS: [Tier; 9] = [
    Tier { heading: "format", quick: true, named: false, run: checks::format },
    Tier { heading: "unit, property and documentation tests", quick: true, named: true, run: suites::pure },
    Tier { heading: "fuzz seeds", quick: false, named: false, run: suites::fuzz_seeds },
    Tier { heading: "lints", quick: false, named: false, run: checks::lints },
    Tier { heading: "lints of the data plane", quick: false, named: false, run: checks::data_plane_lints },
    Tier { heading: "documentation", quick: false, named: false, run: checks::documentation },
    Tier { heading: "tests that need root", quick: false, named: true, run: suites::root },
    Tier { heading: "kernel against host classifier", quick: false, named: true, run: suites::kernel },
    Tier { heading: "lab scenarios", quick: false, named: true, run: scenarios::all },
];

/// Runs the tiers and reports. The exit status is success only if nothing failed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let skips_fail = process::switch("CI");
    let (mut passed, mut failed, mut skipped) = (0, 0, Vec::new());
    for tier in TIERS.iter().filter(|tier| selected(tier, options)) {
        let heading = tier.heading;
        console::report(&format!("\n== {heading}"));
        let start = Instant::now();
        let outcome = (tier.run)(options);
        let taken = start.elapsed();
        match outcome {
            Ok(Outcome::Ran { passed: ok, failed: bad }) => {
                passed += ok;
                failed += bad;
                console::report(&format!("-- {heading}: {ok} passed, {bad} failed in {taken:.1?}"));
            }
            Ok(Outcome::Skipped(why)) => {
                failed += u32::from(skips_fail);
                console::report(&format!("-- {heading}: skipped: {why}"));
                skipped.push(heading);
            }
            Err(error) => {
                failed += 1;
                console::report(&format!("-- {heading}: failed in {taken:.1?}: {error:#}"));
            }
        }
    }
    if passed + failed == 0 && skipped.is_empty() {
        bail!("no test has a name that contains {}", options.filter.as_deref().unwrap_or_default());
    }
    if !skipped.is_empty() {
        let consequence = if skips_fail { ", which is a failure with CI set" } else { "" };
        console::report(&format!("\nskipped{consequence}: {}", skipped.join(", ")));
    }
    console::report(&format!("\n{passed} passed, {failed} failed"));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn selected(tier: &Tier, options: &Options) -> bool {
    (tier.quick || !options.quick) && (tier.named || options.filter.is_none())
}
