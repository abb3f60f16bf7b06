//! `sphere status`: what is enforced now, from the pins; and what the daemon says of the account on disk and of the sinks.

use std::path::Path;

use super::Exit;
use crate::audit::SinkState;
use crate::control::{self, Request};
use crate::datapath::snapshot;
use crate::{privilege, render};

pub(super) fn run(pin_root: &Path, json: bool) -> anyhow::Result<Exit> {
    privilege::check_capabilities()?;
    let snapshot = snapshot::read(pin_root)?;
    // What is pinned can be told without it.
    let store = control::ask(pin_root, Request::Store).unwrap_or_else(|error| {
        tracing::warn!(%error, "nothing is known of the account on disk");
        None
    });
    let sinks: Option<Vec<SinkState>> = control::ask(pin_root, Request::Sinks).unwrap_or_else(|error| {
        tracing::warn!(%error, "nothing is known of the sinks");
        None
    });
    let status = render::Status::new(&snapshot, store, sinks.unwrap_or_default());
    if json {
        render::json(&status)?;
    } else {
        render::status_table(&status)?;
    }
    Ok(Exit::Done)
}
