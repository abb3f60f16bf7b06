//! `sphere run`: enforces a policy.

use std::path::Path;

use anyhow::Context;

use super::Exit;
use crate::daemon::{self, Settings};
use crate::datapath;
use crate::policy::{self, PolicyErrors};
use crate::privilege;

pub(super) fn run(config: &Path, pin_root: Option<&Path>) -> anyhow::Result<Exit> {
    datapath::share_arenas();
    let read = policy::load_with_texts(config);
    // Who may not enforce is told of his file before anything else.
    if privilege::check_capabilities().is_err()
        && let Err(errors) = read
    {
        return Err(errors.into());
    }
    let daemon = read.as_ref().map_or_else(PolicyErrors::daemon, |(policy, _)| policy.daemon.clone());
    let pin_root = pin_root.map_or(daemon.pin_root, Path::to_owned);
    let settings = Settings { config: config.to_owned(), pin_root };
    daemon::run(&settings, read).context("cannot run")?;
    Ok(Exit::Done)
}
