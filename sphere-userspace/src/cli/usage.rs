//! `sphere flows` and `sphere rules`: what is open now, and which rules are used.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::Exit;
use super::devices::ladder;
use crate::control::{self, Request};
use crate::datapath::{Traces, inspect, snapshot};
use crate::names::View;
use crate::usage::{FlowsReport, RulesReport, Towards, Unused};
use crate::{privilege, render};

/// Seconds of a day.
const DAY: u64 = 86_400;

pub(super) fn flows(
    pin_root: &Path,
    (device, towards): (Option<IpAddr>, Option<&str>),
    json: bool,
) -> anyhow::Result<Exit> {
    let towards = towards.map(Towards::parse).transpose()?;
    privilege::check_capabilities()?;
    let inspection = inspect(pin_root)?;
    let view = control::ask(pin_root, Request::Names)?.unwrap_or_else(|| View::of_pins(&inspection));
    let report = FlowsReport::new(&inspection, &view.by_address(), (device, towards.as_ref()));
    if json {
        render::json(&report)?;
    } else {
        render::flows(&report)?;
    }
    Ok(Exit::Done)
}

pub(super) fn rules(pin_root: &Path, unused_days: Option<u32>, json: bool) -> anyhow::Result<Exit> {
    privilege::check_capabilities()?;
    let (inspection, snapshot) = (inspect(pin_root)?, snapshot::read(pin_root)?);
    let mut ladder = ladder(pin_root, &inspection)?;
    let view = control::ask(pin_root, Request::Names)?.unwrap_or_else(|| View::of_pins(&inspection));
    let traces = Traces::pinned(pin_root)?;
    ladder.take(&traces, &inspection.tables.rule_labels, |_| Vec::new());
    let unused = unused_days.map(|days| Unused(Duration::from_secs(u64::from(days) * DAY)));
    let report = RulesReport::new(&snapshot, (&ladder, &traces), &view.by_address(), unused);
    if json {
        render::json(&report)?;
    } else {
        render::rules(&report)?;
    }
    Ok(Exit::Done)
}
