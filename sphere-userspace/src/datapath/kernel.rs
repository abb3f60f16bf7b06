//! The data plane of this machine: loaded or adopted, kept current, handed over in place.
//!
//! [`Kernel::open`] changes nothing that is in force. [`Datapath::guard`] makes it so: it attaches or updates the
//! links, then the pins change places; if anything fails on the way, everything is as it was before `open`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sphere_common::abi::{self, SightingKey, SightingValue, Ticks};

use super::apply::{apply, installed};
use super::attach::{Attacher, PortSpec};
use super::carry::{carry, carry_late, fill_free_devices};
use super::clock;
use super::config;
use super::denied::Accounts;
use super::error::DatapathError;
use super::handover::{abandon, move_links, programs_use_maps, recover, release};
use super::learned::{self, Exchange};
use super::maps::{Maps, PINNED};
use super::netlink;
use super::object::{Object, Programs};
use super::origin::Origin;
use super::pins::{Part, Pins, pin};
use super::port::{PortState, port_state};
use super::raw_map::RawMap;
use super::ring::Ring;
use super::sweep;
use super::tally::Tally;
use super::tc::TcHook;
use super::traces::Traces;
use super::{Datapath, Survey, Surveyor, monotonic};
use crate::policy::Limits;
use crate::reconcile::{Changeset, Clock, GatewayFacts, Installed};

/// The data plane of this machine.
#[derive(Debug)]
pub struct Kernel {
    pins: Pins,
    maps: Arc<Maps>,
    programs: Programs,
    origin: Origin,
    fingerprint: &'static str,
    rate: u32,
    hook: Option<TcHook>,
    /// Parts that wait beside the pins for their turn.
    staged: Vec<Part>,
    /// Pins whose contents were carried over.
    source: Option<Pins>,
    /// Their rings of samples and of unjudged answers, which may hold some that nobody has read.
    old_events: Option<RawMap>,
    old_unjudged: Option<RawMap>,
    switched: Option<Instant>,
    /// Tick of the last look at all tables.
    surveyed: Arc<AtomicU64>,
}

impl Kernel {
    /// Loads the data plane, or adopts the one that is pinned. What is in force stays in force.
    ///
    /// # Errors
    ///
    /// When the file system, a privilege, the kernel or the object does not allow it.
    pub fn open(pin_root: &Path, limits: &Limits, object: &Object) -> Result<Self, DatapathError> {
        let pins = Pins::new(pin_root);
        pins.create()?;
        recover(&pins)?;
        let opened = Self::open_in(&pins, limits, object);
        if opened.is_err() {
            abandon(&pins);
        }
        opened
    }

    fn open_in(pins: &Pins, limits: &Limits, object: &Object) -> Result<Self, DatapathError> {
        let shapes = object.shapes(limits)?;
        let fits = pins.exist() && {
            let same =
                |name: &&str| RawMap::open(&pins.map(name)).is_ok_and(|map| Some(&map.shape()) == shapes.get(name));
            PINNED.iter().all(same)
        };
        let same_build = pins.build().as_deref() == Some(object.fingerprint());
        let (origin, maps, programs, source) = if fits && same_build && programs_use_maps(pins) {
            (Origin::Adopted, Maps::open(pins)?, Programs::open(pins)?, None)
        } else if fits {
            let (maps, programs) = object.load(limits, Some(pins))?;
            (Origin::Reloaded, maps, programs, None)
        } else {
            let (maps, programs) = object.load(limits, None)?;
            let source = if pins.exist() { Some(pins.clone()) } else { pins.others().pop() };
            let origin = if source.is_some() { Origin::Carried } else { Origin::Fresh };
            (origin, maps, programs, source)
        };
        let mut kernel = Self {
            pins: pins.clone(),
            maps: Arc::new(maps),
            programs,
            origin,
            fingerprint: object.fingerprint(),
            rate: 0,
            hook: None,
            staged: Vec::new(),
            old_events: old_map(source.as_ref(), abi::map::EVENTS),
            old_unjudged: old_map(source.as_ref(), abi::map::UNJUDGED),
            source,
            switched: None,
            surveyed: Arc::default(),
        };
        kernel.fill()?;
        kernel.rate = clock::find_rate(kernel.programs.clock.as_fd(), &kernel.maps)?;
        kernel.stage()?;
        Ok(kernel)
    }

