//! Root: whether we are, and how to become it for one command.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::setup::unpack;

/// How a command gets root's rights here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// We are root.
    Root,
    /// Through sudo, which may ask for a password.
    Sudo,
    /// Not at all.
    Missing,
}

/// How a command gets root's rights on this machine.
pub(crate) fn here() -> Privilege {
    if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        Privilege::Root
    } else if process::find("sudo").is_some() {
        Privilege::Sudo
    } else {
        Privilege::Missing
    }
}

/// A command that runs as root, with the programs of the lab on its search path, whatever sudo makes of that.
/// `purpose` completes "root is needed to …".
pub(crate) fn command(program: &str, purpose: &str) -> Result<Command> {
    let path = process::path_with(&unpack::directories())?;
    let mut command = match here() {
        Privilege::Root => {
            let mut command = Command::new(program);
            command.env("PATH", path);
            command
        }
        Privilege::Sudo => {
            let mut assignment = OsString::from("PATH=");
            assignment.push(path);
            let mut command = Command::new("sudo");
            command.args(["--preserve-env", "env"]).arg(assignment).arg(program);
            command
        }
        Privilege::Missing => {
            bail!("root is needed to {purpose}, and sudo is not installed: run this command as root")
        }
    };
    process::forget_outer_cargo(&mut command);
    Ok(command)
}
