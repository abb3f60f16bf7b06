//! `sphere denied --follow`: what is denied, as the store gets it.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::Exit;
use crate::render::{Format, Live};
use crate::store::{Follow, Query};

/// Time between two looks at the store.
const LOOK: Duration = Duration::from_secs(1);

/// Tells what grows until it is interrupted, or nobody reads on.
pub(super) fn run(store: PathBuf, query: Query, format: Format) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut follow, mut live) = (Follow::new(store, query.filter, query.by), Live::new(format, query.by));
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => live.write(&mut io::stdout().lock(), &follow.look(SystemTime::now())?)?,
                _ = interrupt.recv() => return Ok(Exit::Done),
                _ = terminate.recv() => return Ok(Exit::Done),
            }
        }
    })
}