    /// Attaches to tc in this way only, whatever the kernel can.
    #[must_use]
    pub fn with_hook(mut self, hook: Option<TcHook>) -> Self {
        self.hook = hook;
        self
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The tables.
    #[must_use]
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// The pins.
    #[must_use]
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The samples of denied packets; to be called within the runtime.
    ///
    /// # Errors
    ///
    /// When the ring cannot be mapped.
    pub fn events(&mut self) -> Result<Ring, DatapathError> {
        Ring::new(abi::map::EVENTS, &self.maps.events, self.old_events.take().as_ref())
    }

    /// The answers that the programs could not judge; to be called within the runtime.
    ///
    /// # Errors
    ///
    /// When the ring cannot be mapped.
    pub fn unjudged(&mut self) -> Result<Ring, DatapathError> {
        Ring::new(abi::map::UNJUDGED, &self.maps.unjudged, self.old_unjudged.take().as_ref())
    }

    /// The counts of what became of those answers.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::new(Arc::clone(&self.maps))
    }

    /// Number of the ingress program: what its log lines are asked for by.
    #[cfg(feature = "datapath-log")]
    #[must_use]
    pub fn ingress_program(&self) -> Option<u32> {
        super::sys::program_id(self.programs.ingress.as_fd()).ok()
    }

    fn fill(&self) -> Result<(), DatapathError> {
        match (self.origin, &self.source) {
            (Origin::Fresh, _) => fill_free_devices(&self.maps, &std::collections::HashSet::new()),
            (Origin::Carried, Some(source)) => carry(|name| RawMap::open(&source.map(name)).ok(), &self.maps),
            _ => Ok(()),
        }
    }

    /// Puts what is new beside the pins.
    fn stage(&mut self) -> Result<(), DatapathError> {
        if matches!(self.origin, Origin::Fresh | Origin::Carried) {
            let next = self.pins.begin(Part::Maps)?;
            self.staged.push(Part::Maps);
            for name in PINNED {
                let map = self.maps.raw(name).ok_or(DatapathError::Missing { name })?;
                pin(map.as_fd(), &next.join(name))?;
            }
        }
        if self.origin != Origin::Adopted {
            let next = self.pins.begin(Part::Programs)?;
            self.staged.push(Part::Programs);
            for (name, program) in self.programs.each() {
                pin(program.as_fd(), &next.join(name))?;
            }
        }
        Ok(())
    }

    fn attach(&self, ports: &[PortSpec]) -> Result<(), DatapathError> {
        let links = netlink::links()?;
        let mut attacher = Attacher::new(&self.pins, &self.programs).with_hook(self.hook);
        for port in ports {
            attacher.port(port, &links)?;
        }
        attacher.keep();
        Ok(())
    }

    /// The pins change places; from here on a new daemon finds what is in force.
    fn commit(&mut self) -> Result<(), DatapathError> {
        let source = self.source.take();
        if let Some(source) = &source {
            carry_late(|name| RawMap::open(&source.map(name)).ok(), &self.maps)?;
        }
        for part in std::mem::take(&mut self.staged) {
            self.pins.commit(part)?;
        }
        self.pins.set_build(self.fingerprint)?;
        for other in self.pins.others() {
            other.remove()?;
        }
        Ok(())
    }

    /// Takes the guard off ports that the policy no longer names.
    fn release(&self, keep: &BTreeSet<&str>) -> Result<(), DatapathError> {
        let links = netlink::links()?;
        for interface in self.pins.interfaces().iter().filter(|name| !keep.contains(name.as_str())) {
            let ifindex = links.iter().find(|link| link.name == *interface).map(|link| link.ifindex);
            release(&self.pins, interface, ifindex)?;
        }
        Ok(())
    }
}

impl Kernel {
    /// The accounts of denials, to be read from another thread.
    ///
    /// # Errors
    ///
    /// When a descriptor cannot be had.
    pub fn accounts(&self) -> Result<Accounts, DatapathError> {
        let program = self.programs.clock.try_clone().map_err(|source| DatapathError::Map {
            map: abi::map::CLOCK,
            operation: "duplication",
            source,
        })?;
        Ok(Accounts::new(Arc::clone(&self.maps), program, self.rate))
    }
}

