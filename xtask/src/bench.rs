//! `cargo xtask bench`: the measurements of `benches/`.

use std::process::ExitCode;

use anyhow::Result;

use crate::{build, process};

/// The measurement of the store and of `sphere denied`.
const STORE: &str = "store";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// One measurement (all when absent)
    name: Option<String>,
    /// One JSON object per sample and one summary
    #[arg(long)]
    json: bool,
}

/// Builds the data plane and runs the measurements.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    build::data_plane(&build::Options::default())?;
    if options.name.as_deref().is_none_or(|name| name == STORE) {
        // It measures the command itself.
        process::run(process::cargo().args(["build", "--release", "--package", "sphere-userspace"]))?;
    }
    let mut command = process::cargo();
    command.args(["bench", "--package", "sphere-benches"]);
    match &options.name {
        Some(name) => command.args(["--bench", name]),
        None => command.arg("--benches"),
    };
    if options.json {
        command.args(["--", "--json"]);
    }
    process::run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}
