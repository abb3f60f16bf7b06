//! The way in: `cargo xtask setup | build | lab | test | bench`.
//!
//! Each command installs what it lacks, says what it installs, and needs nothing else. Nothing here knows the
//! product's insides: `xtask` depends on no other crate of the workspace, so it starts in seconds on a new machine.

mod bench;
mod build;
mod console;
mod lab;
mod privilege;
mod process;
mod setup;
mod test;
mod tree;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Build, show, test and measure Sphere",
    after_help = "On a fresh machine start with `cargo xtask lab`, then `cargo xtask test`."
)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install the eBPF toolchain and the packages of the lab
    Setup,
    /// Build the data plane, the daemon and the lab
    Build(build::Options),
    /// Raise the lab network and run its scenarios (default: fleet); needs root
    ///
    /// All arguments go to `sphere-lab`: names of scenarios, --list, --keep, --json, --help.
    #[command(disable_help_flag = true)]
    Lab {
        /// Arguments of `sphere-lab`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Pass all tests: format, lints, units, kernel, an older kernel, lab scenarios, documents
    Test(test::Options),
    /// Run the measurements
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Task::Setup => setup::everything().map(|_| ExitCode::SUCCESS),
        Task::Build(options) => build::run(&options).map(|_| ExitCode::SUCCESS),
        Task::Lab { arguments } => lab::run(&arguments),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
    };
    result.unwrap_or_else(|error| {
        console::error(&error);
        ExitCode::FAILURE
    })
}
