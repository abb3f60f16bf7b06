//! A bare TCP connection attempt: what came of the first packet.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

/// Shorter than the first retransmission of a SYN (RFC 6298 section 2.1), so that a lost one is seen.
const FIRST: Duration = Duration::from_millis(900);

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
    // The socket does not block: the SYN leaves with the call.
    match TcpStream::connect_timeout(&SocketAddr::new(address, port), FIRST) {
        Ok(_stream) => Ok(Dialled::Answered),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(Dialled::Answered),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Dialled::Silence),
        Err(error) => Err(error.into()),
    }
}
