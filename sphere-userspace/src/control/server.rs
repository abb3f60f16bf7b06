//! The daemon's side of the control socket. Whoever asks waits for the daemon, never the daemon for whoever asks.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Envelope, MAX_REQUEST, Reply, Request, VERSION};
use crate::datapath::socket_of;

/// Connections at once; more wait.
const AT_ONCE: usize = 8;
/// How long a peer may take to send its request or to take its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where an answer goes.
pub type Answer = oneshot::Sender<Result<serde_json::Value, String>>;

/// A request that waits for the daemon, which answers with JSON or says why it does not.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes.
    pub answer: Answer,
}

/// The socket.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Listens for a pin root, whose lock the caller holds; must be called within the runtime.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made.
    pub fn bind(pin_root: &Path) -> io::Result<Self> {
        let path = socket_of(pin_root);
        // What is there was left behind by a daemon that died: the lock says that it is gone.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Takes requests until cancelled.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub async fn serve(self, calls: mpsc::Sender<Call>, cancel: CancellationToken) -> io::Result<()> {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let stream = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                accepted = self.listener.accept() => accepted?.0,
            };
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
            let calls = calls.clone();
            tokio::spawn(async move {
                if let Err(error) = attend(stream, calls).await {
                    tracing::debug!(%error, "control connection");
                }
                drop(permit);
            });
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

async fn attend(stream: UnixStream, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut reading = BufReader::new(reading.take(MAX_REQUEST));
    timeout(PATIENCE, reading.read_line(&mut line)).await??;
    let reply = match answer(&line, calls).await {
        Ok(value) => Reply::Done(value),
        Err(why) => Reply::Refused(why),
    };
    let mut bytes = serde_json::to_vec(&reply)?;
    bytes.push(b'\n');
    timeout(PATIENCE, writing.write_all(&bytes)).await?
}

async fn answer(line: &str, calls: mpsc::Sender<Call>) -> Result<serde_json::Value, String> {
    let envelope: Envelope = serde_json::from_str(line).map_err(|error| format!("not a request: {error}"))?;
    if envelope.version != VERSION {
        return Err(format!("requests of version {} are not known, only of {VERSION}", envelope.version));
    }
    let gone = || "the daemon is stopping".to_owned();
    let (answer, answered) = oneshot::channel();
    calls.send(Call { request: envelope.request, answer }).await.map_err(|_gone| gone())?;
    answered.await.map_err(|_gone| gone())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
    use super::*;

    #[tokio::test]
    async fn what_is_no_request_is_refused_and_a_request_reaches_the_daemon() {
        let (calls, mut called) = mpsc::channel(1);
        assert!(answer("{}", calls.clone()).await.unwrap_err().starts_with("not a request"));
        let later = r#"{"version":2,"ask":"names"}"#;
        assert!(answer(later, calls.clone()).await.unwrap_err().contains("version 2"));
        let asked = tokio::spawn(async move { answer(r#"{"version":1,"ask":"names"}"#, calls).await });
        let call = called.recv().await.unwrap();
        assert_eq!(call.request, Request::Names);
        call.answer.send(Ok(serde_json::json!({"names": {}}))).unwrap();
        assert_eq!(asked.await.unwrap(), Ok(serde_json::json!({"names": {}})));
    }
}
