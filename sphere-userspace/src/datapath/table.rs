//! A kernel map with the types of its keys and values.

use std::io;
use std::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::error::DatapathError;
use super::raw_map::{RawMap, Shape};
use super::sys;

/// What can be a key or a value: plain bytes of the shared layout.
pub trait Plain: FromBytes + IntoBytes + Immutable + Copy {}

impl<T: FromBytes + IntoBytes + Immutable + Copy> Plain for T {}

/// A typed view of one map.
#[derive(Debug)]
pub struct Table<K, V> {
    name: &'static str,
    raw: RawMap,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Plain, V: Plain> Table<K, V> {
    /// Gives types to a map.
    ///
    /// # Errors
    ///
    /// When its sizes are others.
    pub fn new(name: &'static str, raw: RawMap) -> Result<Self, DatapathError> {
        let shape = raw.shape();
        if shape.key_bytes as usize != size_of::<K>() || shape.value_bytes as usize != size_of::<V>() {
            return Err(DatapathError::Layout { map: name });
        }
        Ok(Self { name, raw, types: PhantomData })
    }

    /// Name of the map.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The map below.
    #[must_use]
    pub fn raw(&self) -> &RawMap {
        &self.raw
    }

    /// Type and sizes.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.raw.shape()
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn lookup(&self, key: &K) -> Result<Option<V>, DatapathError> {
        let mut value = V::new_zeroed();
        let found = self.raw.lookup(key.as_bytes(), value.as_mut_bytes()).map_err(|e| self.error("look-up", e))?;
        Ok(found.then_some(value))
    }

    /// Writes one entry.
    ///
    /// # Errors
    ///
    /// When the map is full or the kernel refuses.
    pub fn insert(&self, key: &K, value: &V) -> Result<(), DatapathError> {
        self.raw.update(key.as_bytes(), value.as_bytes(), 0).map_err(|e| self.error("insertion", e))
    }

    /// Removes one entry; false when there was none.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn remove(&self, key: &K) -> Result<bool, DatapathError> {
        self.raw.delete(key.as_bytes()).map_err(|e| self.error("removal", e))
    }

    /// Writes one entry unless there is one; false when there is.
    ///
    /// # Errors
    ///
    /// When the map is full or the kernel refuses.
    pub fn insert_new(&self, key: &K, value: &V) -> Result<bool, DatapathError> {
        match self.raw.update(key.as_bytes(), value.as_bytes(), sys::NO_EXIST) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
            other => other.map(|()| true).map_err(|e| self.error("insertion", e)),
        }
    }

    /// Removes one entry and gives back what it held.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn take(&self, key: &K) -> Result<Option<V>, DatapathError> {
        let mut value = V::new_zeroed();
        let found = self.raw.take(key.as_bytes(), value.as_mut_bytes()).map_err(|e| self.error("removal", e))?;
        Ok(found.then_some(value))
    }

    /// Writes many entries, in few system calls: each key with the value at its place.
    ///
    /// # Errors
    ///
    /// When the map is full or the kernel refuses; what came before the failing entry is written.
    pub fn insert_all(&self, keys: &[K], values: &[V]) -> Result<(), DatapathError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.raw.update_all(keys.as_bytes(), values.as_bytes(), 0).map_err(|e| self.error("insertion", e))
    }

    /// Removes many entries, in few system calls.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn remove_all(&self, keys: &[K]) -> Result<(), DatapathError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.raw.delete_all(keys.as_bytes()).map_err(|e| self.error("removal", e))
    }

    /// Everything in the map.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn entries(&self) -> Result<Vec<(K, V)>, DatapathError> {
        let mut entries = Vec::new();
        self.visit(|key, value| entries.push((*key, *value)))?;
        Ok(entries)
    }

    /// Shows every entry, without holding them all.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn visit(&self, mut show: impl FnMut(&K, &V)) -> Result<(), DatapathError> {
        let stride = self.raw.value_stride();
        let each = |keys: &[u8], values: &[u8]| {
            for (key, value) in keys.chunks_exact(size_of::<K>()).zip(values.chunks_exact(stride)) {
                // Both are of the sizes that were checked when the table was made.
                if let (Ok(key), Ok(value)) = (K::read_from_bytes(key), V::read_from_bytes(value)) {
                    show(&key, &value);
                }
            }
        };
        self.raw.visit(each).map_err(|e| self.error("dump", e))
    }

    fn error(&self, operation: &'static str, source: io::Error) -> DatapathError {
        if source.raw_os_error() == Some(libc::E2BIG) {
            return DatapathError::Full { map: self.name, capacity: self.raw.shape().capacity };
        }
        DatapathError::Map { map: self.name, operation, source }
    }
}

/// A per-CPU array of totals: reads give the sum over all CPUs.
#[derive(Debug)]
pub struct Totals<V> {
    inner: Table<u32, V>,
}

impl<V: Plain> Totals<V> {
    /// Gives a type to a per-CPU map.
    ///
    /// # Errors
    ///
    /// When its sizes are others.
    pub fn new(name: &'static str, raw: RawMap) -> Result<Self, DatapathError> {
        Ok(Self { inner: Table::new(name, raw)? })
    }

    /// The map below.
    #[must_use]
    pub fn raw(&self) -> &RawMap {
        &self.inner.raw
    }

    /// The values of all CPUs, by index.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn rows(&self) -> Result<Vec<Vec<V>>, DatapathError> {
        let raw = &self.inner.raw;
        let dump = raw.dump().map_err(|e| self.inner.error("dump", e))?;
        let width = size_of::<V>().next_multiple_of(8);
        let row = |bytes: &[u8]| {
            bytes.chunks_exact(width).filter_map(|v| Some(V::read_from_prefix(v).ok()?.0)).collect::<Vec<V>>()
        };
        Ok(dump.values.chunks_exact(raw.value_stride()).map(row).collect())
    }

    /// Sets one entry to zero on every CPU.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn clear(&self, index: u32) -> Result<(), DatapathError> {
        let zeros = vec![0_u8; self.inner.raw.value_stride()];
        self.inner.raw.update(index.as_bytes(), &zeros, 0).map_err(|e| self.inner.error("insertion", e))
    }
}

impl Totals<u64> {
    /// Adds one to an entry that the programs never write; nobody else may do so at the same time.
    pub(super) fn increment(&self, index: u32) -> Result<(), DatapathError> {
        let raw = &self.inner.raw;
        let mut row = vec![0_u8; raw.value_stride()];
        raw.lookup(index.as_bytes(), &mut row).map_err(|e| self.inner.error("look-up", e))?;
        if let Some(first) = row.first_chunk_mut::<8>() {
            *first = (u64::from_ne_bytes(*first) + 1).to_ne_bytes();
        }
        raw.update(index.as_bytes(), &row, 0).map_err(|e| self.inner.error("insertion", e))
    }
}
