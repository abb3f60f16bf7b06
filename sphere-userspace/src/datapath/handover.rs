//! Hand-overs: between data planes, between trees of pins, and from a daemon that died in the middle of one.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::{fs, io};

use aya::programs::ProgramInfo;
use sphere_common::abi;

use super::error::DatapathError;
use super::maps::PINNED;
use super::pins::{Part, Pins, Side, pin_error, remove_link, remove_tree};
use super::raw_map::RawMap;
use super::tc::{self, Place};
use super::{port, sys};

/// A map that every program reads first: tells which set of maps a program works on.
const PROBE: &str = abi::map::ACTIVE;

/// Removes what guards an interface, by its pins.
pub(super) fn release(pins: &Pins, interface: &str, ifindex: Option<u32>) -> Result<(), DatapathError> {
    for side in Side::ALL {
        let pinned = pins.link(interface, side);
        if let (true, Some(ifindex)) = (pinned.is_symlink(), ifindex) {
            tc::detach_clsact(Place { interface, ifindex, side }, tc::name_at_tc(side))?;
        }
        remove_link(&pinned)?;
    }
    Ok(())
}

/// Moves the pins of the links to another tree; the kernel takes no notice.
pub(super) fn move_links(from: &Pins, to: &Pins) -> Result<(), DatapathError> {
    for interface in from.interfaces() {
        for side in Side::ALL {
            let (old, new) = (from.link(&interface, side), to.link(&interface, side));
            match fs::rename(&old, &new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(pin_error("move", &old, error)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Removes what was staged, and the whole tree when nothing was in force.
pub(super) fn abandon(pins: &Pins) {
    let removed = [Part::Maps, Part::Programs].into_iter().try_for_each(|part| remove_tree(&pins.next(part)));
    let removed = removed.and_then(|()| if pins.exist() { Ok(()) } else { pins.remove() });
    if let Err(error) = removed {
        let pin_root = pins.root().display();
        tracing::error!(%error, "could not clean up: run `sphere detach --pin-root {pin_root}`");
    }
}

/// Completes, or removes, what a daemon left half-done that died while the pins changed places.
pub(super) fn recover(pins: &Pins) -> Result<(), DatapathError> {
    let staged = pins.next(Part::Maps);
    if !staged.is_dir() {
        return remove_tree(&pins.next(Part::Programs));
    }
    let probe = RawMap::open(&staged.join(PROBE)).map(|map| map.id()).ok();
    let complete = PINNED.iter().all(|name| staged.join(name).exists());
    let in_force = probe.is_some_and(|id| linked_programs(pins).any(|program| uses(&program, id)));
    if complete && (in_force || !pins.exist()) && !pins.interfaces().is_empty() {
        tracing::warn!("completing a hand-over that was cut short");
        return pins.commit(Part::Maps);
    }
    remove_tree(&staged)?;
    remove_tree(&pins.next(Part::Programs))
}

/// Programs behind the pinned links.
fn linked_programs(pins: &Pins) -> impl Iterator<Item = ProgramInfo> {
    let paths =
        pins.interfaces().into_iter().flat_map(|i| Side::ALL.map(|side| pins.link(&i, side))).collect::<Vec<_>>();
    let ids: BTreeSet<u32> = paths
        .iter()
        .filter_map(|path| port::link_info(sys::open(path).ok()?.as_fd()).ok())
        .map(|info| info.program)
        .collect();
    aya::programs::loaded_programs().filter_map(Result::ok).filter(move |info| ids.contains(&info.id()))
}

fn uses(program: &ProgramInfo, map: u32) -> bool {
    program.map_ids().ok().flatten().is_some_and(|ids| ids.contains(&map))
}

/// Whether the pinned programs work on the pinned maps (a hand-over that was cut short may leave others).
pub(super) fn programs_use_maps(pins: &Pins) -> bool {
    let map = RawMap::open(&pins.map(PROBE)).map(|map| map.id()).ok();
    let program = ProgramInfo::from_pin(pins.program(abi::program::INGRESS)).ok();
    let (Some(map), Some(program)) = (map, program) else { return false };
    uses(&program, map)
}
