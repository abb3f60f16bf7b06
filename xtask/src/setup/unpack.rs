//! Packages that cannot be installed beside what the machine has, for instance a time server beside the one in use:
//! their files are unpacked into `target/tools/unpacked`, and nothing of the machine is replaced.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{process, tree};

fn archives() -> PathBuf {
    tree::tools().join("archives")
}

/// The directories with the unpacked programs, for the search path.
pub(crate) fn directories() -> Vec<PathBuf> {
    let unpacked = tree::tools().join("unpacked");
    let directories = ["usr/sbin", "usr/bin", "sbin", "bin"].map(|directory| unpacked.join(directory));
    directories.into_iter().filter(|directory| directory.is_dir()).collect()
}

/// Whether the package was unpacked.
pub(super) fn is_unpacked(package: &str) -> bool {
    archive(package).is_some_and(|archive| archive.with_extension("unpacked").exists())
}

/// Downloads the package, unpacks it, and returns the libraries that its programs need.
pub(super) fn unpack(package: &str) -> Result<Vec<String>> {
    let archive = download(package)?;
    let unpacked = tree::tools().join("unpacked");
    process::run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(unpacked))?;
    let depends = process::read(Command::new("dpkg-deb").arg("-f").arg(&archive).arg("Depends"))?;
    mark(&archive.with_extension("unpacked"))?;
    Ok(libraries(&depends))
}

/// Downloads the package and returns its archive.
pub(crate) fn download(package: &str) -> Result<PathBuf> {
    let archives = archives();
    std::fs::create_dir_all(&archives).with_context(|| format!("cannot make {}", archives.display()))?;
    process::read(Command::new("apt-get").current_dir(&archives).args(["-qq", "download", package]))?;
    let Some(archive) = archive(package) else {
        bail!("apt-get download left no archive of {package} in {}", archives.display());
    };
    Ok(archive)
}

fn mark(path: &Path) -> Result<()> {
    std::fs::write(path, []).with_context(|| format!("cannot write {}", path.display()))
}

fn archive(package: &str) -> Option<PathBuf> {
    let prefix = format!("{package}_");
    let entries = std::fs::read_dir(archives()).ok()?;
    entries.flatten().map(|entry| entry.path()).find(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&prefix) && name.ends_with(".deb")
    })
}

/// The libraries among the dependencies: what a program cannot start without.
fn libraries(depends: &str) -> Vec<String> {
    let first_choice = |clause: &str| clause.split('|').next()?.split_whitespace().next().map(str::to_owned);
    depends.split(',').filter_map(first_choice).filter(|name| name.starts_with("lib")).collect()
}

#[cfg(test)]
mod tests {
    use super::libraries;

    #[test]
    fn libraries_are_the_dependencies_with_such_names() {
        let depends = "adduser, ucf, libc6 (>= 2.34), libedit2 (>= 2.11), tzdata-legacy | tzdata, libcap2 (>= 1:2.10)";
        assert_eq!(libraries(depends), ["libc6", "libedit2", "libcap2"]);
    }
}
