//! Frames as fast as the machine can send them, counted one by one, and none lost on the way.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{LinkAddr, MsgFlags, MultiHeaders, sendmmsg};

use crate::link::Link;
use crate::net::Namespace;

/// Frames on their way at a time. The receiving end of a veth pair has room for 256 (`VETH_RING_SIZE` in the kernel's
/// drivers/net/veth.c), and what finds no room is dropped: this leaves some for others.
const WINDOW: usize = 64;
/// How long frames may be on their way.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends frames over and over, and goes on only when those before have arrived.
#[derive(Debug)]
pub struct Flood<'a> {
    link: &'a Link,
    frames: &'a [Vec<u8>],
    far_end: &'a Counts,
}

impl<'a> Flood<'a> {
    /// One that sends these frames, all of which arrive at the far end.
    #[must_use]
    pub fn new(link: &'a Link, frames: &'a [Vec<u8>], far_end: &'a Counts) -> Self {
        Self { link, frames, far_end }
    }

    /// Sends `count` frames; `sent` follows.
    ///
    /// # Errors
    /// When the socket fails, or frames do not arrive.
    pub fn send(&self, count: u64, sent: &AtomicU64) -> Result<()> {
        let (mut done, mut next) = (0, 0);
        let mut headers = MultiHeaders::<LinkAddr>::preallocate(WINDOW, None);
        while done < count {
            let most = usize::try_from(count - done).unwrap_or(WINDOW).min(WINDOW).min(self.frames.len() - next);
            let batch = self.frames.get(next..next + most).context("no frames")?;
            let before = self.far_end.read()?.received;
            let taken = send_batch(self.link.as_raw_fd(), &mut headers, batch)?;
            self.wait_for(before + taken as u64)?;
            done += taken as u64;
            sent.store(done, Ordering::Relaxed);
            next = (next + taken) % self.frames.len();
        }
        Ok(())
    }

    /// Waits until the far end has received so many frames.
    fn wait_for(&self, received: u64) -> Result<()> {
        let begun = Instant::now();
        while self.far_end.read()?.received < received {
            ensure!(begun.elapsed() < PATIENCE, "frames were lost on their way");
            // Who takes them in may need this processor.
            thread::yield_now();
        }
        Ok(())
    }
}

/// Hands over as many frames as there is room for; says how many.
fn send_batch(fd: RawFd, headers: &mut MultiHeaders<LinkAddr>, batch: &[Vec<u8>]) -> Result<usize> {
    let slices: Vec<[IoSlice<'_>; 1]> = batch.iter().map(|frame| [IoSlice::new(frame)]).collect();
    let addresses = vec![None; batch.len()];
    match sendmmsg(fd, headers, &slices, addresses, [], MsgFlags::empty()) {
        Ok(results) => Ok(results.count()),
        Err(nix::Error::ENOBUFS | nix::Error::EAGAIN | nix::Error::EINTR) => Ok(0),
        Err(errno) => Err(errno).context("cannot send"),
    }
}

/// What the kernel counts at an interface (`/proc/net/dev` of its namespace, proc(5)).
#[derive(Debug)]
pub struct Counts {
    table: File,
    interface: String,
}

/// Frames of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// That came in.
    pub received: u64,
    /// That the other end had no room for.
    pub dropped: u64,
}

impl Counts {
    /// Of an interface of a namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn of(namespace: &Namespace, interface: &str) -> Result<Self> {
        // An open file stays with the namespace of the thread that opened it.
        let table = namespace.enter(|| File::open("/proc/thread-self/net/dev"))??;
        Ok(Self { table, interface: interface.to_owned() })
    }

    /// The counts now.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn read(&self) -> Result<Frames> {
        let mut buffer = [0; 4096];
        let length = self.table.read_at(&mut buffer, 0)?;
        let text = std::str::from_utf8(buffer.get(..length).unwrap_or_default())?;
        parse(text, &self.interface).with_context(|| format!("no counts of {}", self.interface))
    }
}

fn parse(text: &str, interface: &str) -> Option<Frames> {
    let mut lines = text.lines().filter_map(|line| line.trim_start().split_once(':'));
    let (_, counts) = lines.find(|(name, _)| *name == interface)?;
    let mut counts = counts.split_ascii_whitespace().map(str::parse);
    let received = counts.nth(1)?.ok()?;
    Some(Frames { received, dropped: counts.nth(9)?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_by_interface() {
        let text = "Inter-|   Receive                        |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo\n    \
                    lo:       1       2    3    4    5     6          7         8        9      10   11   12   13\n  \
                    lan0:    101     102    3    4    5     6          7         8        9      10   11  112   13\n";
        assert_eq!(parse(text, "lan0"), Some(Frames { received: 102, dropped: 112 }));
        assert_eq!(parse(text, "lan"), None);
    }
}
