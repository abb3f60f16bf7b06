//! Puts the programs on the device ports, and keeps them there.
//!
//! Ingress: native XDP; where the driver refuses, the same classifier at tc; generic XDP only when the policy asks.
//! Egress: tc. A link that is there is given another program in one step; nothing is ever detached in order to be
//! attached again, and nothing that Sphere did not attach is touched.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use sphere_common::abi::program;

use super::error::DatapathError;
use super::netlink::{Link, XdpMode};
use super::object::Programs;
use super::pins::{Part, Pins, Side, pin, remove_file, remove_link};
use super::port::{Attachment, attachment, link_info};
use super::sys::{self, AttachPoint};
use super::tc::{self, Place, TcHook, name_at_tc};
use super::undo::Undo;
use crate::policy::AttachMode;

/// A port that is to be guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// Name of the interface.
    pub interface: String,
    /// How the programs are to be attached.
    pub mode: AttachMode,
}

/// Attaches, and remembers what it did until [`Attacher::keep`].
#[derive(Debug)]
pub(super) struct Attacher<'a> {
    pins: &'a Pins,
    programs: &'a Programs,
    /// Directory in which `programs` are pinned.
    pinned: PathBuf,
    /// How to attach to tc; `None`: as the kernel can.
    hook: Option<TcHook>,
    undo: Vec<Undo>,
}

impl<'a> Attacher<'a> {
    /// Attaches these programs, which are pinned in `part` or in its successor.
    #[must_use]
    pub(super) fn new(pins: &'a Pins, programs: &'a Programs) -> Self {
        let next = pins.next(Part::Programs);
        let pinned = if next.is_dir() { next } else { pins.part(Part::Programs) };
        Self { pins, programs, pinned, hook: None, undo: Vec::new() }
    }

    /// Attaches to tc in this way only.
    #[must_use]
    pub(super) fn with_hook(mut self, hook: Option<TcHook>) -> Self {
        self.hook = hook;
        self
    }

    /// What was done stays.
    pub(super) fn keep(mut self) {
        self.undo.clear();
    }

    /// Whether a port could be guarded.
    ///
    /// # Errors
    ///
    /// When the interface is missing, or carries somebody else's program.
    pub(super) fn check(&self, spec: &PortSpec, links: &[Link]) -> Result<(), DatapathError> {
        let link = find(links, spec)?;
        if spec.mode != AttachMode::Tc && attachment(self.pins, link, Side::Ingress)?.is_none() {
            self.refuse_foreign(link)?;
        }
        for side in Side::ALL {
            tc::ours(Place { interface: &link.name, ifindex: link.ifindex, side }, name_at_tc(side))?;
        }
        Ok(())
    }

    /// Guards both sides of a port.
    ///
    /// # Errors
    ///
    /// When the interface is missing, carries somebody else's program, or the kernel refuses.
    pub(super) fn port(&mut self, spec: &PortSpec, links: &[Link]) -> Result<(), DatapathError> {
        let link = find(links, spec)?;
        self.ingress(spec, link)?;
        self.tc_side(link, Side::Egress)
    }

    fn ingress(&mut self, spec: &PortSpec, link: &Link) -> Result<(), DatapathError> {
        let current = attachment(self.pins, link, Side::Ingress)?;
        let suits = match (&current, spec.mode) {
            (Some(Attachment::Xdp(XdpMode::Native)), AttachMode::Auto | AttachMode::Xdp)
            | (Some(Attachment::Xdp(XdpMode::Generic)), AttachMode::Generic) => true,
            (Some(Attachment::Tc(_)), AttachMode::Auto | AttachMode::Tc) => return self.tc_side(link, Side::Ingress),
            _ => false,
        };
        let pin = self.pins.link(&link.name, Side::Ingress);
        if suits {
            return self.update(&link.name, &pin, &self.programs.ingress, program::INGRESS);
        }
        let done = self.undo.len();
        match spec.mode {
            AttachMode::Tc => self.move_to_tc(link, current)?,
            AttachMode::Auto | AttachMode::Xdp | AttachMode::Generic => self.move_to_xdp(spec, link, current)?,
        }
        if current.is_some() {
            // Undoing a change of mode would leave the port without a guard.
            self.undo.truncate(done);
        }
        Ok(())
    }

