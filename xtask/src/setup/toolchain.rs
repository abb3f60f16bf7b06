//! A compiler that can build `core` for the BPF target: one whose sources are installed.
//!
//! Two ways are supported. A rustup toolchain with the component rust-src; or Debian's packages of the current
//! compiler (rustc-web, cargo-web, rust-web-src), which rustup does not know of and which are named by their paths, for
//! `cargo` on the search path is usually rustup's. Both get `RUSTC_BOOTSTRAP=1`, because `-Z build-std` is unstable.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::apt;
use crate::{console, process};

/// Chooses one of the two ways: `rustup` or `debian`.
const CHOICE: &str = "SPHERE_EBPF_TOOLCHAIN";
/// The oldest compiler that builds the workspace: `rust-version` of Cargo.toml.
const OLDEST: (u32, u32) = (1, 95);
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_CLIPPY: &str = "rust-web-clippy";

/// A compiler with the sources of core.
pub(crate) struct Toolchain {
    name: String,
    release: String,
    /// Its cargo.
    pub(crate) cargo: PathBuf,
    /// Its compiler.
    pub(crate) rustc: PathBuf,
    /// The major version of the LLVM whose bitcode it writes.
    pub(crate) llvm: u32,
}

impl Toolchain {
    /// Finds or installs the lints of the same release; they cannot read what another compiler wrote.
    pub(crate) fn ensure_clippy(&self) -> Result<()> {
        let directory = self.cargo.parent().context("cargo lies in no directory")?;
        let present = || ["cargo-clippy", "clippy-driver"].iter().all(|program| directory.join(program).exists());
        if !present() && self.cargo == Path::new(DEBIAN_CARGO) {
            apt::ensure(&[DEBIAN_CLIPPY], "the lints of the data plane")?;
        }
        if !present() {
            let toolchain = self.name.trim_start_matches("rustup ");
            bail!("{toolchain} has no clippy: rustup component add clippy --toolchain {toolchain}");
        }
        Ok(())
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, release, llvm, .. } = self;
        write!(out, "{release} ({name}, LLVM {llvm})")
    }
}

/// Finds a usable toolchain, or installs one.
pub(super) fn ensure() -> Result<Toolchain> {
    let choice = std::env::var(CHOICE).ok();
    let (rustup_wanted, debian_wanted) = match choice.as_deref() {
        None | Some("") => (true, true),
        Some("rustup") => (true, false),
        Some("debian") => (false, true),
        Some(other) => bail!("{CHOICE}={other}: say rustup or debian"),
    };
    let mut refused = Vec::new();
    // Debian's is a released compiler, the same for everybody; a nightly is another one every day.
    let candidates = [(debian_wanted, find_debian as fn() -> Result<Toolchain>), (rustup_wanted, find_rustup)];
    for (_, find) in candidates.into_iter().filter(|(wanted, _)| *wanted) {
        match find() {
            Ok(toolchain) => return Ok(toolchain),
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    for reason in &refused {
        console::note(&format!("setup: {reason}"));
    }
    install(rustup_wanted, debian_wanted).or_else(|error| {
        bail!(
            "no compiler for the BPF target, and none could be installed ({error:#}); install one with\n  \
             rustup toolchain install nightly --component rust-src\n\
             or, on Debian 12 and later,\n  apt-get update && apt-get install {}",
            DEBIAN_PACKAGES.join(" ")
        )
    })
}

/// Debian's packages where they are new enough, for they bring a released compiler; else the sources for rustup's.
fn install(rustup_wanted: bool, debian_wanted: bool) -> Result<Toolchain> {
    let new_enough = |version: &str| numbers(version).is_some_and(|found| found >= OLDEST);
    if debian_wanted && apt::offers(&DEBIAN_PACKAGES, new_enough)? {
        match apt::install_newest(&DEBIAN_PACKAGES, "the eBPF compiler").and_then(|()| find_debian()) {
            Err(error) if rustup_wanted => console::note(&format!("setup: {error:#}")),
            done => return done,
        }
    }
    let rustup = process::find("rustup").filter(|_| rustup_wanted).context("neither apt nor rustup offers one")?;
    console::note("setup: installing the sources of core: rustup component add rust-src");
    process::run(Command::new(rustup).args(["component", "add", "rust-src"]))?;
    find_rustup()
}

/// A rustup toolchain with rust-src: nightly, or the active one.
fn find_rustup() -> Result<Toolchain> {
    let rustup = process::find("rustup").context("rustup is not installed")?;
    let listed = process::read(Command::new(&rustup).args(["toolchain", "list"]))?;
    let nightly = listed.lines().filter(|line| line.starts_with("nightly"));
    let active = listed.lines().filter(|line| line.contains("active"));
    for line in nightly.chain(active) {
        let name = line.split_whitespace().next().unwrap_or_default();
        let which = |program: &str| -> Result<PathBuf> {
            let path = process::read(Command::new(&rustup).args(["which", "--toolchain", name, program]))?;
            Ok(PathBuf::from(path.trim()))
        };
        let found = which("rustc")
            .and_then(|rustc| Ok((rustc, which("cargo")?)))
            .and_then(|(rustc, cargo)| inspect(&format!("rustup {name}"), rustc, cargo));
        if let Ok(toolchain) = found {
            return Ok(toolchain);
        }
    }
    bail!("no toolchain of rustup (nightly or the active one) is new enough and has the component rust-src")
}

/// Debian's compiler, at its fixed place.
fn find_debian() -> Result<Toolchain> {
    let (rustc, cargo) = (PathBuf::from(DEBIAN_RUSTC), PathBuf::from(DEBIAN_CARGO));
    if !rustc.exists() || !cargo.exists() {
        bail!("Debian's rustc-web and cargo-web are not installed");
    }
    inspect("Debian", rustc, cargo)
}

/// Checks that a compiler is new enough and that the sources beside it are those of the same release.
fn inspect(name: &str, rustc: PathBuf, cargo: PathBuf) -> Result<Toolchain> {
    let version = process::read(Command::new(&rustc).arg("-vV"))?;
    let field = |key: &str| version.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let release = field("release:").context("rustc -vV names no release")?.to_owned();
    let llvm = field("LLVM version:").and_then(|llvm| llvm.split('.').next()?.parse().ok());
    let llvm = llvm.context("rustc -vV names no LLVM version")?;
    if numbers(&release).is_none_or(|found| found < OLDEST) {
        bail!("{name}: rustc {release} is older than {}.{}", OLDEST.0, OLDEST.1);
    }
    let sysroot = process::read(Command::new(&rustc).args(["--print", "sysroot"]))?;
    let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml");
    let Ok(sources) = sources.canonicalize() else {
        bail!("{name}: rustc {release} has no sources of core (rust-src)");
    };
    // Debian unpacks the sources to /usr/src/rustc-<release>; another release's core does not compile.
    let of_other_release = sources.components().find_map(|part| {
        let part = part.as_os_str().to_str()?.strip_prefix("rustc-")?;
        (part != release).then(|| part.to_owned())
    });
    if let Some(other) = of_other_release {
        bail!("{name}: rustc {release} has the sources of {other}: bring both to the same version");
    }
    Ok(Toolchain { name: name.to_owned(), release, cargo, rustc, llvm })
}

fn numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn a_release_is_compared_by_its_numbers() {
        assert_eq!(numbers("1.96.0"), Some((1, 96)));
        assert_eq!(numbers("1.97.0-nightly"), Some((1, 97)));
        assert!(numbers("1.100.0") > numbers("1.95.0"));
        assert_eq!(numbers("nonsense"), None);
    }
}
