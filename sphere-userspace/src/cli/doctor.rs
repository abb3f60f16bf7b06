//! `sphere doctor`: what keeps the gateway from doing its work, and what mends it.

use std::path::PathBuf;

use clap::Args;

use super::Exit;
use crate::{doctor, policy, render};

/// What is looked at.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Policy file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Look at this machine only: ask no resolver, connect to nothing
    #[arg(long)]
    offline: bool,
    /// Directory of the pins, instead of the policy's
    #[arg(long, value_name = "DIR")]
    pin_root: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(Doctor { config, offline, pin_root, json }: Doctor) -> anyhow::Result<Exit> {
    let policy = policy::load(&config)?;
    let pin_root = pin_root.unwrap_or_else(|| policy.daemon.pin_root.clone());
    let report = doctor::examine(&policy, &pin_root, !offline)?;
    if json {
        render::json(&report)?;
    } else {
        render::doctor(&report)?;
    }
    Ok(if report.healthy { Exit::Done } else { Exit::Environment })
}
