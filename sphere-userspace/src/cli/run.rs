//! `sphere run`: enforces a policy.

use std::path::Path;

use anyhow::Context;

use super::Exit;
use crate::daemon::{self, Settings};
use crate::datapath;
use crate::policy;

pub(super) fn run(config: &Path, pin_root: Option<&Path>) -> anyhow::Result<Exit> {
    datapath::share_arenas();
    let policy = policy::load(config)?;
    let pin_root = pin_root.unwrap_or(&policy.daemon.pin_root).to_owned();
    let settings = Settings { config: config.to_owned(), pin_root };
    daemon::run(&settings, policy).context("cannot run")?;
    Ok(Exit::Done)
}
