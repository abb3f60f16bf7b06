//! Frames as fast as the machine can send them, counted one by one.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::thread;

use anyhow::{Context, Result};
use nix::sys::socket::{LinkAddr, MsgFlags, MultiHeaders, sendmmsg};

use crate::link::Link;

/// Frames in one call.
const AT_ONCE: usize = 128;

/// Sends `count` frames, those of `frames` over and over. Whatever is on the way has room for each, or it is sent again.
///
/// # Errors
/// When the socket fails.
pub fn flood(link: &Link, frames: &[Vec<u8>], count: u64) -> Result<()> {
    let (mut sent, mut next) = (0, 0);
    let mut headers = MultiHeaders::<LinkAddr>::preallocate(AT_ONCE, None);
    while sent < count {
        let most = usize::try_from(count - sent).unwrap_or(AT_ONCE).min(AT_ONCE).min(frames.len() - next);
        let batch = frames.get(next..next + most).context("no frames")?;
        let taken = send_batch(link.as_raw_fd(), &mut headers, batch)?;
        if taken == 0 {
            // The queue of the interface is full: its reader goes first.
            thread::yield_now();
        }
        sent += taken as u64;
        next = (next + taken) % frames.len();
    }
    Ok(())
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
