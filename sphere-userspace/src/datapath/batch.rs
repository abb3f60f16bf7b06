//! Batch operations on a map: one system call for thousands of entries. Where a kernel or a map type has none, the same
//! is done entry by entry.

use std::io;
use std::os::fd::AsFd;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::raw_map::{RawMap, kind};
use super::sys::{self, Command, ENOTSUPP};

/// Entries of one batch.
const BATCH: usize = 4096;

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

impl RawMap {
    /// Writes entries, back to back in both slices.
    ///
    /// # Errors
    ///
    /// As [`Self::update`]; what came before the failing entry is written.
    pub fn update_all(&self, keys: &[u8], values: &[u8], flags: u64) -> io::Result<()> {
        let (key_bytes, stride) = (self.shape().key_bytes as usize, self.value_stride());
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
        let key_bytes = self.shape().key_bytes as usize;
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
        let (key_bytes, stride) = (self.shape().key_bytes as usize, self.value_stride());
        let mut room = BATCH.min(self.shape().capacity as usize).max(1);
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
                (Err(_), Some(libc::ENOSPC)) if matches!(self.shape().kind, kind::HASH | kind::LRU_HASH) => {
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
        let mut key = vec![0_u8; self.shape().key_bytes as usize];
        let mut value = vec![0_u8; self.value_stride()];
        let mut previous: Option<Vec<u8>> = None;
        while self.next_key(previous.as_deref(), &mut key)? {
            if self.lookup(&key, &mut value)? {
                show(&key, &value);
            }
            previous = Some(key.clone());
        }
        Ok(())
    }

    fn batch(&self, keys: *const u8, values: *const u8, count: usize) -> BatchAttr {
        BatchAttr {
            in_batch: 0,
            out_batch: 0,
            keys: keys as u64,
            values: values as u64,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            map: sys::raw(self.as_fd()),
            element_flags: 0,
            flags: 0,
        }
    }

    fn count_of(&self, keys_bytes: usize, values_bytes: Option<usize>) -> io::Result<usize> {
        let key_bytes = (self.shape().key_bytes as usize).max(1);
        let count = keys_bytes / key_bytes;
        let whole =
            keys_bytes.is_multiple_of(key_bytes) && values_bytes.is_none_or(|v| v == count * self.value_stride());
        if whole { Ok(count) } else { Err(io::Error::from(io::ErrorKind::InvalidInput)) }
    }
}

/// No batches for this map type, or none in this kernel.
fn unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ENOTSUPP | libc::EINVAL | libc::EOPNOTSUPP))
}
