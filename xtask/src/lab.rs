//! `cargo xtask lab`: set up, build, and hand over to `sphere-lab` as root.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::{build, privilege, setup};

/// Runs `sphere-lab` with the arguments and passes its exit status on.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    // Asked first: whoever cannot run the lab should not wait for a build to learn it.
    privilege::command("true", "make network namespaces and load BPF programs")?;
    setup::lab_packages()?;
    let binaries = build::run(&build::Options::default())?;
    let program = binaries.join("sphere-lab");
    let program = program.to_str().context("the path of the repository is not UTF-8")?;
    let mut command = privilege::command(program, "make network namespaces and load BPF programs")?;
    command.args(arguments);
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
