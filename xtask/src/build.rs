//! `cargo xtask build`: the data plane for the BPF target, then the daemon that embeds it, then the lab.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, BpfTools};
use crate::{console, process, tree};

/// Compiler flags of the data plane. The cfg tells aya-ebpf whose registers a context holds.
const BPF_RUSTFLAGS: [&str; 2] = [
    // Debug information becomes BTF, which names maps and functions to the kernel.
    "-Cdebuginfo=2",
    "-Clink-arg=--btf",
];
const BPF_TARGET: &str = "bpfel-unknown-none";
/// When set, the object that is there is used as it is.
const SKIP: &str = "SPHERE_SKIP_EBPF";

#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Optimise the daemon and the lab (the data plane always is)
    #[arg(long)]
    pub(crate) release: bool,
    /// Let the data plane log each denied packet: for debugging only, formatting in the hot path costs
    #[arg(long)]
    pub(crate) datapath_log: bool,
}

/// Builds everything and returns the directory of the binaries.
pub(crate) fn run(options: &Options) -> Result<PathBuf> {
    data_plane(options)?;
    let mut command = process::cargo();
    command.args(["build", "--package", "sphere-userspace", "--package", "sphere-lab"]);
    if options.release {
        command.arg("--release");
    }
    if options.datapath_log {
        command.args(["--features", "sphere-userspace/datapath-log"]);
    }
    process::run(&mut command)?;
    let binaries = tree::target().join(if options.release { "release" } else { "debug" });
    console::note(&format!("build: {}", binaries.join("sphere").display()));
    Ok(binaries)
}

/// Builds the object of the two programs, or takes the one that is there when told to.
pub(crate) fn data_plane(options: &Options) -> Result<()> {
    let object = tree::object();
    if process::switch(SKIP) {
        if !object.exists() {
            bail!("{SKIP} is set, but there is no data plane at {}: build it once without", object.display());
        }
        console::note(&format!("build: data plane as it is ({SKIP} is set): {}", object.display()));
        return Ok(());
    }
    let tools = setup::bpf_tools()?;
    let start = Instant::now();
    let mut command = bpf_cargo(&tools, "build");
    if options.datapath_log {
        command.args(["--features", "datapath-log"]);
    }
    process::run(&mut command).context("cannot build the data plane")?;
    let size = std::fs::metadata(&object).with_context(|| format!("no object at {}", object.display()))?.len();
    let taken = start.elapsed();
    console::note(&format!("build: data plane {} ({size} bytes, {taken:.1?})", object.display()));
    Ok(())
}

/// A cargo command on sphere-ebpf for the BPF target.
pub(crate) fn bpf_cargo(tools: &BpfTools, subcommand: &str) -> Command {
    let architecture = std::env::consts::ARCH;
    let architecture_flag = format!("--cfg=bpf_target_arch=\"{architecture}\"");
    let flags: Vec<&str> = std::iter::once(architecture_flag.as_str()).chain(BPF_RUSTFLAGS).collect();
    let mut command = Command::new(&tools.toolchain.cargo);
    process::forget_outer_cargo(&mut command);
    command
        .current_dir(tree::root())
        .args([subcommand, "--package", "sphere-ebpf", "--profile", "bpf"])
        .args(["--target", BPF_TARGET, "-Z", "build-std=core"])
        .env("RUSTC", &tools.toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", tree::bpf_target())
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &tools.linker)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    for inherited in ["CARGO", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(inherited);
    }
    command
}
