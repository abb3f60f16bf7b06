//! `sphere names` and `sphere explain`: what is known of names, and why a device may or may not reach something.

use std::net::IpAddr;
use std::path::Path;

use super::Exit;
use crate::control::{self, Request};
use crate::datapath::{Inspection, inspect};
use crate::names::{NamesReport, Query, View, explain};
use crate::{privilege, render};

pub(super) fn names(pin_root: &Path, wanted: Option<&str>, json: bool) -> anyhow::Result<Exit> {
    let (view, inspection) = known(pin_root)?;
    let report = NamesReport::new(&view, &inspection, wanted);
    if json {
        render::json(&report)?;
    } else {
        render::names(&report)?;
    }
    Ok(Exit::Done)
}

pub(super) fn explanation(pin_root: &Path, (device, target): (IpAddr, &str), json: bool) -> anyhow::Result<Exit> {
    let query = Query::parse(device, target)?;
    let (view, inspection) = known(pin_root)?;
    let explanation = explain(&query, &view, &inspection);
    if json {
        render::json(&explanation)?;
    } else {
        render::explanation(&explanation)?;
    }
    Ok(Exit::Done)
}

/// What the daemon knows, or the pins alone when none runs.
fn known(pin_root: &Path) -> anyhow::Result<(View, Inspection)> {
    privilege::check_capabilities()?;
    let inspection = inspect(pin_root)?;
    let view = control::ask(pin_root, Request::Names)?;
    Ok((view.unwrap_or_else(|| View::of_pins(&inspection)), inspection))
}
