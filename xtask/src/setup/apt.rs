//! Debian packages: what is missing, and installing it without touching what runs on the machine.
//!
//! A Debian package of a server starts it and enables it for the next boot. Neither is wanted here: while apt runs, a
//! policy-rc.d forbids starts, and what was enabled by the installation is disabled again. Nothing is ever removed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::unpack;
use crate::privilege::{self, Privilege};
use crate::{console, process};

const INSTALL: [&str; 3] = ["install", "--no-remove", "--no-install-recommends"];
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Whether this system has apt.
pub(crate) fn available() -> bool {
    process::find("apt-get").is_some() && process::find("dpkg-query").is_some()
}

/// Installs what is missing and returns how many packages that were. `purpose` says what they are for.
pub(super) fn ensure(packages: &[&str], purpose: &str) -> Result<usize> {
    let missing = missing(packages)?;
    if missing.is_empty() {
        return Ok(0);
    }
    need_root(&missing)?;
    if candidates(&missing)?.len() < missing.len() {
        update()?;
    }
    console::note(&format!("setup: installing {purpose}: {}", missing.join(" ")));
    install(&missing)?;
    Ok(missing.len())
}

/// Installs the packages in the newest version, also where an older one is installed.
pub(super) fn install_newest(packages: &[&str], purpose: &str) -> Result<()> {
    need_root(packages)?;
    console::note(&format!("setup: installing {purpose}: {}", packages.join(" ")));
    install(packages)
}

fn need_root(packages: &[&str]) -> Result<()> {
    if privilege::here() == Privilege::Missing {
        bail!(
            "root is needed to install packages, and sudo is not installed: as root, run\n  \
             apt-get update && apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    Ok(())
}

/// Installs what can be installed, unpacks what cannot be without removing something.
fn install(packages: &[&str]) -> Result<()> {
    let all_fit = fit(packages);
    let (beside, instead): (Vec<&str>, Vec<&str>) =
        packages.iter().copied().partition(|package| all_fit || fit(&[package]));
    let mut wanted: Vec<String> = beside.into_iter().map(str::to_owned).collect();
    for package in instead {
        console::note(&format!(
            "setup: {package} would replace a package of this machine: unpacked under target/tools"
        ));
        wanted.extend(unpack::unpack(package)?);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let enabled_before = enabled_units();
    let installed = {
        let _no_starts = NoStarts::begin()?;
        apt_install(&wanted).or_else(|_| {
            // The index may name versions that the archive no longer has.
            update()?;
            apt_install(&wanted)
        })
    };
    disable(enabled_units().difference(&enabled_before))?;
    installed
}

/// Whether the packages can be installed without removing another.
fn fit(packages: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command.args(["-qq", "--simulate"]).args(INSTALL).args(packages);
    // Only what apt says about removal counts: any other failure is apt's to explain when it installs.
    process::output(command.env("LC_ALL", "C"))
        .is_ok_and(|output| !String::from_utf8_lossy(&output.stderr).contains("remove is disabled"))
}

/// Whether apt offers all of these in a version that will do, if need be after an update of its index.
pub(super) fn offers(packages: &[&str], will_do: impl Fn(&str) -> bool) -> Result<bool> {
    let all = |found: &[String]| found.len() == packages.len() && found.iter().all(|version| will_do(version));
    if !available() {
        return Ok(false);
    }
    if all(&candidates(packages)?) {
        return Ok(true);
    }
    if privilege::here() == Privilege::Missing {
        return Ok(false);
    }
    update()?;
    Ok(all(&candidates(packages)?))
}

fn missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    // dpkg-query fails when it does not know one of the packages, and still answers for the others.
    let output = process::output(
        Command::new("dpkg-query").args(["-W", "-f", "${Package} ${db:Status-Status}\n"]).args(packages),
    )?;
    let text = String::from_utf8_lossy(&output.stdout);
    let installed: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    Ok(packages
        .iter()
        .copied()
        .filter(|package| !installed.contains(package) && !unpack::is_unpacked(package))
        .collect())
}

/// The versions that apt would install, of the packages that it knows.
fn candidates(packages: &[&str]) -> Result<Vec<String>> {
    let text = process::read(Command::new("apt-cache").arg("policy").args(packages).env("LC_ALL", "C"))?;
    let versions = text.lines().filter_map(|line| line.trim().strip_prefix("Candidate: "));
    Ok(versions.filter(|version| *version != "(none)").map(str::to_owned).collect())
}

/// Reads the archive's index anew.
pub(crate) fn update() -> Result<()> {
    console::note("setup: apt-get update");
    process::run(apt_get()?.args(["-qq", "update"]))
}

fn apt_install(packages: &[String]) -> Result<()> {
    let mut command = apt_get()?;
    command.args(["-qq", "--yes", "-o", "Dpkg::Use-Pty=0"]).args(INSTALL).args(packages);
    // What apt says is of no use to somebody who wants to see the lab, unless it fails.
    process::read(&mut command).map(drop)
}

fn apt_get() -> Result<Command> {
    let mut command = privilege::command("env", "install packages")?;
    command.args(["DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get"]);
    Ok(command)
}

/// Forbids the start of services while it lives, unless the machine has a policy of its own.
struct NoStarts {
    ours: bool,
}

impl NoStarts {
    fn begin() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        console::note("setup: no service is started or enabled by this installation");
        let script = format!("printf '#!/bin/sh\\nexit 101\\n' >{POLICY} && chmod 755 {POLICY}");
        process::run(privilege::command("sh", "install packages")?.args(["-c", &script]))
            .context("cannot forbid the start of services")?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoStarts {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        let removed =
            privilege::command("rm", "install packages").and_then(|mut rm| process::run(rm.args(["-f", POLICY])));
        if let Err(error) = removed {
            console::note(&format!("setup: {POLICY} is left behind, remove it: {error:#}"));
        }
    }
}

/// The units that start at boot: links in the `*.wants` directories.
fn enabled_units() -> BTreeSet<PathBuf> {
    let mut units = BTreeSet::new();
    for directory in entries(Path::new("/etc/systemd/system")) {
        if directory.extension().is_some_and(|extension| extension == "wants") {
            units.extend(entries(&directory));
        }
    }
    units
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn disable<'a>(units: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let names: BTreeSet<_> = units.filter_map(|unit| unit.file_name()).collect();
    if names.is_empty() || process::find("systemctl").is_none() {
        return Ok(());
    }
    let mut command = privilege::command("systemctl", "disable what the packages enabled")?;
    command.args(["--quiet", "disable"]).args(names);
    process::read(&mut command).map(drop)
}
