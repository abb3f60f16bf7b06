//! The sink that is a file: it grows, is put aside by the daemon and by others, and loses nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::SOME;
use super::stage::{Stage, seldom};
use crate::report::Report;

/// Size in bytes above which the daemon puts it aside.
const MOST_BYTES: u64 = 1 << 20;

impl Stage<'_> {
    /// The file and those put aside hold every packet so far once.
    pub(super) fn check_file(&self, when: &str, report: &mut Report) -> Result<()> {
        let told = self.numbers();
        let mut found = Vec::new();
        seldom(|| {
            found = self.in_files()?;
            Ok((found.len() >= told.len()).then_some(()))
        })?;
        let each: BTreeSet<u16> = found.iter().copied().collect();
        let ok = each == told && found.len() == told.len();
        let expected = format!("{}, each once", told.len());
        report.check(
            format!("file: packets in it, {when}"),
            expected,
            (format!("{}, {} in all", each.len(), found.len()), ok),
        );
        Ok(())
    }

    /// Destination ports in all files, as often as they are there.
    fn in_files(&self) -> Result<Vec<u16>> {
        let mut ports = Vec::new();
        for path in self.files()? {
            for line in fs::read_to_string(&path)?.lines() {
                let record: serde_json::Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
                let is_ours = record["event.reason"] == "destination" && record["network.transport"] == "udp";
                let port = record["destination.port"].as_u64().filter(|_| is_ours);
                ports.extend(port.map(u16::try_from).transpose()?);
            }
        }
        Ok(ports)
    }

    /// The file and everything that was put aside.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let path = self.sphere.denied();
        let directory = path.parent().context("no directory")?;
        let name = path.file_name().context("no name")?.to_string_lossy().into_owned();
        let entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path());
        Ok(entries
            .filter(|path| path.file_name().is_some_and(|found| found.to_string_lossy().starts_with(&name)))
            .collect())
    }
}

/// By size it was put aside already; now by a signal, and by somebody else.
pub(super) fn put_aside(stage: &mut Stage<'_>, report: &mut Report) -> Result<()> {
    let path = stage.sphere.denied().clone();
    let by_size = stage.files()?.len() - 1;
    report.figure("files_put_aside_by_size", by_size);
    report.check("file: put aside as it grew", "at least twice", (by_size.to_string(), by_size >= 2));
    let largest = stage.files()?.iter().filter_map(|path| path.metadata().ok()).map(|found| found.len()).max();
    let largest = largest.unwrap_or(0);
    report.check(
        "file: bytes of the largest",
        format!("at most {MOST_BYTES}"),
        (largest.to_string(), largest <= MOST_BYTES),
    );
    stage.signal(Signal::SIGUSR1)?;
    let aside = seldom(|| Ok((stage.files()?.len() > by_size && !path.exists()).then_some(())))?.is_some();
    report.check(
        "file: SIGUSR1",
        "put aside at once",
        (if aside { "put aside at once" } else { "still there" }, aside),
    );
    stage.deny(SOME)?;
    stage.check_file("after SIGUSR1", report)?;
    let other = path.with_file_name("denied.jsonl-by-others");
    fs::rename(&path, &other)?;
    stage.deny(SOME)?;
    stage.check_file("put aside by somebody else", report)?;
    let both = path.exists() && other.exists();
    report.check(
        "file: after it was renamed",
        "a new one beside it",
        (if both { "a new one beside it" } else { "not both" }, both),
    );
    Ok(())
}
