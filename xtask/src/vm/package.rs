//! The kernel's package: Debian's, downloaded and unpacked under `target/tools`, never installed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

use crate::setup::{apt, unpack};
use crate::{console, process, tree};

/// What the data plane's tests need and Debian builds as modules, in the order in which they are loaded.
pub(super) const MODULES: [&str; 3] = ["veth", "sch_ingress", "cls_bpf"];

/// A series of kernel releases: `6.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series(String);

impl FromStr for Series {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('.') {
            Some((major, minor)) if number(major) && number(minor) => Ok(Self(text.to_owned())),
            _ => Err("say a series of kernel releases, for instance 6.1".to_owned()),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// An unpacked kernel.
pub(super) struct Kernel {
    /// Name of the package, which says the release.
    pub(super) name: String,
    directory: PathBuf,
}

impl Kernel {
    /// The compressed image that a boot loader takes.
    pub(super) fn image(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    /// A module of [`MODULES`].
    pub(super) fn module(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.ko"))
    }
}

/// Finds or downloads the newest kernel of the series.
pub(super) fn ensure(series: &Series) -> Result<Kernel> {
    if let Some(name) = newest(series, entries(&tree::tools())) {
        let directory = tree::tools().join(&name);
        return Ok(Kernel { name, directory });
    }
    if !apt::available() {
        bail!("Debian's kernel {series} is downloaded with apt, which this system lacks: use a Debian system");
    }
    // The index may name versions that the archive no longer has, or none yet.
    let (name, archive) = download(series).or_else(|error| match apt::update() {
        Ok(()) => download(series),
        Err(_) => Err(error),
    })?;
    let directory = tree::tools().join(&name);
    keep(&archive, &directory).with_context(|| format!("cannot unpack {}", archive.display()))?;
    Ok(Kernel { name, directory })
}

/// Downloads the newest package of the series that apt offers; gives back its name and its archive.
fn download(series: &Series) -> Result<(String, PathBuf)> {
    let pattern = format!("^linux-image-{}\\.", series.0.replace('.', "\\."));
    let found = process::read(Command::new("apt-cache").args(["search", "--names-only", &pattern]))?;
    let names = found.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    let Some(name) = newest(series, names) else {
        bail!(
            "apt offers no package linux-image-{series}.*-amd64: add the Debian release that has this kernel to apt's \
             sources (6.1: bookworm)"
        );
    };
    console::note(&format!("setup: downloading {name} (unpacked under target/tools, not installed)"));
    let archive = unpack::download(&name)?;
    Ok((name, archive))
}

/// The newest of the packages `linux-image-<series>.<patch>-<build>-amd64`.
fn newest(series: &Series, names: impl Iterator<Item = String>) -> Option<String> {
    let numbered = names.filter_map(|name| {
        let release = name.strip_prefix("linux-image-")?.strip_prefix(&series.0)?.strip_prefix('.')?;
        let (patch, build) = release.strip_suffix("-amd64")?.split_once('-')?;
        let numbers: (u32, u32) = (patch.parse().ok()?, build.parse().ok()?);
        Some((numbers, name))
    });
    numbered.max().map(|(_, name)| name)
}

/// Keeps the image and the modules of a package, a hundredth of it; the directory is there when it is complete.
fn keep(archive: &Path, directory: &Path) -> Result<()> {
    let (whole, kept) = (directory.with_extension("whole"), directory.with_extension("part"));
    for left_over in [&whole, &kept] {
        if left_over.exists() {
            std::fs::remove_dir_all(left_over)?;
        }
    }
    process::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&whole))?;
    std::fs::create_dir_all(&kept)?;
    let files = process::read(Command::new("find").arg(&whole).args(["-type", "f", "-name", "*.ko"]))?;
    for module in MODULES {
        let name = format!("{module}.ko");
        let found = files.lines().map(Path::new).find(|path| path.ends_with(&name));
        std::fs::rename(found.with_context(|| format!("the package has no module {name}"))?, kept.join(&name))?;
    }
    let image = entries(&whole.join("boot")).find(|name| name.starts_with("vmlinuz-"));
    let image = image.context("the package has no image")?;
    std::fs::rename(whole.join("boot").join(image), kept.join("vmlinuz"))?;
    std::fs::remove_dir_all(whole)?;
    std::fs::remove_file(archive)?;
    std::fs::rename(kept, directory).map_err(Into::into)
}

/// Names in a directory; none when it is not there.
fn entries(directory: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(directory).ok().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use super::{Series, newest};

    #[test]
    fn the_newest_package_is_chosen_by_its_numbers() {
        let names = [
            "linux-image-6.1.0-9-amd64",
            "linux-image-6.1.0-56-amd64",
            "linux-image-6.1.0-56-amd64-dbg",
            "linux-image-6.1.0-57-cloud-amd64",
            "linux-image-6.1.0-58-rt-amd64",
            "linux-image-6.12.1-99-amd64",
            "linux-image-6.1.0-99-amd64.part",
        ];
        let found = newest(&"6.1".parse().unwrap(), names.into_iter().map(str::to_owned));
        assert_eq!(found.as_deref(), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(newest(&"6.6".parse().unwrap(), names.into_iter().map(str::to_owned)), None);
    }

    #[test]
    fn a_series_is_two_numbers() {
        assert_eq!("6.1".parse(), Ok(Series("6.1".to_owned())));
        for wrong in ["6", "6.", "6.1.2", "v6.1", "6.x", ""] {
            assert!(wrong.parse::<Series>().is_err(), "{wrong}");
        }
    }
}
