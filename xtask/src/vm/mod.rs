//! A machine with another kernel: Debian's, under an emulator, with no disk and no network.
//!
//! It starts from an archive in memory that holds the programs to run and what they call, runs them one after the other
//! as root, and writes what they say to its serial port. Nothing of it is installed on this machine, and the emulator
//! itself needs no rights.

mod archive;
mod emulator;
mod guest;
mod package;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{console, setup, tree};
use emulator::Emulator;
pub(crate) use guest::Job;
use package::Kernel;
pub(crate) use package::Series;

/// The architecture of the machine: programs of this one run there.
const ARCHITECTURE: &str = "x86_64";

/// What it takes to start the machine.
pub(crate) struct Machine {
    kernel: Kernel,
    emulator: Emulator,
    tools: Vec<(String, PathBuf)>,
    directory: PathBuf,
}

impl Machine {
    /// Finds or installs the emulator, and finds or downloads the newest kernel of the series.
    pub(crate) fn ensure(series: &Series) -> Result<Self> {
        if std::env::consts::ARCH != ARCHITECTURE {
            bail!("the emulated machine is one of {ARCHITECTURE}, and this one is not: use one that is");
        }
        setup::vm_packages()?;
        let emulator = Emulator::find()?;
        let tools = guest::tools()?;
        let kernel = package::ensure(series)?;
        Ok(Self { kernel, emulator, tools, directory: tree::target().join("vm").join(series.to_string()) })
    }

    /// Runs the jobs and tells each line that they write. `files` are files of this machine that the jobs ask for by
    /// their paths. An error unless the machine came to the end of the last job, whatever the jobs' own ends were.
    pub(crate) fn run(&self, jobs: &[Job], files: &[PathBuf], mut tell: impl FnMut(&str)) -> Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let initramfs = self.directory.join("initramfs");
        guest::archive(&self.kernel, &self.tools, jobs, files)?.write_to(&initramfs)?;
        console::note(&format!("vm: starting {} in an emulated machine", self.kernel.name));
        let mut finished = false;
        self.emulator.run(&self.kernel.image(), &initramfs, &self.kernel_log(), |line| {
            finished |= line == guest::FINISHED;
            tell(line);
        })?;
        if !finished {
            let log = self.kernel_log();
            bail!("the machine ended before its last job did; its kernel's log is {}", log.display());
        }
        Ok(())
    }

    fn kernel_log(&self) -> PathBuf {
        self.directory.join("kernel.log")
    }
}
