//! `sphere run`: enforces a policy.

use std::path::Path;

use anyhow::Context;

use super::Exit;
use crate::daemon::{self, Settings};
use crate::datapath;
use crate::policy;

pub(super) fn run(config: &Path, pin_root: Option<&Path>) -> anyhow::Result<Exit> {
    datapath::share_arenas();
    let read = policy::load_with_texts(config)?;
    let pin_root = pin_root.unwrap_or(&read.0.daemon.pin_root).to_owned();
    let settings = Settings { config: config.to_owned(), pin_root };
    daemon::run(&settings, read).context("cannot run")?;
    Ok(Exit::Done)
}
