//! The ring of samples, ready to be awaited.

use std::{fmt, io};

use aya::maps::{Map, MapData, RingBuf};
use sphere_common::abi;
use tokio::io::unix::AsyncFd;

use super::error::DatapathError;
use super::raw_map::RawMap;
use super::sys;

/// Samples taken before others get their turn.
const AT_ONCE: usize = 4096;

/// The ring of samples.
pub struct EventRing {
    ring: AsyncFd<RingBuf<MapData>>,
    /// Rings of the maps that this one took over from; what they still hold comes first.
    old: Vec<RingBuf<MapData>>,
    /// Whether samples were left in the ring.
    more: bool,
}

impl fmt::Debug for EventRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EventRing").field("more", &self.more).finish_non_exhaustive()
    }
}

impl EventRing {
    /// Maps the ring; must be called within the runtime.
    pub(super) fn new(map: &RawMap, old: Option<&RawMap>) -> Result<Self, DatapathError> {
        let old = old.map(ring_of).transpose()?.into_iter().collect();
        // SAFETY: the ring gives the descriptor of its map, which it owns and closes only when it is dropped, after the
        // registration ended.
        let registered = unsafe { AsyncFd::register(ring_of(map)?) };
        Ok(Self { ring: registered.map_err(|e| failed(e.into()))?, old, more: false })
    }

    /// Waits for samples.
    ///
    /// # Errors
    ///
    /// When the ring cannot be polled.
    pub async fn readable(&mut self) -> Result<(), DatapathError> {
        if self.more || !self.old.is_empty() {
            return Ok(());
        }
        let mut guard = self.ring.readable_mut().await.map_err(failed)?;
        // Cleared before the ring is read: what comes while it is read wakes again.
        guard.clear_ready();
        Ok(())
    }

    /// Shows the samples that wait, each once.
    pub fn drain(&mut self, mut show: impl FnMut(&[u8])) {
        for mut ring in self.old.drain(..) {
            while let Some(sample) = ring.next() {
                show(&sample);
            }
        }
        let ring = self.ring.get_mut();
        for _ in 0..AT_ONCE {
            let Some(sample) = ring.next() else {
                self.more = false;
                return;
            };
            show(&sample);
        }
        self.more = true;
    }
}

fn ring_of(map: &RawMap) -> Result<RingBuf<MapData>, DatapathError> {
    let fd = sys::duplicate(map).map_err(failed)?;
    let map = MapData::from_fd(fd).and_then(Map::from_map_data);
    map.and_then(RingBuf::try_from).map_err(|e| failed(io::Error::other(e)))
}

fn failed(source: io::Error) -> DatapathError {
    DatapathError::Map { map: abi::map::EVENTS, operation: "reading", source }
}