    /// From nothing or XDP to tc.
    fn move_to_tc(&mut self, link: &Link, current: Option<Attachment>) -> Result<(), DatapathError> {
        // The old link is held until the new one works.
        let old = current.map(|_| self.hold(&link.name)).transpose()?;
        if old.is_some() {
            remove_file(&self.pins.link(&link.name, Side::Ingress))?;
        }
        let made = self.tc_side(link, Side::Ingress);
        match (&made, old) {
            (Ok(()), Some(old)) => {
                sys::link_detach(old.as_fd()).map_err(|e| attach_error(program::INGRESS_TC, &link.name, e))?;
            }
            (Err(_), Some(old)) => pin(old.as_fd(), &self.pins.link(&link.name, Side::Ingress))?,
            (_, None) => {}
        }
        made
    }

    /// From nothing, tc or another mode of XDP to XDP; a driver's refusal leads to tc in `auto` mode.
    fn move_to_xdp(&mut self, spec: &PortSpec, link: &Link, current: Option<Attachment>) -> Result<(), DatapathError> {
        let pinned = self.pins.link(&link.name, Side::Ingress);
        if matches!(current, Some(Attachment::Xdp(_))) {
            // Two modes of XDP exclude each other: tc guards the port while one takes the place of the other.
            self.move_to_tc(link, current)?;
        } else {
            self.refuse_foreign(link)?;
        }
        let flags = if spec.mode == AttachMode::Generic { sys::XDP_GENERIC } else { sys::XDP_NATIVE };
        match sys::link_create(self.programs.ingress.as_fd(), link.ifindex, AttachPoint::Xdp, flags) {
            Ok(made) => {
                // The pin of a tc link goes only now that XDP guards the port.
                self.remove_tc(link, Side::Ingress)?;
                pin(made.as_fd(), &pinned)?;
                self.undo.push(Undo::Unpin(pinned));
                Ok(())
            }
            Err(error) if spec.mode == AttachMode::Auto && refused_by_driver(&error) => {
                tracing::info!(interface = %link.name, %error, "no native XDP, attaching to tc");
                self.tc_side(link, Side::Ingress)
            }
            Err(source) if refused_by_driver(&source) => {
                Err(DatapathError::NativeXdp { interface: link.name.clone(), source })
            }
            Err(source) => Err(attach_error(program::INGRESS, &link.name, source)),
        }
    }

    fn refuse_foreign(&self, link: &Link) -> Result<(), DatapathError> {
        match link.xdp.first() {
            Some(xdp) => Err(DatapathError::ForeignXdp {
                interface: link.name.clone(),
                id: xdp.program,
                program: program_name(xdp.program),
            }),
            None => Ok(()),
        }
    }

    /// Guards one side at tc.
    fn tc_side(&mut self, link: &Link, side: Side) -> Result<(), DatapathError> {
        let (fd, name) = match side {
            Side::Ingress => (&self.programs.ingress_tc, program::INGRESS_TC),
            Side::Egress => (&self.programs.egress, program::EGRESS),
        };
        let place = Place { interface: &link.name, ifindex: link.ifindex, side };
        let pinned = self.pins.link(&link.name, side);
        match attachment(self.pins, link, side)? {
            Some(Attachment::Tc(TcHook::Tcx)) => return self.update(&link.name, &pinned, fd, name),
            Some(Attachment::Tc(TcHook::Clsact)) => return tc::attach_clsact(place, name, &self.pinned.join(name)),
            // A link that died with its interface, or one to an interface that has another name now.
            Some(Attachment::Xdp(_)) | None => remove_link(&pinned)?,
        }
        if self.hook != Some(TcHook::Clsact) {
            let made = tc::attach_tcx(place, fd.as_fd()).map_err(|e| attach_error(name, &link.name, e))?;
            if let Some(made) = made {
                pin(made.as_fd(), &pinned)?;
                self.undo.push(Undo::Unpin(pinned));
                return Ok(());
            }
        }
        tc::attach_clsact(place, name, &self.pinned.join(name))?;
        self.undo.push(Undo::Filter {
            interface: link.name.clone(),
            ifindex: link.ifindex,
            side,
            mark: pinned.clone(),
        });
        self.pins.mark(&pinned, &format!("clsact:{}", link.ifindex))
    }

