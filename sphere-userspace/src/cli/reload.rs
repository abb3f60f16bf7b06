//! `sphere reload`, `sphere confirm`, `sphere rollback`, `sphere diff`: another policy, seen before and after.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::de::DeserializeOwned;

use super::{DEFAULT_PIN_ROOT, Exit};
use crate::control::{self, Request};
use crate::daemon::{KeptPolicy, Reading, Reloaded};
use crate::policy::{self, Difference};
use crate::render;

/// Longest trial.
const TRIAL: Duration = Duration::from_secs(24 * 60 * 60);

/// How the policy is read again.
#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Go back after this time, such as 60s, unless `sphere confirm` is run
    #[arg(long, value_name = "TIME", value_parser = trial, conflicts_with = "dry_run")]
    confirm: Option<Duration>,
    /// Directory of the pins
    #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
    pin_root: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What to go back to.
#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// Number of the policy, instead of the one before
    #[arg(value_name = "NUMBER")]
    number: Option<u64>,
    /// Only show the policies that are kept
    #[arg(long, conflicts_with = "number")]
    list: bool,
    /// Directory of the pins
    #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
    pin_root: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// No daemon runs that could put another policy in force.
#[derive(Debug, thiserror::Error)]
#[error("no daemon runs for {}: start it with `sphere run`, or name its pins with --pin-root", .0.display())]
pub(super) struct NoDaemon(PathBuf);

pub(super) fn reload(Reload { dry_run, confirm, pin_root, json }: Reload) -> anyhow::Result<Exit> {
    let confirm_ms = confirm.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    show(&ask(&pin_root, Request::Reload(Reading { dry_run, confirm_ms }))?, json)
}

pub(super) fn rollback(Rollback { number, list, pin_root, json }: Rollback) -> anyhow::Result<Exit> {
    if !list {
        return show(&ask(&pin_root, Request::Rollback { to: number })?, json);
    }
    let kept: Vec<KeptPolicy> = ask(&pin_root, Request::Policies)?;
    if json {
        render::json(&serde_json::json!({ "schema": "sphere.policies/1", "policies": kept }))?;
    } else {
        render::kept_policies(&kept)?;
    }
    Ok(Exit::Done)
}

pub(super) fn confirm(pin_root: &Path) -> anyhow::Result<Exit> {
    let confirmed: serde_json::Value = ask(pin_root, Request::Confirm)?;
    render::line(&format!("policy {} stays in force", confirmed["number"]))?;
    Ok(Exit::Done)
}

pub(super) fn diff((old, new): (&Path, &Path), json: bool) -> anyhow::Result<Exit> {
    let difference = Difference::between(&policy::load(old)?, &policy::load(new)?);
    if json {
        let mut value = serde_json::to_value(&difference)?;
        value["schema"] = "sphere.diff/1".into();
        render::json(&value)?;
    } else {
        render::difference(&difference)?;
    }
    Ok(Exit::Done)
}

/// Asks the daemon that is needed.
fn ask<T: DeserializeOwned>(pin_root: &Path, request: Request) -> anyhow::Result<T> {
    Ok(control::ask(pin_root, request)?.ok_or_else(|| NoDaemon(pin_root.to_owned()))?)
}

fn show(reloaded: &Reloaded, json: bool) -> anyhow::Result<Exit> {
    if json {
        render::json(reloaded)?;
    } else if reloaded.errors.is_empty() {
        render::reloaded(reloaded)?;
    }
    if !json {
        for error in &reloaded.errors {
            tracing::error!("{error}");
        }
    }
    Ok(if reloaded.errors.is_empty() { Exit::Done } else { Exit::Policy })
}

fn trial(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).ok();
    let fits = |span: &Duration| (Duration::from_secs(1)..=TRIAL).contains(span);
    span.filter(fits).ok_or_else(|| "write a time from 1s to 1day, such as 60s or 5m".to_owned())
}
