//! `sphere status`: what is enforced now, from the pins.

use std::path::Path;

use super::Exit;
use crate::datapath::snapshot;
use crate::{privilege, render};

pub(super) fn run(pin_root: &Path, json: bool) -> anyhow::Result<Exit> {
    privilege::check_capabilities()?;
    let snapshot = snapshot::read(pin_root)?;
    let status = render::Status::new(&snapshot);
    if json {
        render::json(&status)?;
    } else {
        render::status_table(&status)?;
    }
    Ok(Exit::Done)
}
