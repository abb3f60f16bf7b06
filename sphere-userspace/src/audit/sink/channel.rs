//! A connection to a server, over TCP or TLS, that keeps its place: what it could not write now, it writes later.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::tls;
use crate::policy::{HostPort, TlsSettings};

/// How long to wait for a connection, and for room to write into it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a receiver may take nothing before it is left: the connection may lead to a host that is no more.
const STALLED: Duration = Duration::from_secs(60);
/// What the kernel may hold of a connection. It is lost when the receiver dies, and nobody knows.
const UNSENT_BYTES: usize = 64 << 10;

/// A connection with what is still to be written into it.
pub(super) struct Channel {
    stream: Stream,
    rest: Vec<u8>,
    at: usize,
    /// Whether all of it is out of our hands.
    is_out: bool,
    moved: Instant,
}

enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Channel {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When the name leads nowhere, nothing listens there, or the server is not the one that it should be.
    pub(super) fn open(server: &HostPort, tls: Option<&TlsSettings>) -> io::Result<Self> {
        let socket = connect(server)?;
        let stream = match tls {
            None => Stream::Tcp(socket),
            Some(settings) => Stream::Tls(Box::new(secure(socket, server, settings)?)),
        };
        Ok(Self { stream, rest: Vec::new(), at: 0, is_out: true, moved: Instant::now() })
    }

    /// Whether everything was written.
    pub(super) fn is_idle(&self) -> bool {
        self.is_out
    }

    /// Says what is to be written; everything before must have been.
    pub(super) fn begin(&mut self, bytes: Vec<u8>) {
        (self.rest, self.at, self.is_out) = (bytes, 0, false);
        self.moved = Instant::now();
    }

    /// Writes on until everything is out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`] when the receiver takes nothing for now: the connection can be used on. Anything else is its
    /// end.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while let Some(rest) = self.rest.get(self.at..).filter(|rest| !rest.is_empty()) {
            let written = match &mut self.stream {
                Stream::Tcp(socket) => socket.write(rest),
                Stream::Tls(stream) => stream.write(rest),
            };
            match written {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    self.at += bytes;
                    self.moved = Instant::now();
                }
                Err(error) => self.wait_on(error)?,
            }
        }
        let flushed = match &mut self.stream {
            Stream::Tcp(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        };
        flushed.or_else(|error| self.wait_on(error))?;
        self.is_out = true;
        Ok(())
    }

    fn wait_on(&self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            ErrorKind::Interrupted => Ok(()),
            ErrorKind::WouldBlock | ErrorKind::TimedOut if self.moved.elapsed() < STALLED => {
                Err(io::Error::new(ErrorKind::TimedOut, "the receiver takes nothing"))
            }
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Err(io::Error::new(ErrorKind::ConnectionAborted, "the receiver took nothing for too long"))
            }
            _ => Err(error),
        }
    }

    /// Whether the receiver has closed the connection: what is written then would be lost without a word.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match &mut self.stream {
            Stream::Tcp(socket) => without_waiting(socket, |socket| Ok(socket.peek(&mut byte)? == 0)),
            Stream::Tls(stream) => {
                let StreamOwned { conn, sock } = &mut **stream;
                // Takes in what the server says on its own, such as session tickets.
                without_waiting(sock, |socket| {
                    while conn.wants_read() {
                        if conn.read_tls(socket)? == 0 {
                            return Ok(true);
                        }
                        conn.process_new_packets().map_err(io::Error::other)?;
                        while matches!(conn.reader().read(&mut byte), Ok(1..)) {}
                    }
                    Ok(true)
                })
            }
        }
    }
}

/// Looks whether a connection has ended; no, when there is nothing to be read.
fn without_waiting(socket: &mut TcpStream, look: impl FnOnce(&mut TcpStream) -> io::Result<bool>) -> bool {
    let set = |socket: &TcpStream, nonblocking| socket.set_nonblocking(nonblocking).is_ok();
    if !set(socket, true) {
        return true;
    }
    let closed = look(socket).unwrap_or_else(|error| error.kind() != ErrorKind::WouldBlock);
    closed || !set(socket, false)
}

fn connect(server: &HostPort) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (server.host.as_str(), server.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(socket) => {
                socket.set_write_timeout(Some(PATIENCE))?;
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.set_nodelay(true)?;
                setsockopt(&socket, sockopt::KeepAlive, &true)?;
                setsockopt(&socket, sockopt::SndBuf, &UNSENT_BYTES)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn secure(
    mut socket: TcpStream,
    server: &HostPort,
    settings: &TlsSettings,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let invalid = |error| io::Error::new(ErrorKind::InvalidInput, error);
    let name = ServerName::try_from(server.host.clone()).map_err(invalid)?;
    let mut connection = ClientConnection::new(tls::client(settings)?, name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}
