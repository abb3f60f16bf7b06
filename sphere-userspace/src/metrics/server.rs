//! The HTTP end: one request a connection, a few connections at once, each with a time limit. Whoever asks waits for the
//! daemon, never the daemon for whoever asks.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::request::{self, Asked, MAX_HEAD, Refusal};
use crate::policy::MetricsListen;

/// Connections at once; more wait in the kernel.
const AT_ONCE: usize = 16;
/// How long a connection may take, from its first byte to its last.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long its request may take of that: a scraper sends it at once, and who does not keeps others waiting.
const REQUEST_PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait when no connection can be accepted, for want of descriptors say.
const AGAIN: Duration = Duration::from_millis(200);

/// A request for the page, to be answered with its text.
pub type Page = oneshot::Sender<Arc<str>>;

/// Why the metrics cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The socket cannot be made.
    #[error("cannot listen at {listen}")]
    Listen {
        /// Where.
        listen: MetricsListen,
        /// Why.
        source: io::Error,
    },
    /// Somebody else is there.
    #[error("another process listens at {}: name another path in [metrics]", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// There is something that is no socket.
    #[error("{} is no socket: remove it, or name another path in [metrics]", path.display())]
    Occupied {
        /// What is there.
        path: PathBuf,
    },
}

/// The socket.
#[derive(Debug)]
pub struct Server {
    socket: Socket,
    patience: Duration,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

impl Server {
    /// Listens; must be called within the runtime. What a daemon that died has left of its Unix socket is replaced.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made, or its path leads to something else.
    pub fn bind(listen: &MetricsListen) -> Result<Self, MetricsError> {
        let failed = |source| MetricsError::Listen { listen: listen.clone(), source };
        let socket = match listen {
            MetricsListen::Unix(path) => {
                clear(path, failed)?;
                Socket::Unix(bind_unix(path).map_err(failed)?, path.clone())
            }
            MetricsListen::Tcp(address) => {
                let listener = std::net::TcpListener::bind(address).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                Socket::Tcp(TcpListener::from_std(listener).map_err(failed)?)
            }
        };
        Ok(Self { socket, patience: PATIENCE })
    }

    /// The address of a TCP socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Unix(..) => None,
            Socket::Tcp(listener) => listener.local_addr().ok(),
        }
    }

    /// Answers until cancelled; the page is asked for anew for each request.
    pub async fn serve(self, pages: mpsc::Sender<Page>, cancel: CancellationToken) {
        let mut connections: JoinSet<()> = JoinSet::new();
        loop {
            tokio::select! {
                // What is under way ends with the set.
                () = cancel.cancelled() => return,
                Some(_) = connections.join_next() => {}
                accepted = self.accept(), if connections.len() < AT_ONCE => match accepted {
                    Ok(stream) => {
                        let (pages, patience) = (pages.clone(), self.patience);
                        connections.spawn(async move {
                            let attended = timeout(patience, attend(stream, pages)).await;
                            if let Err(error) = attended.map_err(io::Error::from).flatten() {
                                tracing::debug!(%error, "metrics connection");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::debug!(%error, "no metrics connection can be accepted");
                        sleep(AGAIN).await;
                    }
                },
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.socket {
            Socket::Unix(listener, _) => Box::new(listener.accept().await?.0),
            Socket::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Socket::Unix(_, path) = &self.socket {
            drop(fs::remove_file(path));
        }
    }
}

/// Removes a socket that nobody listens at any more, and nothing else.
fn clear(path: &Path, failed: impl FnOnce(io::Error) -> MetricsError) -> Result<(), MetricsError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
            Ok(_) | Err(_) => Err(MetricsError::Taken { path: path.to_owned() }),
        },
        Ok(_) => Err(MetricsError::Occupied { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// A connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn attend(mut stream: Box<dyn Stream>, pages: mpsc::Sender<Page>) -> io::Result<()> {
    match timeout(REQUEST_PATIENCE, ask(&mut stream)).await?? {
        Asked::Refused(refusal) => stream.write_all(refusal.answer().as_bytes()).await?,
        asked => match page(pages).await {
            Some(page) => {
                stream.write_all(request::page_head(page.len()).as_bytes()).await?;
                if asked == Asked::Page {
                    stream.write_all(page.as_bytes()).await?;
                }
            }
            None => stream.write_all(Refusal::Unready.answer().as_bytes()).await?,
        },
    }
    stream.shutdown().await
}

/// Reads a request, no more than its head may have.
async fn ask(stream: &mut Box<dyn Stream>) -> io::Result<Asked> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let room = (MAX_HEAD - bytes.len().min(MAX_HEAD)) as u64;
        if (&mut *stream).take(room).read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(asked) = request::read(&bytes) {
            return Ok(asked);
        }
    }
}

/// Asks for the page; [`None`] when the daemon is stopping.
async fn page(pages: mpsc::Sender<Page>) -> Option<Arc<str>> {
    let (page, answered) = oneshot::channel();
    pages.send(page).await.ok()?;
    answered.await.ok()
}

#[cfg(test)]
mod tests;
