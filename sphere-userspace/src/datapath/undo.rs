//! What attaching has done so far, and how to take it back.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use super::attach::attach_error;
use super::error::DatapathError;
use super::pins::{Side, remove_file, remove_link};
use super::sys;
use super::tc::{self, Place, name_at_tc};

/// One thing done that can be undone.
#[derive(Debug)]
pub(super) enum Undo {
    /// A link made: its pin goes.
    Unpin(PathBuf),
    /// A link updated: the program that it had.
    Restore { link: OwnedFd, program: OwnedFd },
    /// A filter made.
    Filter { interface: String, ifindex: u32, side: Side, mark: PathBuf },
}

impl Undo {
    /// Takes it back.
    pub(super) fn undo(self) -> Result<(), DatapathError> {
        match self {
            Self::Unpin(path) => remove_link(&path),
            Self::Restore { link, program } => sys::link_update(link.as_fd(), program.as_fd())
                .map_err(|e| attach_error("the previous program", "its interface", e)),
            Self::Filter { interface, ifindex, side, mark } => {
                tc::detach_clsact(Place { interface: &interface, ifindex, side }, name_at_tc(side))?;
                remove_file(&mark)
            }
        }
    }
}
