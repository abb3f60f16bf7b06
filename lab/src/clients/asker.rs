//! A stub resolver of the lab's own: as fast as the wire, and it shows the messages themselves.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{setsockopt, sockopt};

use crate::message::Question;
use crate::net::Namespace;

/// How long an answer may take.
pub const ANSWER: Duration = Duration::from_secs(3);

/// Room for many answers at once.
const BUFFER_BYTES: usize = 4 << 20;

/// A socket on a device, connected to one resolver.
#[derive(Debug)]
pub struct Asker {
    socket: UdpSocket,
    next: u16,
}

impl Asker {
    /// Opens a socket in a namespace.
    ///
    /// # Errors
    /// When the namespace has no way to the resolver.
    pub fn open(namespace: &Namespace, resolver: impl Into<IpAddr>) -> Result<Self> {
        let resolver = SocketAddr::new(resolver.into(), 53);
        let socket = namespace.enter(|| {
            let any =
                if resolver.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect(resolver)?;
            std::io::Result::Ok(socket)
        })??;
        socket.set_read_timeout(Some(ANSWER))?;
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES)?;
        Ok(Self { socket, next: 1 })
    }

    /// Its port.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn port(&self) -> Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Sends a question and returns it; the answer is not waited for.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn send(&mut self, name: &str, kind: u16) -> Result<Question> {
        self.next = self.next.wrapping_add(1);
        let question = Question { id: self.next, name: name.to_owned(), kind };
        self.put(&question)?;
        Ok(question)
    }

    /// Sends this question.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn put(&self, question: &Question) -> Result<()> {
        self.socket.send(&question.query())?;
        Ok(())
    }

    /// Reads what arrives until this message does.
    ///
    /// # Errors
    /// When it does not arrive.
    pub fn until(&self, last: &[u8]) -> Result<()> {
        let mut buffer = [0; 4096];
        self.socket.set_read_timeout(Some(ANSWER))?;
        loop {
            let length = self.socket.recv(&mut buffer).context("the last answer did not arrive")?;
            if buffer.get(..length) == Some(last) {
                return Ok(());
            }
        }
    }

    /// The next message that arrives; `None` when none does within `limit`.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn receive(&self, limit: Duration) -> Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; 65_535];
        self.socket.set_read_timeout(Some(limit))?;
        match self.socket.recv(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks, and returns the answer.
    ///
    /// # Errors
    /// When none comes.
    pub fn ask(&mut self, name: &str, kind: u16) -> Result<Vec<u8>> {
        let question = self.send(name, kind)?;
        let deadline = Instant::now() + ANSWER;
        while let Some(message) = self.receive(deadline.saturating_duration_since(Instant::now()).max(MOMENT))? {
            if message.starts_with(&question.id.to_be_bytes()) {
                return Ok(message);
            }
        }
        bail!("no answer for {name} within {ANSWER:?}")
    }
}

/// A time limit of zero would mean none.
const MOMENT: Duration = Duration::from_millis(1);

/// Asks over a connection, and returns the answer; `None` when none comes within `limit`. The message and the length
/// before it (RFC 1035 section 4.2.2) go out in segments of `piece` bytes.
///
/// # Errors
/// When the resolver takes no connection, or ends it.
pub fn ask_over_tcp(
    namespace: &Namespace,
    resolver: impl Into<IpAddr>,
    question: &Question,
    (piece, limit): (usize, Duration),
) -> Result<Option<Vec<u8>>> {
    let resolver = SocketAddr::new(resolver.into(), 53);
    let mut stream = namespace.enter(|| TcpStream::connect_timeout(&resolver, ANSWER))??;
    stream.set_read_timeout(Some(limit))?;
    stream.set_nodelay(true)?;
    // What was not taken is not sent again when nobody waits for an answer any more.
    setsockopt(&stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 })?;
    let query = question.query();
    let mut bytes = u16::try_from(query.len())?.to_be_bytes().to_vec();
    bytes.extend(query);
    for piece in bytes.chunks(piece) {
        stream.write_all(piece)?;
    }
    let mut length = [0; 2];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(Some(message))
}
