//! A stub resolver of the lab's own: as fast as the wire, and it shows the messages themselves.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::message::Question;
use crate::net::Namespace;

/// How long an answer may take.
pub const ANSWER: Duration = Duration::from_secs(3);

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
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(resolver)?;
            std::io::Result::Ok(socket)
        })??;
        socket.set_read_timeout(Some(ANSWER))?;
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
        self.socket.send(&question.query())?;
        Ok(question)
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

/// Asks over a connection, and returns the answer.
///
/// # Errors
/// When none comes.
pub fn ask_over_tcp(namespace: &Namespace, resolver: impl Into<IpAddr>, name: &str, kind: u16) -> Result<Vec<u8>> {
    let resolver = SocketAddr::new(resolver.into(), 53);
    let mut stream = namespace.enter(|| TcpStream::connect_timeout(&resolver, ANSWER))??;
    stream.set_read_timeout(Some(ANSWER))?;
    let query = Question { id: 1, name: name.to_owned(), kind }.query();
    let mut bytes = u16::try_from(query.len())?.to_be_bytes().to_vec();
    bytes.extend(query);
    stream.write_all(&bytes)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}
