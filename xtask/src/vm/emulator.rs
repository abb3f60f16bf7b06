//! QEMU. Its own translation and no hardware help, so that the tests take the same way on every machine.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::setup::unpack;

const NAME: &str = "qemu-system-x86_64";
/// Nothing takes that long, however busy this machine is.
const LIMIT_SECONDS: &str = "1200";
/// Memory in MiB, and processors. The tests use one processor at a time.
const MEMORY: &str = "2048";
const PROCESSORS: &str = "1";
/// The jobs have the first serial port, the kernel has the second. A panic ends the emulator.
const KERNEL_ARGUMENTS: &str = "console=ttyS1 panic=-1 quiet loglevel=5";
/// Where the packages of the firmware put it: an emulator that was unpacked looks for it beside itself.
const FIRMWARE: [&str; 4] = ["-L", "/usr/share/qemu", "-L", "/usr/share/seabios"];
/// What `timeout` ends with when the time was up.
const OUT_OF_TIME: i32 = 124;

/// An emulator that is installed.
pub(super) struct Emulator {
    program: PathBuf,
}

impl Emulator {
    /// The emulator on the search path, or among what was unpacked.
    pub(super) fn find() -> Result<Self> {
        let unpacked = unpack::directories().into_iter().map(|directory| directory.join(NAME));
        match process::find(NAME).or_else(|| unpacked.into_iter().find(|candidate| candidate.is_file())) {
            Some(program) => Ok(Self { program }),
            None => bail!("{NAME} is not installed: on Debian, apt-get install qemu-system-x86"),
        }
    }

    /// Runs a machine to its end and tells each line of its first serial port.
    pub(super) fn run(
        &self,
        kernel: &Path,
        initramfs: &Path,
        kernel_log: &Path,
        mut tell: impl FnMut(&str),
    ) -> Result<()> {
        let mut command = Command::new("timeout");
        command
            .args(["--foreground", LIMIT_SECONDS])
            .arg(&self.program)
            .args(["-accel", "tcg", "-cpu", "max", "-m", MEMORY, "-smp", PROCESSORS])
            .args(FIRMWARE)
            .args(["-nodefaults", "-display", "none", "-no-reboot", "-append", KERNEL_ARGUMENTS])
            .args(["-serial", "stdio", "-serial", &format!("file:{}", kernel_log.display())])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initramfs);
        let line = process::line(&command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {line}"))?;
        let output = child.stdout.take().context("the output of the emulator is not piped")?;
        // What tests write need not be text.
        for said in BufReader::new(output).split(b'\n') {
            let said = said.context("cannot read what the machine writes")?;
            tell(String::from_utf8_lossy(&said).trim_end_matches('\r'));
        }
        let status = child.wait().with_context(|| format!("cannot wait for {line}"))?;
        match status.code() {
            Some(0) => Ok(()),
            Some(OUT_OF_TIME) => bail!("the machine did not come to its end within {LIMIT_SECONDS} seconds"),
            _ => bail!("{line} failed ({status})"),
        }
    }
}
