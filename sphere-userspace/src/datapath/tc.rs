//! Programs at tc: TCX links where the kernel has them (6.6), filters at clsact before.
//!
//! A filter cannot be pinned. It stays in the kernel by itself and is found again by its priority, handle and name;
//! it is replaced in place, never removed and added.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};

use sphere_common::abi::program;

use super::error::DatapathError;
use super::netlink::{self, Filter};
use super::pins::Side;
use super::sys::{self, AttachPoint};

/// Priority of the filter: before what people add without a priority (49152) and with the usual small numbers above.
const PRIORITY: u16 = 2;
/// Handle of the filter: "SP".
const HANDLE: TcHandle = TcHandle::new(0, 0x5350);

/// How a program is attached to tc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcHook {
    /// A link that can be pinned.
    Tcx,
    /// A filter at the clsact queueing discipline.
    Clsact,
}

impl TcHook {
    /// Word for people and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// Name of the program that guards a side at tc.
pub(super) fn name_at_tc(side: Side) -> &'static str {
    match side {
        Side::Ingress => program::INGRESS_TC,
        Side::Egress => program::EGRESS,
    }
}

/// One side of one interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) interface: &'a str,
    pub(super) ifindex: u32,
    pub(super) side: Side,
}

impl Place<'_> {
    fn point(self) -> AttachPoint {
        match self.side {
            Side::Ingress => AttachPoint::TcxIngress,
            Side::Egress => AttachPoint::TcxEgress,
        }
    }

    fn aya(self) -> TcAttachType {
        match self.side {
            Side::Ingress => TcAttachType::Ingress,
            Side::Egress => TcAttachType::Egress,
        }
    }
}

/// Attaches by a TCX link, first of all; `None` when this kernel has no TCX.
pub(super) fn attach_tcx(place: Place<'_>, program: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    match sys::link_create(program, place.ifindex, place.point(), sys::FIRST) {
        Ok(link) => Ok(Some(link)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts the pinned program into our filter, which is made when it is not there.
pub(super) fn attach_clsact(place: Place<'_>, name: &'static str, pinned: &Path) -> Result<(), DatapathError> {
    let failed =
        |source: ProgramError| DatapathError::Filter { program: name, interface: place.interface.to_owned(), source };
    let existing = ours(place, name)?;
    let mut program = SchedClassifier::from_pin(pinned).map_err(failed)?;
    let id = if existing.is_some() {
        let link = SchedClassifierLink::attached(place.interface, place.aya(), PRIORITY, HANDLE, None);
        program.attach_to_link(link.map_err(|e| failed(TcError::IoError(e).into()))?).map_err(failed)?
    } else {
        match tc::qdisc_add_clsact(place.interface) {
            Err(error) if !is_there(&error) => return Err(failed(error.into())),
            _ => {}
        }
        let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
        program.attach_with_options(place.interface, place.aya(), TcAttachOptions::Netlink(options)).map_err(failed)?
    };
    // Dropping the link would remove the filter, which is to stay.
    std::mem::forget(program.take_link(id).map_err(failed)?);
    match ours(place, name)? {
        Some(_) => Ok(()),
        None => Err(failed(ProgramError::NotAttached)),
    }
}

/// Our filter at this place; an error when somebody else's has its priority and handle.
pub(super) fn ours(place: Place<'_>, name: &str) -> Result<Option<Filter>, DatapathError> {
    let filters = netlink::filters(place.ifindex, place.side)?;
    match filters.into_iter().find(|f| f.priority == PRIORITY && f.handle == u32::from(HANDLE)) {
        Some(filter) if filter.name == name => Ok(Some(filter)),
        Some(filter) => {
            Err(DatapathError::ForeignFilter { interface: place.interface.to_owned(), filter: filter.name })
        }
        None => Ok(None),
    }
}

/// Removes our filter; that it is not there is no error.
pub(super) fn detach_clsact(place: Place<'_>, name: &'static str) -> Result<(), DatapathError> {
    if ours(place, name)?.is_none() {
        return Ok(());
    }
    let failed =
        |source: ProgramError| DatapathError::Filter { program: name, interface: place.interface.to_owned(), source };
    let link = SchedClassifierLink::attached(place.interface, place.aya(), PRIORITY, HANDLE, None)
        .map_err(|e| failed(TcError::IoError(e).into()))?;
    // A link that aya was given is detached when it is dropped; whether that worked is seen in the kernel.
    drop(link);
    match ours(place, name)? {
        None => Ok(()),
        Some(_) => Err(failed(ProgramError::NotAttached)),
    }
}

fn is_there(error: &TcError) -> bool {
    match error {
        TcError::NetlinkError(error) => error.raw_os_error() == Some(libc::EEXIST),
        TcError::AlreadyAttached => true,
        _ => false,
    }
}
