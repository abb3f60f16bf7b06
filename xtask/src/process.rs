//! Other programs: run them, read what they say, and name them in the error when they fail.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};

use crate::tree;

/// Where the administrator's tools are, which a user's search path may lack.
const ADMINISTRATION: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The cargo that runs this xtask, for everything that is built for the host.
pub(crate) fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(tree::root());
    forget_outer_cargo(&mut command);
    command
}

/// Removes what `cargo run` sets for xtask itself: it would make the inner build look like a changed one.
pub(crate) fn forget_outer_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let set_by_cargo = name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || matches!(name.as_str(), "CARGO_PRIMARY_PACKAGE" | "LD_LIBRARY_PATH");
        if set_by_cargo {
            command.env_remove(&name);
        }
    }
}

/// Runs to the end with this terminal; an error unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", line(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", line(command));
    }
    Ok(())
}

/// Runs to the end and returns standard output; an error with standard error unless it succeeds.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", line(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end and returns everything, whatever the exit status.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.output().with_context(|| format!("cannot run {}", line(command)))
}

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The first executable of that name on the search path, or in the directories of the administrator's tools.
pub(crate) fn find(name: impl AsRef<Path>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(ADMINISTRATION.map(PathBuf::from))
        .map(|directory| directory.join(&name))
        .find(|candidate| candidate.is_file())
}

/// The search path with these directories in front, and those of the administrator's tools at the end.
pub(crate) fn path_with(first: &[PathBuf]) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let last = ADMINISTRATION.map(PathBuf::from);
    let directories = first.iter().cloned().chain(std::env::split_paths(&path)).chain(last);
    std::env::join_paths(directories).context("a directory of PATH contains a colon")
}

/// Whether a switch is set in the environment: to anything but nothing, `0` or `false`.
pub(crate) fn switch(name: impl AsRef<OsStr>) -> bool {
    std::env::var(name).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
