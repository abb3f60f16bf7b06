//! What can go wrong between the daemon and the kernel, and what a person can do about it.

use std::io;
use std::path::PathBuf;

/// An operation on the data plane that failed. Nothing half-done is left behind.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// The binary carries no object.
    #[error(
        "this binary was built without the data plane: build it with `cargo xtask build`, then build `sphere` again"
    )]
    NoObject,
    /// The pin directory is not on a BPF file system.
    #[error("{} is not on a BPF file system: mount one with `mount -t bpf bpf {}`", path.display(), mount.display())]
    NoBpffs {
        /// Pin directory asked for.
        path: PathBuf,
        /// Where to mount.
        mount: PathBuf,
    },
    /// A privilege is missing.
    #[error(
        "missing {capability}: run as root, or give the service AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON"
    )]
    NoCapability {
        /// Name of the capability.
        capability: &'static str,
    },
    /// Held answers cannot be sent on.
    #[error("cannot send on answers that are held (dns_hold): give the service CAP_NET_RAW, or set dns_hold = \"off\"")]
    Sender {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel lacks something.
    #[error("this kernel lacks {feature}: Sphere needs Linux 5.18 or later")]
    NoKernelFeature {
        /// What is missing.
        feature: &'static str,
    },
    /// Another daemon holds the lock.
    #[error("another sphere daemon is running on {}: stop it first, or use another pin root", pin_root.display())]
    AnotherDaemon {
        /// Its pin directory.
        pin_root: PathBuf,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// Lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No such interface.
    #[error("interface {interface} does not exist: create it, or correct its name in the policy")]
    NoInterface {
        /// Name from the policy.
        interface: String,
    },
    /// Somebody else's XDP program.
    #[error(
        "interface {interface} already carries the XDP program {program} (id {id}), which is not of this pin root: {}",
        remedy_of_foreign(interface, program)
    )]
    ForeignXdp {
        /// Interface.
        interface: String,
        /// Number of the program.
        id: u32,
        /// Its name.
        program: String,
    },
    /// Somebody else's tc filter.
    #[error(
        "interface {interface} already carries the tc filter {filter} at Sphere's priority and handle: remove it first \
         (of another Sphere: `sphere detach --pin-root DIR`)"
    )]
    ForeignFilter {
        /// Interface.
        interface: String,
        /// Name of the filter.
        filter: String,
    },
    /// The driver refuses native XDP, and the policy demands it.
    #[error("the driver of {interface} refuses native XDP: use mode = \"auto\" or \"tc\" for this interface")]
    NativeXdp {
        /// Interface.
        interface: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Attaching failed.
    #[error("cannot attach {program} to {interface}")]
    Attach {
        /// Program.
        program: &'static str,
        /// Interface.
        interface: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// aya's tc code failed.
    #[error("cannot attach {program} to {interface} through clsact")]
    Filter {
        /// Program.
        program: &'static str,
        /// Interface.
        interface: String,
        /// Why.
        #[source]
        source: aya::programs::ProgramError,
    },
    /// The object cannot be loaded.
    #[error("cannot load the data plane")]
    Object(#[source] Box<aya::EbpfError>),
    /// A program was refused.
    #[error("the kernel refuses the program {program}")]
    Program {
        /// Program.
        program: &'static str,
        /// Why.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// The object lacks a part.
    #[error("the data plane lacks {name}: it was built from other sources")]
    Missing {
        /// Map or program.
        name: &'static str,
    },
    /// Key or value sizes differ.
    #[error("the map {map} has another layout than this daemon")]
    Layout {
        /// Map.
        map: &'static str,
    },
    /// A map has no more room.
    #[error("the map {map} is full ({capacity} entries): raise its limit in [limits] of the policy")]
    Full {
        /// Map.
        map: &'static str,
        /// Entries it has room for.
        capacity: u32,
    },
    /// A map operation failed.
    #[error("{operation} in the map {map} failed")]
    Map {
        /// Map.
        map: &'static str,
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A pin operation failed.
    #[error("cannot {operation} {}", path.display())]
    Pin {
        /// What was tried.
        operation: &'static str,
        /// Pin.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing is pinned.
    #[error("nothing is enforced from {}: no pinned data plane there", pin_root.display())]
    NotPinned {
        /// Pin directory.
        pin_root: PathBuf,
    },
    /// A question to the kernel over netlink failed.
    #[error("cannot {operation}")]
    Netlink {
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tick rate could not be found.
    #[error("cannot find the kernel's tick rate: {detail}")]
    Clock {
        /// What was seen.
        detail: String,
    },
}

/// What to do about an XDP program of somebody else: of another pin root, where it is one of ours.
fn remedy_of_foreign(interface: &str, program: &str) -> String {
    if program == sphere_common::abi::program::INGRESS {
        return "end what runs there with `sphere detach --pin-root DIR`, or run on that pin root".to_owned();
    }
    format!("detach it first (`ip link set dev {interface} xdp off`), or set mode = \"tc\" for this interface")
}

impl DatapathError {
    /// The operating system's number, where a system call failed.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return io.raw_os_error();
            }
            source = error.source();
        }
        None
    }
}
