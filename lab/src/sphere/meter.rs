//! What a program costs as the kernel reports it: its time and its runs, while somebody looks.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use sphere_common::abi;

use super::{LIMIT, Sphere};
use crate::process;

/// Whether the kernel keeps account (Documentation/admin-guide/sysctl/kernel.rst, `bpf_stats_enabled`).
const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Reads the kernel's account of one program; the kernel keeps it as long as this lives.
#[derive(Debug)]
pub struct Meter<'a> {
    sphere: &'a Sphere,
    program: &'static str,
    /// What the switch said before.
    before: String,
}

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    run_time_ns: u64,
}

impl<'a> Meter<'a> {
    /// Asks the kernel to keep account.
    ///
    /// # Errors
    /// When it refuses.
    pub fn new(sphere: &'a Sphere, program: &'static str) -> Result<Self> {
        let before = fs::read_to_string(SWITCH).context("the kernel keeps no account of programs")?;
        fs::write(SWITCH, "1").context(SWITCH)?;
        Ok(Self { sphere, program, before })
    }

    /// Nanoseconds that the program took while `work` went on, and what that gave.
    ///
    /// # Errors
    /// When the account cannot be read, or the work fails.
    pub fn around<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(u64, T)> {
        let before = self.read()?;
        let done = work()?;
        Ok((self.read()? - before, done))
    }

    fn read(&self) -> Result<u64> {
        let pin = self.sphere.pin_root.join(format!("v{}", abi::VERSION)).join("programs").join(self.program);
        let mut command = Command::new("bpftool");
        command.args(["-j", "prog", "show", "pinned"]).arg(pin);
        let text = process::must(command, LIMIT)?;
        let account: Account = serde_json::from_str(&text).context("bpftool prog show")?;
        Ok(account.run_time_ns)
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        // It may have been switched on by somebody else.
        drop(fs::write(SWITCH, self.before.trim()));
    }
}