impl Datapath for Kernel {
    fn clock(&self) -> Result<Clock, DatapathError> {
        clock::now(self.programs.clock.as_fd(), &self.maps, self.rate)
    }

    fn facts(&self) -> Result<GatewayFacts, DatapathError> {
        netlink::gateway()
    }

    fn installed(&self) -> Result<Installed, DatapathError> {
        installed(&self.maps)
    }

    fn apply(&mut self, changes: &Changeset) -> Result<(), DatapathError> {
        let mut switched = self.switched;
        let result = apply(&self.maps, changes, &mut |config| {
            // The slot that is written now was in force until the last switch: no program may still be reading it.
            if switched.is_some_and(|at| at.elapsed().as_secs() < 1) {
                monotonic::wait_for_programs();
            }
            switched = Some(Instant::now());
            config::write(&self.maps, self.rate, config)
        });
        self.switched = switched;
        result
    }

    fn check(&self, ports: &[PortSpec]) -> Result<(), DatapathError> {
        let links = netlink::links()?;
        let attacher = Attacher::new(&self.pins, &self.programs);
        ports.iter().try_for_each(|port| attacher.check(port, &links))
    }

    fn guard(&mut self, ports: &[PortSpec]) -> Result<(), DatapathError> {
        // Links of another layout move to this tree, to be updated in place.
        let other = self.source.clone().filter(|source| source.tree() != self.pins.tree());
        if let Some(other) = &other {
            move_links(other, &self.pins)?;
        }
        if let Err(error) = self.attach(ports) {
            if let Some(other) = &other {
                move_links(&self.pins, other)?;
            }
            return Err(error);
        }
        self.commit()?;
        self.release(&ports.iter().map(|port| port.interface.as_str()).collect())
    }

    fn guard_again(&mut self, port: &PortSpec) -> Result<(), DatapathError> {
        self.attach(std::slice::from_ref(port))
    }

    fn ports(&self, interfaces: &[String]) -> Result<Vec<PortState>, DatapathError> {
        let links = netlink::links()?;
        interfaces.iter().map(|interface| port_state(&self.pins, interface, &links)).collect()
    }

    fn surveyor(&self) -> Result<Surveyor, DatapathError> {
        let (maps, surveyed, clock) = (Arc::clone(&self.maps), Arc::clone(&self.surveyed), self.clock()?);
        Ok(Box::new(move || {
            let now = clock.ticks_at(monotonic::now());
            // A packet may be entered a moment after the program has looked at its clock.
            let since = surveyed.load(Ordering::Relaxed).saturating_sub(2 * Ticks::from(clock.ticks_per_second));
            let traces = Traces::read(&maps, clock, since)?;
            surveyed.store(now, Ordering::Relaxed);
            Ok(Survey { traces, swept: sweep::sweep(&maps, now)?, installed: installed(&maps)? })
        }))
    }

    fn set_shares(&mut self, shares: &BTreeMap<u32, u32>) -> Result<(), DatapathError> {
        learned::set_shares(&self.maps, shares)
    }

    fn shares_left(&self) -> Result<BTreeMap<u32, u32>, DatapathError> {
        Ok(self.maps.learn_quota.entries()?.into_iter().collect())
    }

    fn learned(&self) -> Result<u64, DatapathError> {
        learned::learned(&self.maps)
    }

    fn sightings(&self) -> Result<Vec<(SightingKey, SightingValue)>, DatapathError> {
        self.maps.sightings.entries()
    }

    fn note_sightings(&mut self, sightings: &[(SightingKey, SightingValue)]) -> Result<(), DatapathError> {
        learned::note_sightings(&self.maps, sightings)
    }

    fn is_asked(&self, exchange: &Exchange) -> Result<bool, DatapathError> {
        learned::is_asked(&self.maps, exchange, self.clock()?.ticks_at(monotonic::now()))
    }
}

/// A map of the pins that this data plane takes over from.
fn old_map(source: Option<&Pins>, name: &str) -> Option<RawMap> {
    source.and_then(|source| RawMap::open(&source.map(name)).ok())
}

impl Drop for Kernel {
    /// What never came into force leaves nothing behind.
    fn drop(&mut self) {
        if !self.staged.is_empty() {
            abandon(&self.pins);
        }
    }
}
