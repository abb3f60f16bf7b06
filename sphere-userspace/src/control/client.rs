//! Asking the daemon.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Envelope, Reply, Request, VERSION};
use crate::datapath::{is_running, socket_of};

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to put another policy in force.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// Why the daemon did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It cannot be reached.
    #[error("the daemon does not answer at {}", path.display())]
    Unreachable {
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It answered something else.
    #[error("the daemon's answer cannot be read: is it of another version than this command?")]
    Unreadable(#[source] serde_json::Error),
    /// It refused.
    #[error("the daemon refused: {0}")]
    Refused(String),
}

/// Asks the daemon of a pin root; [`None`] when none runs.
///
/// # Errors
///
/// When one runs but gives no answer.
pub fn ask<T: DeserializeOwned>(pin_root: &Path, request: Request) -> Result<Option<T>, ControlError> {
    if !is_running(pin_root) {
        return Ok(None);
    }
    let path = socket_of(pin_root);
    let line = exchange(&path, request).map_err(|source| ControlError::Unreachable { path, source })?;
    match serde_json::from_str(&line).map_err(ControlError::Unreadable)? {
        Reply::Done(answer) => Ok(Some(answer)),
        Reply::Refused(why) => Err(ControlError::Refused(why)),
    }
}

fn exchange(path: &Path, request: Request) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    let is_long = matches!(request, Request::Reload(_) | Request::Rollback { .. });
    stream.set_read_timeout(Some(if is_long { LONG_PATIENCE } else { PATIENCE }))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(&Envelope { version: VERSION, request }).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    if BufReader::new(stream).read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}
