//! Tiers that are one check each: format, lints, documentation.

use std::process::Command;

use anyhow::Result;

use super::{Options, Outcome};
use crate::{build, process, setup, tree};

/// The crates that build for the host.
const HOST: [&str; 3] = ["--workspace", "--exclude", "sphere-ebpf"];
/// The fuzz targets, a workspace of their own.
const FUZZ: &str = "fuzz/Cargo.toml";

/// rustfmt has nothing to change.
pub(super) fn format(_: &Options) -> Result<Outcome> {
    if let Some(skipped) = missing_component("fmt", "rustfmt") {
        return Ok(skipped);
    }
    process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
    process::run(process::cargo().args(["fmt", "--check", "--manifest-path", FUZZ]))?;
    Ok(Outcome::PASSED)
}

/// clippy has nothing to say about the host's crates.
pub(super) fn lints(_: &Options) -> Result<Outcome> {
    if let Some(skipped) = missing_component("clippy", "clippy") {
        return Ok(skipped);
    }
    let mut command = process::cargo();
    command.arg("clippy").args(HOST).args(["--all-targets", "--all-features", "--", "-D", "warnings"]);
    process::run(&mut command)?;
    let mut command = process::cargo();
    command.args(["clippy", "--manifest-path", FUZZ, "--no-default-features", "--all-targets", "--", "-D", "warnings"]);
    process::run(command.env("CARGO_TARGET_DIR", tree::target()))?;
    Ok(Outcome::PASSED)
}

/// clippy has nothing to say about the data plane, compiled for the BPF target.
pub(super) fn data_plane_lints(_: &Options) -> Result<Outcome> {
    let tools = setup::bpf_tools()?;
    if let Err(error) = tools.toolchain.ensure_clippy() {
        return Ok(Outcome::Skipped(format!("{error:#}")));
    }
    // What `cargo clippy` does, without asking cargo for the subcommand: it would find rustup's first.
    let driver = tools.toolchain.rustc.with_file_name("clippy-driver");
    let mut command = build::bpf_cargo(&tools, "check");
    process::run(command.env("RUSTC_WORKSPACE_WRAPPER", driver).env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__"))?;
    Ok(Outcome::PASSED)
}

/// The documentation builds, and its links lead somewhere.
pub(super) fn documentation(_: &Options) -> Result<Outcome> {
    let mut command = process::cargo();
    command.arg("doc").args(HOST).args(["--no-deps", "--document-private-items"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::PASSED)
}

fn missing_component(subcommand: &str, component: &str) -> Option<Outcome> {
    let mut command: Command = process::cargo();
    let present = process::read(command.args([subcommand, "--version"])).is_ok();
    (!present).then(|| Outcome::Skipped(format!("cargo {subcommand} is missing: rustup component add {component}")))
}
