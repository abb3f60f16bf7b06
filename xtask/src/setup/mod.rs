//! `cargo xtask setup`: what the build and the lab need from the machine.
//!
//! Finds before it installs, says which it did, and looks at the real thing each time (the compiler, its sources, the
//! linker, the package database): no stamp can go stale. A run that finds everything takes a fraction of a second.

pub(crate) mod apt;
mod collector;
mod linker;
mod toolchain;
pub(crate) mod unpack;

use std::path::PathBuf;

use anyhow::Result;

use crate::console;
use toolchain::Toolchain;

/// The lab's packages: one list, shared with the lab.
const LAB_PACKAGES: &str = include_str!("../../../lab/packages.txt");

/// What the machine with an older kernel needs: the emulator with its modules and firmware, a shell, and what the tests
/// call. All of the emulator is named: where it cannot be installed beside what is there, each package is unpacked alone.
const VM_PACKAGES: [&str; 9] = [
    "qemu-system-x86",
    "qemu-system-common",
    "qemu-system-data",
    "seabios",
    "busybox-static",
    "iproute2",
    "bpftool",
    "util-linux",
    "mount",
];

/// What builds the data plane.
pub(crate) struct BpfTools {
    /// The compiler with the sources of core.
    pub(crate) toolchain: Toolchain,
    /// The linker, whose LLVM reads what that compiler writes.
    pub(crate) linker: PathBuf,
}

/// Everything: the toolchain and the packages of the lab.
pub(crate) fn everything() -> Result<BpfTools> {
    let tools = bpf_tools()?;
    lab_packages()?;
    Ok(tools)
}

/// Finds or installs what builds the data plane.
pub(crate) fn bpf_tools() -> Result<BpfTools> {
    let toolchain = toolchain::ensure()?;
    let linker = linker::ensure(&toolchain)?;
    console::note(&format!("setup: eBPF compiler {toolchain}, linker {}", linker.display()));
    Ok(BpfTools { toolchain, linker })
}

/// Finds or installs the servers, clients and tools of the lab.
pub(crate) fn lab_packages() -> Result<()> {
    let packages: Vec<&str> =
        LAB_PACKAGES.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if !apt::available() {
        console::note(&format!(
            "setup: this is no Debian system: make sure that the commands of these packages are installed: {}",
            packages.join(" ")
        ));
        return collector::ensure();
    }
    let installed = apt::ensure(&packages, "the lab's servers, clients and tools")?;
    let packages = packages.len();
    console::note(&format!("setup: lab: {packages} packages present ({installed} installed now)"));
    collector::ensure()
}

/// Finds or installs what boots another kernel, and what the tests call there.
pub(crate) fn vm_packages() -> Result<()> {
    if !apt::available() {
        console::note(&format!(
            "setup: this is no Debian system: make sure that the commands of these packages are installed: {}",
            VM_PACKAGES.join(" ")
        ));
        return Ok(());
    }
    apt::ensure(&VM_PACKAGES, "an emulator for another kernel").map(drop)
}
