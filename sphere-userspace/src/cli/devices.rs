//! `sphere devices`: where each device stands in its boot chain, and what stops it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use super::Exit;
use crate::control::{self, Request};
use crate::datapath::{Inspection, Traces, inspect};
use crate::ladder::{DevicesReport, Ladder, Signposts};
use crate::names::View;
use crate::{privilege, render};

/// Devices of which something is told when no daemon says how many the policy allows.
const ROOM: u32 = u32::MAX;

pub(super) fn run(pin_root: &Path, wanted: Option<IpAddr>, json: bool) -> anyhow::Result<Exit> {
    privilege::check_capabilities()?;
    let inspection = inspect(pin_root)?;
    let mut ladder = ladder(pin_root, &inspection)?;
    let view = control::ask(pin_root, Request::Names)?.unwrap_or_else(|| View::of_pins(&inspection));
    let names: BTreeMap<IpAddr, Vec<String>> = view.by_address();
    // Last: what the daemon saw closed is no longer there.
    let traces = Traces::pinned(pin_root)?;
    ladder.take(&traces, &inspection.tables.rule_labels, |peer| names.get(&peer).cloned().unwrap_or_default());
    let report = DevicesReport::new(&ladder, (&traces, &inspection.tables), wanted, inspection.running);
    if json {
        render::json(&report)?;
    } else {
        render::devices(&report, wanted.is_some())?;
    }
    Ok(Exit::Done)
}

/// What the daemon remembers; nothing when none runs.
pub(super) fn ladder(pin_root: &Path, inspection: &Inspection) -> anyhow::Result<Ladder> {
    let known: Option<Ladder> = control::ask(pin_root, Request::Ladder)?;
    Ok(known.unwrap_or_else(|| {
        let mut ladder = Ladder::new(ROOM, None);
        ladder.follow(Signposts::of_tables(&inspection.tables), ROOM);
        ladder
    }))
}
