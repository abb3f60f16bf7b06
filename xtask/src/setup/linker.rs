//! bpf-linker, whose LLVM must read the bitcode that the compiler writes: the same major version or a newer one.
//!
//! It is built once per LLVM into `target/tools/bpf-linker-<version>-llvm-<major>`: the path says what it is, and
//! another compiler gets another linker.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::apt;
use super::toolchain::Toolchain;
use crate::{console, process, tree};

const VERSION: &str = "0.13.0";
/// The LLVMs that this version of bpf-linker can be built with.
const SUPPORTED: std::ops::RangeInclusive<u32> = 21..=23;

/// Finds or builds the linker for the toolchain.
pub(super) fn ensure(toolchain: &Toolchain) -> Result<PathBuf> {
    let majors = toolchain.llvm.max(*SUPPORTED.start())..=*SUPPORTED.end();
    if let Some(built) = majors.clone().map(built).find(|path| works(path)) {
        return Ok(built);
    }
    let llvm = match majors.clone().find(|major| llvm_config(*major).is_some()) {
        Some(major) => major,
        None => match install_llvm(toolchain.llvm) {
            Ok(()) => toolchain.llvm,
            Err(error) => return on_search_path().ok_or(error),
        },
    };
    if apt::available() {
        apt::ensure(&["zlib1g-dev", "libzstd-dev"], "libraries of LLVM")?;
    }
    build(llvm)
}

fn root(llvm: u32) -> PathBuf {
    tree::tools().join(format!("bpf-linker-{VERSION}-llvm-{llvm}"))
}

fn built(llvm: u32) -> PathBuf {
    root(llvm).join("bin/bpf-linker")
}

/// It starts: its LLVM is still installed.
fn works(linker: &Path) -> bool {
    linker.exists() && process::read(Command::new(linker).arg("--version")).is_ok()
}

fn llvm_config(major: u32) -> Option<PathBuf> {
    let debian = PathBuf::from(format!("/usr/lib/llvm-{major}/bin/llvm-config"));
    let complete = debian.exists() && Path::new(&format!("/usr/lib/llvm-{major}/include/llvm-c/Core.h")).exists();
    complete.then_some(debian)
}

fn install_llvm(major: u32) -> Result<()> {
    let package = format!("llvm-{major}-dev");
    if !SUPPORTED.contains(&major) {
        let (first, last) = (SUPPORTED.start(), SUPPORTED.end());
        bail!("the compiler writes bitcode of LLVM {major}, but bpf-linker {VERSION} knows LLVM {first} to {last}");
    }
    if !apt::available() {
        bail!(
            "LLVM {major} is not installed under /usr/lib/llvm-{major}; install it with its headers, or put a \
             bpf-linker built with it on the search path"
        );
    }
    apt::ensure(&[&package], "the LLVM of the eBPF linker")?;
    Ok(())
}

/// A linker that somebody else installed: its LLVM cannot be asked, so it is the last choice.
fn on_search_path() -> Option<PathBuf> {
    let linker = process::find("bpf-linker").filter(|path| works(path))?;
    console::note(&format!("setup: no LLVM to build bpf-linker with: trying {}", linker.display()));
    Some(linker)
}

fn build(llvm: u32) -> Result<PathBuf> {
    let config = llvm_config(llvm).with_context(|| format!("llvm-{llvm}-dev has no llvm-config"))?;
    let bin = config.parent().context("llvm-config lies in no directory")?;
    let prefix = bin.parent().context("llvm-config lies in no directory")?;
    console::note(&format!("setup: building bpf-linker {VERSION} with LLVM {llvm} (once, about a minute)"));
    let start = Instant::now();
    let mut command = process::cargo();
    command
        .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--quiet", "--force"])
        .args(["--no-default-features", "--features", &format!("llvm-{llvm}"), "--root"])
        .arg(root(llvm))
        .env("LLVM_PREFIX", prefix)
        .env("PATH", process::path_with(&[bin.to_owned()])?)
        .env("CARGO_TARGET_DIR", tree::tools().join("build"))
        .env_remove("RUSTFLAGS");
    process::run(&mut command).context("cannot build bpf-linker")?;
    let linker = built(llvm);
    if !works(&linker) {
        bail!("{} was built but does not start", linker.display());
    }
    console::note(&format!("setup: bpf-linker built in {:.0?}", start.elapsed()));
    Ok(linker)
}
