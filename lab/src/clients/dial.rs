//! A bare TCP connection attempt: what came of the first packet.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Shorter than the first retransmission of a SYN (RFC 6298 section 2.1), so that a lost one is seen.
const FIRST: Duration = Duration::from_millis(900);
/// How long one of many attempts waits.
const AGAIN: Duration = Duration::from_millis(1);

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// The other side answered: it accepted or refused.
    Answered,
    /// Nothing came back.
    Silence,
}

/// Sends a SYN from the thread's namespace and waits for what comes back.
///
/// # Errors
/// When it cannot be sent.
pub fn dial(address: IpAddr, port: u16) -> Result<Dialled> {
    dial_for((address, port), FIRST)
}

/// The same again and again, with a SYN every few milliseconds, until something comes back or the time is over.
///
/// # Errors
/// When it cannot be sent.
pub fn dial_until(address: IpAddr, port: u16, deadline: Instant) -> Result<Dialled> {
    loop {
        let dialled = dial_for((address, port), AGAIN)?;
        if dialled == Dialled::Answered || Instant::now() >= deadline {
            return Ok(dialled);
        }
    }
}

fn dial_for((address, port): (IpAddr, u16), limit: Duration) -> Result<Dialled> {
    // The socket does not block: the SYN leaves with the call.
    match TcpStream::connect_timeout(&SocketAddr::new(address, port), limit) {
        Ok(_stream) => Ok(Dialled::Answered),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(Dialled::Answered),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Dialled::Silence),
        Err(error) => Err(error.into()),
    }
}
