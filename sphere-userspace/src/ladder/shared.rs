//! The ladder as several tasks of the daemon share it.

use std::sync::{Arc, Mutex, PoisonError};

use super::Ladder;

/// A ladder with several owners. Locked by who feeds it and by who answers for it, each for a moment and never across a
/// point of waiting.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Ladder>>);

impl Shared {
    /// Shares a ladder.
    #[must_use]
    pub fn new(ladder: Ladder) -> Self {
        Self(Arc::new(Mutex::new(ladder)))
    }

    /// Does something with it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Ladder) -> T) -> T {
        // Whoever panicked has at most not finished: each record stands by itself.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
