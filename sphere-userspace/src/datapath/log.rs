//! Log lines of the programs, in builds for debugging the data plane only (feature `datapath-log`).

use std::{fmt, io};

use aya_log::EbpfLogger;
use tokio::io::unix::AsyncFd;

/// The log of the programs.
pub struct ProgramLog {
    logger: AsyncFd<EbpfLogger<&'static dyn log::Log>>,
}

impl fmt::Debug for ProgramLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ProgramLog").finish_non_exhaustive()
    }
}

impl ProgramLog {
    /// Opens the log of a program by its number; must be called within the runtime.
    ///
    /// # Errors
    ///
    /// When the object was built without the feature, or the log cannot be polled.
    pub fn open(program: u32) -> io::Result<Self> {
        let logger = EbpfLogger::init_from_id(program).map_err(io::Error::other)?;
        // SAFETY: the logger gives the descriptor of its map, which it owns and closes only when it is dropped, after the
        // registration ended.
        let logger = unsafe { AsyncFd::register(logger) }?;
        Ok(Self { logger })
    }

    /// Hands lines to the logger as they come, for ever.
    ///
    /// # Errors
    ///
    /// When the log cannot be polled.
    pub async fn follow(mut self) -> io::Result<()> {
        loop {
            let mut guard = self.logger.readable_mut().await?;
            guard.clear_ready();
            guard.get_inner_mut().flush();
        }
    }
}
