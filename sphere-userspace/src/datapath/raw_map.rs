//! One kernel map as bytes: single and batch operations, each checked against the sizes that the kernel reports.
//!
//! A batch is one system call for thousands of entries; where a kernel or a map type has none, the same is done entry
//! by entry.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::sys::{self, Command, ENOTSUPP};

/// Entries of one batch.
const BATCH: usize = 4096;

/// Types of maps, as far as they matter here: `enum bpf_map_type`.
mod kind {
    pub(super) const HASH: u32 = 1;
    pub(super) const PERCPU_HASH: u32 = 5;
    pub(super) const PERCPU_ARRAY: u32 = 6;
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

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Keys and values of a whole map, each back to back.
#[derive(Debug, Default)]
pub struct Dump {
    /// Keys.
    pub keys: Vec<u8>,
    /// Values; of a per-CPU map one per possible CPU, each padded to eight bytes.
    pub values: Vec<u8>,
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

    /// Writes entries, back to back in both slices.
    ///
    /// # Errors
    ///
    /// As [`Self::update`]; what came before the failing entry is written.
    pub fn update_all(&self, keys: &[u8], values: &[u8], flags: u64) -> io::Result<()> {
        let (key_bytes, stride) = (self.shape.key_bytes as usize, self.value_stride);
        let total = self.count_of(keys.len(), Some(values.len()))?;
        let mut done = 0;
        while done < total {
            let count = (total - done).min(BATCH);
            let (k, v) = (&keys[done * key_bytes..], &values[done * stride..]);
            let mut attr = self.batch(k.as_ptr(), v.as_ptr(), count);
            attr.element_flags = flags;
            // SAFETY: both slices hold at least `count` entries from here (counted above), outlive the call and are
            // only read.
            match unsafe { sys::bpf(Command::MapUpdateBatch, &mut attr) } {
                Ok(_) => done += count,
                Err(error) if unsupported(&error) => {
                    for (key, value) in k.chunks_exact(key_bytes).zip(v.chunks_exact(stride)).take(count) {
                        self.update(key, value, flags)?;
                    }
                    done += count;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes entries, back to back; what is not there is passed over.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn delete_all(&self, keys: &[u8]) -> io::Result<()> {
        let key_bytes = self.shape.key_bytes as usize;
        let total = self.count_of(keys.len(), None)?;
        let mut done = 0;
        while done < total {
            let count = (total - done).min(BATCH);
            let rest = &keys[done * key_bytes..];
            let mut attr = self.batch(rest.as_ptr(), std::ptr::null(), count);
            // SAFETY: the slice holds at least `count` keys from here (counted above) and outlives the call.
            match unsafe { sys::bpf(Command::MapDeleteBatch, &mut attr) } {
                Ok(_) => done += count,
                // The batch stopped at a key that is not there; `count` says how many went before it.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) && (attr.count as usize) < count => {
                    done += attr.count as usize + 1;
                }
                Err(error) if unsupported(&error) => {
                    for key in rest.chunks_exact(key_bytes).take(count) {
                        self.delete(key)?;
                    }
                    done += count;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Everything in the map. Entries that others write meanwhile may be in it or not.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn dump(&self) -> io::Result<Dump> {
        let mut dump = Dump::default();
        self.visit(|keys, values| {
            dump.keys.extend_from_slice(keys);
            dump.values.extend_from_slice(values);
        })?;
        Ok(dump)
    }

    /// Shows everything in the map, some thousand entries at a time, keys and values each back to back.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn visit(&self, mut show: impl FnMut(&[u8], &[u8])) -> io::Result<()> {
        let mut shown = false;
        let result = self.visit_by_batch(|keys, values| {
            shown = true;
            show(keys, values);
        });
        match result {
            Err(error) if unsupported(&error) && !shown => self.visit_by_key(show),
            other => other,
        }
    }

    fn visit_by_batch(&self, mut show: impl FnMut(&[u8], &[u8])) -> io::Result<()> {
        let (key_bytes, stride) = (self.shape.key_bytes as usize, self.value_stride);
        let mut room = BATCH.min(self.shape.capacity as usize).max(1);
        let (mut keys, mut values) = (vec![0_u8; room * key_bytes], vec![0_u8; room * stride]);
        // The place where the next batch goes on: a key, or a bucket number for hashes.
        let mut cursor = vec![0_u8; key_bytes.max(8)];
        let mut next = cursor.clone();
        let mut first = true;
        loop {
            let mut attr = self.batch(keys.as_ptr(), values.as_ptr(), room);
            attr.keys = keys.as_mut_ptr() as u64;
            attr.values = values.as_mut_ptr() as u64;
            attr.in_batch = if first { 0 } else { cursor.as_mut_ptr() as u64 };
            attr.out_batch = next.as_mut_ptr() as u64;
            // SAFETY: both vectors hold `room` entries, the cursors a key or a bucket number, whichever is larger, and
            // all outlive the call.
            let result = unsafe { sys::bpf(Command::MapLookupBatch, &mut attr) };
            let errno = result.as_ref().err().and_then(io::Error::raw_os_error);
            match (result, errno) {
                (Err(_), Some(libc::ENOSPC)) if self.shape.kind == kind::HASH => {
                    // One hash bucket holds more than there was room for.
                    room *= 2;
                    keys.resize(room * key_bytes, 0);
                    values.resize(room * stride, 0);
                    continue;
                }
                (Err(error), errno) if errno != Some(libc::ENOENT) => return Err(error),
                _ => {}
            }
            let filled = (attr.count as usize).min(room);
            show(&keys[..filled * key_bytes], &values[..filled * stride]);
            if errno.is_some() {
                return Ok(());
            }
            first = false;
            std::mem::swap(&mut cursor, &mut next);
        }
    }

    fn visit_by_key(&self, mut show: impl FnMut(&[u8], &[u8])) -> io::Result<()> {
        let mut key = vec![0_u8; self.shape.key_bytes as usize];
        let mut value = vec![0_u8; self.value_stride];
        let mut previous: Option<Vec<u8>> = None;
        while self.next_key(previous.as_deref(), &mut key)? {
            if self.lookup(&key, &mut value)? {
                show(&key, &value);
            }
            previous = Some(key.clone());
        }
        Ok(())
    }

    fn next_key(&self, previous: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
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

    fn batch(&self, keys: *const u8, values: *const u8, count: usize) -> BatchAttr {
        BatchAttr {
            in_batch: 0,
            out_batch: 0,
            keys: keys as u64,
            values: values as u64,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            map: sys::raw(self.fd.as_fd()),
            element_flags: 0,
            flags: 0,
        }
    }

    fn check(&self, key_bytes: usize, value_bytes: Option<usize>) -> io::Result<()> {
        let fits = key_bytes == self.shape.key_bytes as usize && value_bytes.is_none_or(|v| v == self.value_stride);
        if fits { Ok(()) } else { Err(io::Error::from(io::ErrorKind::InvalidInput)) }
    }

    fn count_of(&self, keys_bytes: usize, values_bytes: Option<usize>) -> io::Result<usize> {
        let key_bytes = (self.shape.key_bytes as usize).max(1);
        let count = keys_bytes / key_bytes;
        let whole = keys_bytes % key_bytes == 0 && values_bytes.is_none_or(|v| v == count * self.value_stride);
        if whole { Ok(count) } else { Err(io::Error::from(io::ErrorKind::InvalidInput)) }
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

/// No batches for this map type, or none in this kernel.
fn unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ENOTSUPP | libc::EINVAL | libc::EOPNOTSUPP))
}

/// CPUs that the kernel has room for: the values that a per-CPU map has of each entry.
fn possible_cpus() -> io::Result<usize> {
    aya::util::nr_cpus().map_err(|(_, error)| error)
}
