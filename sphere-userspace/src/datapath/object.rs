//! The object file inside this binary: what maps it asks for, and loading it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{Map, MapData};
use aya::programs::{Program, ProgramError, ProgramFd};
use aya::{Ebpf, EbpfLoader};
use sphere_common::abi;

use super::error::DatapathError;
use super::maps::{Maps, PINNED, capacity};
use super::pins::{Part, Pins};
use super::raw_map::{RawMap, Shape};
use super::sys;
use crate::policy::Limits;

/// The programs, loaded.
#[derive(Debug)]
pub(super) struct Programs {
    /// XDP at ingress.
    pub(super) ingress: OwnedFd,
    /// tc at ingress.
    pub(super) ingress_tc: OwnedFd,
    /// tc at egress.
    pub(super) egress: OwnedFd,
    /// Reads the kernel's clocks.
    pub(super) clock: OwnedFd,
}

impl Programs {
    /// Names and descriptors, in the order of the object's programs.
    pub(super) fn each(&self) -> [(&'static str, &OwnedFd); 4] {
        [
            (abi::program::INGRESS, &self.ingress),
            (abi::program::INGRESS_TC, &self.ingress_tc),
            (abi::program::EGRESS, &self.egress),
            (abi::program::CLOCK, &self.clock),
        ]
    }

    /// Collects the programs from wherever `open` finds them.
    fn collect(mut open: impl FnMut(&'static str) -> Result<OwnedFd, DatapathError>) -> Result<Self, DatapathError> {
        Ok(Self {
            ingress: open(abi::program::INGRESS)?,
            ingress_tc: open(abi::program::INGRESS_TC)?,
            egress: open(abi::program::EGRESS)?,
            clock: open(abi::program::CLOCK)?,
        })
    }

    /// Opens the pinned programs.
    pub(super) fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Self::collect(|name| {
            let path = pins.program(name);
            sys::open(&path).map_err(|e| super::pins::pin_error("open", &path, e))
        })
    }
}

/// The object that this binary carries.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    bytes: &'static [u8],
    fingerprint: &'static str,
}

impl Object {
    /// The object that was built into this binary.
    ///
    /// # Errors
    ///
    /// [`DatapathError::NoObject`] when there is none.
    pub fn embedded() -> Result<Self, DatapathError> {
        let bytes = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sphere-ebpf"));
        if bytes.is_empty() {
            return Err(DatapathError::NoObject);
        }
        Ok(Self { bytes, fingerprint: env!("SPHERE_EBPF_FINGERPRINT") })
    }

    /// Tells this build of the object from others.
    #[must_use]
    pub fn fingerprint(&self) -> &'static str {
        self.fingerprint
    }

    /// The shapes that the maps would have, by name.
    pub(super) fn shapes(&self, limits: &Limits) -> Result<BTreeMap<&'static str, Shape>, DatapathError> {
        let object = aya_obj::Object::parse(self.bytes).map_err(|e| DatapathError::Object(Box::new(e.into())))?;
        let shape = |name: &'static str| {
            let map = object.maps.get(name).ok_or(DatapathError::Missing { name })?;
            let shape = Shape {
                kind: map.map_type(),
                key_bytes: map.key_size(),
                value_bytes: map.value_size(),
                capacity: capacity(limits, name).unwrap_or(map.max_entries()),
                flags: map.map_flags(),
            };
            Ok((name, shape))
        };
        PINNED.into_iter().map(shape).collect()
    }

    /// Loads the programs, over the pinned maps or over maps of their own.
    pub(super) fn load(&self, limits: &Limits, adopt: Option<&Pins>) -> Result<(Maps, Programs), DatapathError> {
        let mut loader = EbpfLoader::new();
        for name in PINNED {
            if let Some(pins) = adopt {
                loader.map_pin_path(name, pins.part(Part::Maps).join(name));
            } else if let Some(entries) = capacity(limits, name) {
                loader.map_max_entries(name, entries);
            }
        }
        let mut ebpf = loader.load(self.bytes).map_err(|e| DatapathError::Object(Box::new(e)))?;
        let maps = Maps::collect(|name| raw_map(&ebpf, name))?;
        let programs = Programs::collect(|name| load_program(&mut ebpf, name))?;
        Ok((maps, programs))
    }
}

fn raw_map(ebpf: &Ebpf, name: &'static str) -> Result<RawMap, DatapathError> {
    let data = ebpf.map(name).and_then(map_data).ok_or(DatapathError::Missing { name })?;
    sys::duplicate(data.fd()).and_then(RawMap::new).map_err(|source| DatapathError::Map {
        map: name,
        operation: "opening",
        source,
    })
}

/// The kinds of maps that the object has.
fn map_data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LpmTrie(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::Queue(data)
        | Map::RingBuf(data) => Some(data),
        _ => None,
    }
}

fn load_program(ebpf: &mut Ebpf, name: &'static str) -> Result<OwnedFd, DatapathError> {
    let refused = |source: ProgramError| DatapathError::Program { program: name, source: Box::new(source) };
    let program = ebpf.program_mut(name).ok_or(DatapathError::Missing { name })?;
    match program {
        Program::Xdp(xdp) => xdp.load().map_err(refused)?,
        Program::SchedClassifier(classifier) => classifier.load().map_err(refused)?,
        _ => return Err(DatapathError::Missing { name }),
    }
    let fd = program.fd().map(ProgramFd::as_fd).map_err(refused)?;
    sys::duplicate(&fd).map_err(|e| refused(e.into()))
}
