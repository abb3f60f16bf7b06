//! `sphere run`: enforces a policy.

use std::path::Path;

use anyhow::Context;

use super::Exit;
use crate::daemon::{self, Settings};
use crate::datapath;
use crate::history::History;
use crate::policy::{self, PolicyErrors};

pub(super) fn run(config: &Path, pin_root: Option<&Path>) -> anyhow::Result<Exit> {
    datapath::share_arenas();
    let read = policy::load_with_texts(config);
    let daemon = read.as_ref().map_or_else(PolicyErrors::daemon, |(policy, _)| policy.daemon.clone());
    let pin_root = pin_root.map_or_else(|| daemon.pin_root.clone(), Path::to_owned);
    // A file with mistakes is told of before anything else, unless a policy that is kept is to begin in its place.
    let read = match read {
        Err(errors) if !History::has_other_beginning(&daemon.history_of(&pin_root)) => return Err(errors.into()),
        read => read,
    };
    let settings = Settings { config: config.to_owned(), pin_root };
    daemon::run(&settings, read).context("cannot run")?;
    Ok(Exit::Done)
}
