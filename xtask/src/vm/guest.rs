//! What is in the machine: a shell, what the jobs call, the kernel's modules, the jobs, and the program that runs them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::archive::Archive;
use super::package::{Kernel, MODULES};
use crate::process;

/// The programs that jobs call; all else they find in busybox, whose programs of these names know too little.
const TOOLS: [&str; 6] = ["ip", "bpftool", "unshare", "mount", "umount", "setpriv"];
const SHELL: &str = "busybox";
/// What the machine writes after the last job.
pub(super) const FINISHED: &str = "vm: finished";
/// Longest that a job may take, in seconds.
const JOB_SECONDS: u32 = 600;
/// The first program: mounts, modules, jobs. With no standard streams of its own it takes the first serial port.
const INIT: &str = include_str!("init.sh");

/// A program of this machine to run in the other one.
pub(crate) struct Job {
    /// Its name there.
    pub(crate) name: String,
    /// Where it is here.
    pub(crate) program: PathBuf,
    /// Its arguments: words without quotes.
    pub(crate) arguments: Vec<String>,
}

/// The tools and where this machine has them.
pub(super) fn tools() -> Result<Vec<(String, PathBuf)>> {
    let find = |name: &&str| match process::find(name) {
        Some(path) => Ok(((*name).to_owned(), path)),
        None => bail!("{name} is not installed: the tests in the emulated machine call it"),
    };
    std::iter::once(&SHELL).chain(&TOOLS).map(find).collect()
}

/// Everything that the machine starts from.
pub(super) fn archive(
    kernel: &Kernel,
    tools: &[(String, PathBuf)],
    jobs: &[Job],
    files: &[PathBuf],
) -> Result<Archive> {
    let mut archive = Archive::default();
    for directory in ["/proc", "/sys", "/dev", "/tmp", "/run", "/bin"] {
        archive.directory(directory);
    }
    archive.console();
    let mut modules = String::new();
    for module in MODULES {
        archive.copy(kernel.module(module), Path::new("/modules").join(module));
        writeln!(modules, "insmod /modules/{module}")?;
    }
    for (name, path) in tools {
        program(&mut archive, path, &Path::new("/tools").join(name))?;
    }
    for job in jobs {
        program(&mut archive, &job.program, &Path::new("/jobs").join(&job.name))?;
    }
    for file in files {
        program(&mut archive, file, file)?;
    }
    archive.text("/modules/load", modules);
    archive.text("/jobs/run", commands(jobs));
    archive.text("/init", INIT.to_owned());
    Ok(archive)
}

/// The lines of shell that run the jobs.
fn commands(jobs: &[Job]) -> String {
    let line = |job: &Job| {
        let Job { name, arguments, .. } = job;
        format!("timeout {JOB_SECONDS} /jobs/{name} {} || echo \"vm: {name} ended with $?\"\n", arguments.join(" "))
    };
    let last = format!("echo {FINISHED}\n");
    jobs.iter().map(line).chain([last]).collect()
}

/// A program and the libraries that it needs.
fn program(archive: &mut Archive, from: &Path, to: &Path) -> Result<()> {
    // Fails for a program that needs no libraries.
    let listed = process::output(Command::new("ldd").arg(from)).context("cannot ask for a program's libraries")?;
    for library in libraries(&String::from_utf8_lossy(&listed.stdout)) {
        archive.copy(library, library);
    }
    archive.copy(from, to);
    Ok(())
}

/// The files that ldd lists.
fn libraries(listed: &str) -> impl Iterator<Item = &str> {
    listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::{FINISHED, Job, commands, libraries};

    #[test]
    fn libraries_are_the_files_that_were_found() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibelf.so.1 => /lib/x86_64-linux-gnu/libelf.so.1 (0x00007f12)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f13)\n\tlibgone.so.2 => not found\n";
        let found: Vec<&str> = libraries(listed).collect();
        assert_eq!(found, ["/lib/x86_64-linux-gnu/libelf.so.1", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(libraries("\tnot a dynamic executable\n").next(), None);
    }

    #[test]
    fn jobs_run_in_order_and_the_end_is_told() {
        let job =
            |name: &str| Job { name: name.to_owned(), program: "/x".into(), arguments: vec!["--exact".to_owned()] };
        let text = commands(&[job("a"), job("b")]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("timeout 600 /jobs/a --exact ||"), "{text}");
        assert!(lines[1].starts_with("timeout 600 /jobs/b --exact ||"), "{text}");
        assert_eq!(lines[2..], [format!("echo {FINISHED}")]);
    }
}
