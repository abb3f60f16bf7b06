//! Exit codes, and which error ends in which.

use std::process::{ExitCode, Termination};

use super::export::NoGroup;
use super::filter::Backwards;
use super::reload::NoDaemon;
use super::top::TopError;
use crate::daemon::DaemonError;
use crate::datapath::DatapathError;
use crate::names::QueryError;
use crate::policy::PolicyErrors;
use crate::store::{ExportError, StoreError};

/// What `--help` says of the exit codes.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  unexpected failure
  2  wrong usage
  3  the policy is invalid
  4  a permission or capability is missing
  5  the environment does not allow it: no BPF file system, no such interface,
     no store, no daemon, a kernel feature or the data plane in this binary is
     missing
  6  conflict: somebody else's program on the interface, or another daemon
  7  done, but files of the store could not be read: the answer lacks them";

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something that was not foreseen.
    Failure = 1,
    /// Wrong usage.
    Usage = 2,
    /// The policy is invalid.
    Policy = 3,
    /// A permission or capability is missing.
    Permission = 4,
    /// The environment does not allow it.
    Environment = 5,
    /// Somebody else's program, or another daemon.
    Conflict = 6,
    /// Done without files of the store that could not be read.
    Incomplete = 7,
}

impl Exit {
    /// Warns of files of the store that are left out, and ends accordingly.
    pub(super) fn without(left_out: &[String]) -> Self {
        for file in left_out {
            tracing::warn!("left out: {file}");
        }
        if left_out.is_empty() { Self::Done } else { Self::Incomplete }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// The exit code of an error.
#[must_use]
pub fn exit_of(error: &anyhow::Error) -> Exit {
    if error.downcast_ref::<PolicyErrors>().is_some() {
        return Exit::Policy;
    }
    if error.downcast_ref::<QueryError>().is_some()
        || error.downcast_ref::<Backwards>().is_some()
        || error.downcast_ref::<NoGroup>().is_some()
    {
        return Exit::Usage;
    }
    if matches!(error.downcast_ref::<TopError>(), Some(TopError::NoTerminal)) {
        return Exit::Usage;
    }
    if error.downcast_ref::<NoDaemon>().is_some() {
        return Exit::Environment;
    }
    let of_export = match error.downcast_ref::<ExportError>() {
        Some(ExportError::Store(error)) => Some(error),
        Some(ExportError::NoFile { .. } | ExportError::OwnFile { .. }) => return Exit::Usage,
        Some(ExportError::Write { .. } | ExportError::Parquet { .. }) | None => None,
    };
    match of_export.or(error.downcast_ref::<StoreError>()) {
        Some(StoreError::Absent(_)) => return Exit::Environment,
        Some(StoreError::Closed(_)) => return Exit::Permission,
        Some(
            StoreError::Directory { .. }
            | StoreError::File { .. }
            | StoreError::Version { .. }
            | StoreError::Foreign { .. },
        )
        | None => {}
    }
    match error.downcast_ref::<DaemonError>() {
        Some(DaemonError::Datapath(error)) => exit_of_datapath(error),
        Some(DaemonError::Misfit(_)) => Exit::Policy,
        None => error.downcast_ref::<DatapathError>().map_or(Exit::Failure, exit_of_datapath),
    }
}

fn exit_of_datapath(error: &DatapathError) -> Exit {
    match error {
        DatapathError::NoCapability { .. } => Exit::Permission,
        DatapathError::NoObject
        | DatapathError::NoBpffs { .. }
        | DatapathError::NoKernelFeature { .. }
        | DatapathError::NoInterface { .. }
        | DatapathError::NativeXdp { .. }
        | DatapathError::NotPinned { .. } => Exit::Environment,
        DatapathError::AnotherDaemon { .. }
        | DatapathError::ForeignXdp { .. }
        | DatapathError::ForeignFilter { .. } => Exit::Conflict,
        DatapathError::Lock { .. }
        | DatapathError::Sender { .. }
        | DatapathError::Attach { .. }
        | DatapathError::Filter { .. }
        | DatapathError::Object(_)
        | DatapathError::Program { .. }
        | DatapathError::Missing { .. }
        | DatapathError::Layout { .. }
        | DatapathError::Full { .. }
        | DatapathError::Map { .. }
        | DatapathError::Pin { .. }
        | DatapathError::Netlink { .. }
        | DatapathError::Clock { .. } => match error.os_error() {
            // The verifier says EACCES, which is no missing permission.
            Some(libc::EPERM) => Exit::Permission,
            Some(libc::EACCES) if matches!(error, DatapathError::Pin { .. } | DatapathError::Lock { .. }) => {
                Exit::Permission
            }
            Some(libc::ENODEV) => Exit::Environment,
            _ => Exit::Failure,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        let pin = |errno| DatapathError::Pin {
            operation: "open",
            path: "/x".into(),
            source: io::Error::from_raw_os_error(errno),
        };
        for (error, exit) in [
            (DatapathError::NoCapability { capability: "CAP_BPF" }, Exit::Permission),
            (DatapathError::NoObject, Exit::Environment),
            (DatapathError::NoInterface { interface: "lan0".into() }, Exit::Environment),
            (DatapathError::AnotherDaemon { pin_root: "/x".into() }, Exit::Conflict),
            (pin(libc::EPERM), Exit::Permission),
            (pin(libc::EACCES), Exit::Permission),
            (pin(libc::EIO), Exit::Failure),
        ] {
            let text = error.to_string();
            assert_eq!(exit_of(&anyhow::Error::new(error).context("cannot run")), exit, "{text}");
        }
        let within = DaemonError::from(DatapathError::NoObject);
        assert_eq!(exit_of(&anyhow::Error::new(within).context("cannot run")), Exit::Environment);
        assert_eq!(exit_of(&anyhow::Error::new(TopError::NoTerminal)), Exit::Usage);
        assert_eq!(exit_of(&anyhow::anyhow!("what")), Exit::Failure);
    }
}
