//! A server that takes the daemon's records: it can be killed, brought back and held, and tells what it heard.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use crate::process::Process;

type Start = Box<dyn Fn() -> Result<Process>>;
type Heard = Box<dyn Fn() -> Result<Vec<u16>>>;

/// A receiver of records.
pub struct Receiver {
    /// What the daemon calls its sink.
    pub sink: String,
    /// Its table in the policy, without the header.
    pub table: String,
    process: Option<Process>,
    start: Start,
    heard: Heard,
    /// What stands in front of it, and stays.
    _front: Option<Process>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Receiver")
            .field("sink", &self.sink)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// Starts one. `start` starts its process and waits until it listens; `heard` gives the destination ports of all
    /// records that it has taken, in all its lives.
    pub(super) fn open(
        (sink, table): (String, String),
        front: Option<Process>,
        start: impl Fn() -> Result<Process> + 'static,
        heard: impl Fn() -> Result<Vec<u16>> + 'static,
    ) -> Result<Self> {
        let process = Some(start()?);
        Ok(Self { sink, table, process, start: Box::new(start), heard: Box::new(heard), _front: front })
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("it does not run")?.kill()
    }

    /// Brings it back.
    ///
    /// # Errors
    /// When it does not start.
    pub fn bring_back(&mut self) -> Result<()> {
        self.process = Some((self.start)()?);
        Ok(())
    }

    /// Stops it where it is, with SIGSTOP, or lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().context("it does not run")?.signal(signal)
    }

    /// Destination ports of the records that it has taken, each once, and how often one came again.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn heard(&self) -> Result<(BTreeSet<u16>, usize)> {
        let all = (self.heard)()?;
        let each: BTreeSet<u16> = all.iter().copied().collect();
        let again = all.len() - each.len();
        Ok((each, again))
    }
}

/// The numbers that stand behind a word in a text.
pub(super) fn numbers_behind(word: &str, text: &str) -> Vec<u16> {
    let number = |rest: &str| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    text.split(word).skip(1).filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers_behind;

    #[test]
    fn numbers_are_found_behind_their_word_only() {
        assert_eq!(numbers_behind(" dpt=", "a dpt=1 b spt=2\nc dpt=65535 dpt=x dpt=70000"), [1, 65535]);
    }
}
