//! What guards a port now, as the kernel says.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::error::DatapathError;
use super::netlink::{Link, XdpMode};
use super::pins::{Pins, Side, pin_error};
use super::sys;
use super::tc::{self, Place, TcHook, name_at_tc};

/// `BPF_LINK_TYPE_XDP`.
const LINK_XDP: u32 = 6;
/// `BPF_LINK_TYPE_TCX`.
const LINK_TCX: u32 = 11;

/// What guards one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// XDP, in this mode.
    Xdp(XdpMode),
    /// tc.
    Tc(TcHook),
}

impl Attachment {
    /// Word for people and records, at ingress.
    #[must_use]
    pub const fn ingress_word(self) -> &'static str {
        match self {
            Self::Xdp(XdpMode::Native) => "xdp-native",
            Self::Xdp(XdpMode::Generic) => "xdp-generic",
            Self::Xdp(XdpMode::Offload) => "xdp-offload",
            Self::Tc(_) => "tc",
        }
    }

    /// Word for people and records, at egress.
    #[must_use]
    pub const fn egress_word(self) -> &'static str {
        match self {
            Self::Tc(hook) => hook.word(),
            Self::Xdp(_) => self.ingress_word(),
        }
    }
}

/// A port, and whether it is guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortState {
    /// Name of the interface.
    pub interface: String,
    /// Its index, while it exists.
    pub ifindex: Option<u32>,
    /// What it is called now, where that is something else.
    pub renamed: Option<String>,
    /// What guards packets from devices.
    pub ingress: Option<Attachment>,
    /// What guards packets to devices.
    pub egress: Option<Attachment>,
}

impl PortState {
    /// Why the port is not guarded, if it is not.
    #[must_use]
    pub fn unprotected(&self) -> Option<String> {
        if let Some(name) = &self.renamed {
            return Some(format!("the interface is called {name} now"));
        }
        let why = match (self.ifindex, self.ingress, self.egress) {
            (None, _, _) => "the interface is gone",
            (_, None, None) => "no program is attached",
            (_, None, _) => "no program is attached at ingress",
            (_, _, None) => "no program is attached at egress",
            (Some(_), Some(_), Some(_)) => return None,
        };
        Some(why.to_owned())
    }
}

/// The state of a port.
///
/// # Errors
///
/// When the kernel does not answer.
pub fn port_state(pins: &Pins, interface: &str, links: &[Link]) -> Result<PortState, DatapathError> {
    let named = links.iter().find(|link| link.name == interface);
    let link = named.or_else(|| {
        let pinned = pinned_ifindex(pins, interface)?;
        links.iter().find(|link| link.ifindex == pinned)
    });
    let mut state =
        PortState { interface: interface.to_owned(), ifindex: None, renamed: None, ingress: None, egress: None };
    if let Some(link) = link {
        state.ifindex = Some(link.ifindex);
        state.renamed = named.is_none().then(|| link.name.clone());
        // The pins have the name that it was guarded under.
        let link = Link { name: interface.to_owned(), ..link.clone() };
        state.ingress = attachment(pins, &link, Side::Ingress)?;
        state.egress = attachment(pins, &link, Side::Egress)?;
    }
    Ok(state)
}

/// Index of the interface that the pinned links of a name belong to; [`None`] when there are none, or it is gone.
fn pinned_ifindex(pins: &Pins, interface: &str) -> Option<u32> {
    let of_side = |side| {
        let pinned = pins.link(interface, side);
        if let Ok(mark) = fs::read_link(&pinned) {
            return mark.to_str()?.strip_prefix("clsact:")?.parse().ok();
        }
        let info = link_info(sys::open(&pinned).ok()?.as_fd()).ok()?;
        (info.ifindex != 0).then_some(info.ifindex)
    };
    Side::ALL.into_iter().find_map(of_side)
}

/// What of ours guards one side of an interface.
pub(super) fn attachment(pins: &Pins, link: &Link, side: Side) -> Result<Option<Attachment>, DatapathError> {
    let pinned = pins.link(&link.name, side);
    if pinned.is_symlink() {
        let place = Place { interface: &link.name, ifindex: link.ifindex, side };
        let filter = tc::ours(place, name_at_tc(side))?;
        return Ok(filter.map(|_| Attachment::Tc(TcHook::Clsact)));
    }
    let fd = match sys::open(&pinned) {
        Ok(fd) => fd,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(pin_error("open", &pinned, error)),
    };
    let info = link_info(fd.as_fd()).map_err(|e| pin_error("read", &pinned, e))?;
    // 0 when the interface is gone, another number when it has changed its name.
    if info.ifindex != link.ifindex {
        return Ok(None);
    }
    Ok(match info.kind {
        LINK_XDP => link.xdp.iter().find(|xdp| xdp.program == info.program).map(|xdp| Attachment::Xdp(xdp.mode)),
        LINK_TCX => Some(Attachment::Tc(TcHook::Tcx)),
        _ => None,
    })
}

/// What the kernel says of a link.
pub(super) fn link_info(fd: BorrowedFd<'_>) -> io::Result<sys::LinkInfo> {
    sys::info(fd)
}
