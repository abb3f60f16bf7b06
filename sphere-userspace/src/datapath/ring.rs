//! A ring of the programs, ready to be awaited.

use std::{fmt, io};

use aya::maps::{Map, MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use super::error::DatapathError;
use super::raw_map::RawMap;
use super::sys;

/// Records taken before others get their turn.
const AT_ONCE: usize = 4096;

/// Who is shown records.
type Watcher = Box<dyn FnMut(&[u8]) + Send>;

/// A ring of records.
pub struct Ring {
    name: &'static str,
    ring: AsyncFd<RingBuf<MapData>>,
    /// Rings of the maps that this one took over from; what they still hold comes first.
    old: Vec<RingBuf<MapData>>,
    /// Whether records were left in the ring.
    more: bool,
    /// Who is shown each record first.
    watcher: Option<Watcher>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ring").field("name", &self.name).field("more", &self.more).finish_non_exhaustive()
    }
}

impl Ring {
    /// Maps the ring; must be called within the runtime.
    pub(super) fn new(name: &'static str, map: &RawMap, old: Option<&RawMap>) -> Result<Self, DatapathError> {
        let failed = failed(name);
        let old = old.map(ring_of).transpose().map_err(&failed)?.into_iter().collect();
        // SAFETY: the ring gives the descriptor of its map, which it owns and closes only when it is dropped, after the
        // registration ended.
        let registered = unsafe { AsyncFd::register(ring_of(map).map_err(&failed)?) };
        Ok(Self { name, ring: registered.map_err(|e| failed(e.into()))?, old, more: false, watcher: None })
    }

    /// Shows each record to somebody else first.
    #[must_use]
    pub fn watched(mut self, watcher: impl FnMut(&[u8]) + Send + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// Waits for records.
    ///
    /// # Errors
    ///
    /// When the ring cannot be polled.
    pub async fn readable(&mut self) -> Result<(), DatapathError> {
        if self.more || !self.old.is_empty() {
            return Ok(());
        }
        let mut guard = self.ring.readable_mut().await.map_err(failed(self.name))?;
        // Cleared before the ring is read: what comes while it is read wakes again.
        guard.clear_ready();
        Ok(())
    }

    /// Shows the records that wait, each once.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) {
        let watcher = &mut self.watcher;
        let mut show = |record: &[u8]| {
            if let Some(watcher) = watcher {
                watcher(record);
            }
            take(record);
        };
        for mut ring in self.old.drain(..) {
            while let Some(record) = ring.next() {
                show(&record);
            }
        }
        let ring = self.ring.get_mut();
        for _ in 0..AT_ONCE {
            let Some(record) = ring.next() else {
                self.more = false;
                return;
            };
            show(&record);
        }
        self.more = true;
    }
}

fn ring_of(map: &RawMap) -> io::Result<RingBuf<MapData>> {
    let fd = sys::duplicate(map)?;
    let map = MapData::from_fd(fd).and_then(Map::from_map_data);
    map.and_then(RingBuf::try_from).map_err(io::Error::other)
}

fn failed(map: &'static str) -> impl Fn(io::Error) -> DatapathError {
    move |source| DatapathError::Map { map, operation: "reading", source }
}