    /// Removes what guards one side at tc.
    fn remove_tc(&self, link: &Link, side: Side) -> Result<(), DatapathError> {
        let pinned = self.pins.link(&link.name, side);
        if pinned.is_symlink() {
            tc::detach_clsact(Place { interface: &link.name, ifindex: link.ifindex, side }, name_at_tc(side))?;
        }
        remove_link(&pinned)
    }

    /// Puts the program behind a pinned link, unless it is there already.
    fn update(
        &mut self,
        interface: &str,
        pinned: &Path,
        program: &OwnedFd,
        name: &'static str,
    ) -> Result<(), DatapathError> {
        let failed = |source| attach_error(name, interface, source);
        let link = sys::open(pinned).map_err(failed)?;
        let current = link_info(link.as_fd()).map_err(failed)?.program;
        if current == sys::program_id(program.as_fd()).map_err(failed)? {
            return Ok(());
        }
        let old = self.program_now(current, name).map_err(failed)?;
        sys::link_update(link.as_fd(), program.as_fd()).map_err(failed)?;
        self.undo.push(Undo::Restore { link, program: old });
        Ok(())
    }

    /// The program behind a link: the pinned one of its name, or else by its number, which needs more privileges.
    fn program_now(&self, id: u32, name: &str) -> io::Result<OwnedFd> {
        let pinned = sys::open(&self.pins.program(name)).ok();
        let same = pinned.filter(|program| sys::program_id(program.as_fd()).is_ok_and(|pinned| pinned == id));
        same.map_or_else(|| sys::program_by_id(id), Ok)
    }

    fn hold(&self, interface: &str) -> Result<OwnedFd, DatapathError> {
        let pinned = self.pins.link(interface, Side::Ingress);
        sys::open(&pinned).map_err(|e| super::pins::pin_error("open", &pinned, e))
    }
}

impl Drop for Attacher<'_> {
    /// Undoes, latest first, what was not kept.
    fn drop(&mut self) {
        let pin_root = self.pins.root().display();
        for step in self.undo.drain(..).rev() {
            if let Err(error) = step.undo() {
                tracing::error!(%error, "could not undo: run `sphere detach --pin-root {pin_root}`");
            }
        }
    }
}

fn find<'l>(links: &'l [Link], spec: &PortSpec) -> Result<&'l Link, DatapathError> {
    let found = links.iter().find(|link| link.name == spec.interface);
    found.ok_or_else(|| DatapathError::NoInterface { interface: spec.interface.clone() })
}

/// Name of a program of anybody.
fn program_name(id: u32) -> String {
    let found = aya::programs::loaded_programs().filter_map(Result::ok).find(|info| info.id() == id);
    let name = found.and_then(|info| info.name_as_str().map(str::to_owned));
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "without a name".to_owned())
}

/// No native XDP in this driver, or not with this MTU, these queues or offloads.
fn refused_by_driver(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ERANGE | libc::E2BIG | libc::ENOMEM))
}

pub(super) fn attach_error(program: &'static str, interface: &str, source: io::Error) -> DatapathError {
    DatapathError::Attach { program, interface: interface.to_owned(), source }
}
