//! `sphere status`: what is enforced now, from the pins; and what the daemon says of the account on disk.

use std::path::Path;

use super::Exit;
use crate::control::{self, Request};
use crate::datapath::snapshot;
use crate::{privilege, render};

pub(super) fn run(pin_root: &Path, json: bool) -> anyhow::Result<Exit> {
    privilege::check_capabilities()?;
    let snapshot = snapshot::read(pin_root)?;
    let store = control::ask(pin_root, Request::Store).unwrap_or_else(|error| {
        // What is pinned can be told without it.
        tracing::warn!(%error, "nothing is known of the account on disk");
        None
    });
    let status = render::Status::new(&snapshot, store);
    if json {
        render::json(&status)?;
    } else {
        render::status_table(&status)?;
    }
    Ok(Exit::Done)
}
