//! One kernel map as bytes: operations on single entries, each checked against the sizes that the kernel reports.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::sys::{self, Command};

/// Types of maps, as far as they matter here: `enum bpf_map_type`.
pub(super) mod kind {
    pub(crate) const HASH: u32 = 1;
    pub(super) const PERCPU_HASH: u32 = 5;
    pub(super) const PERCPU_ARRAY: u32 = 6;
    pub(crate) const LRU_HASH: u32 = 9;
}

/// Type, sizes and flags of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// Bytes of a key.
    pub key_bytes: u32,
    /// Bytes of a value (of one CPU, for per-CPU maps).
    pub value_bytes: u32,
    /// Entries there is room for.
    pub capacity: u32,
    /// `BPF_F_*` flags of its creation.
    pub flags: u32,
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct MapInfo {
    kind: u32,
    id: u32,
    key_bytes: u32,
    value_bytes: u32,
    capacity: u32,
    flags: u32,
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct ElementAttr {
    map: u32,
    pad: u32,
    key: u64,
    value_or_next: u64,
    flags: u64,
}

/// A map.
#[derive(Debug)]
pub struct RawMap {
    fd: OwnedFd,
    id: u32,
    shape: Shape,
    value_stride: usize,
}

impl RawMap {
    /// Takes over the descriptor of a map.
    ///
    /// # Errors
    ///
    /// When the kernel does not say what it is.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let info: MapInfo = sys::info(fd.as_fd())?;
        let shape = Shape {
            kind: info.kind,
            key_bytes: info.key_bytes,
            value_bytes: info.value_bytes,
            capacity: info.capacity,
            flags: info.flags,
        };
        let value_bytes = info.value_bytes as usize;
        let value_stride = match info.kind {
            kind::PERCPU_ARRAY | kind::PERCPU_HASH => value_bytes.next_multiple_of(8) * possible_cpus()?,
            _ => value_bytes,
        };
        Ok(Self { fd, id: info.id, shape, value_stride })
    }

    /// Opens a pinned map.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such pin.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(sys::open(path)?)
    }

    /// Type and sizes.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Number that the kernel gave it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Bytes that a read of one value fills.
    #[must_use]
    pub fn value_stride(&self) -> usize {
        self.value_stride
    }

    /// Reads the value of a key; false when there is none.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        self.check(key.len(), Some(value.len()))?;
        let mut attr = self.element(key.as_ptr(), value.as_mut_ptr(), 0);
        // SAFETY: key and value are as long as this map's (checked above) and outlive the call.
        present(unsafe { sys::bpf(Command::MapLookup, &mut attr) })
    }

    /// Writes one entry; `flags` as in `bpf(2)`. A queue has no key: the value is pushed.
    ///
    /// # Errors
    ///
    /// `E2BIG` when the map is full, `EEXIST` when the flags forbid to overwrite.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> io::Result<()> {
        self.check(key.len(), Some(value.len()))?;
        let key = if key.is_empty() { std::ptr::null() } else { key.as_ptr() };
        let mut attr = self.element(key, value.as_ptr(), flags);
        // SAFETY: key and value are as long as this map's (checked above), outlive the call and are only read.
        unsafe { sys::bpf(Command::MapUpdate, &mut attr) }.map(drop)
    }

    /// Removes one entry; false when there was none.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn delete(&self, key: &[u8]) -> io::Result<bool> {
        self.check(key.len(), None)?;
        let mut attr = self.element(key.as_ptr(), std::ptr::null(), 0);
        // SAFETY: the key is as long as this map's (checked above) and outlives the call.
        present(unsafe { sys::bpf(Command::MapDelete, &mut attr) })
    }

    /// Removes one entry and gives back what it held; false when there was none. Nothing comes between the two.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn take(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        self.check(key.len(), Some(value.len()))?;
        let mut attr = self.element(key.as_ptr(), value.as_mut_ptr(), 0);
        // SAFETY: key and value are as long as this map's (checked above) and outlive the call.
        present(unsafe { sys::bpf(Command::MapLookupAndDelete, &mut attr) })
    }

    /// Takes the next value out of a queue; false when it is empty.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn pop(&self, value: &mut [u8]) -> io::Result<bool> {
        self.check(0, Some(value.len()))?;
        let mut attr = self.element(std::ptr::null(), value.as_mut_ptr(), 0);
        // SAFETY: a queue has no key; the value is as long as this map's (checked above) and outlives the call.
        present(unsafe { sys::bpf(Command::MapLookupAndDelete, &mut attr) })
    }

    pub(super) fn next_key(&self, previous: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
        self.check(next.len(), None)?;
        let from = previous.map_or(std::ptr::null(), <[u8]>::as_ptr);
        let mut attr = self.element(from, next.as_mut_ptr(), 0);
        // SAFETY: `previous` is null or a key that this function returned before, `next` is as long as a key (checked
        // above), both outlive the call.
        present(unsafe { sys::bpf(Command::MapNextKey, &mut attr) })
    }

    fn element(&self, key: *const u8, value: *const u8, flags: u64) -> ElementAttr {
        ElementAttr { map: sys::raw(self.fd.as_fd()), pad: 0, key: key as u64, value_or_next: value as u64, flags }
    }

    fn check(&self, key_bytes: usize, value_bytes: Option<usize>) -> io::Result<()> {
        let fits = key_bytes == self.shape.key_bytes as usize && value_bytes.is_none_or(|v| v == self.value_stride);
        if fits { Ok(()) } else { Err(io::Error::from(io::ErrorKind::InvalidInput)) }
    }
}

impl AsFd for RawMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn present(result: io::Result<i32>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// CPUs that the kernel has room for: the values that a per-CPU map has of each entry.
fn possible_cpus() -> io::Result<usize> {
    aya::util::nr_cpus().map_err(|(_, error)| error)
}
