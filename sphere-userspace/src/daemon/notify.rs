//! Word to the service manager: `sd_notify(3)`, one datagram.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells the service manager, if there is one, a state such as `READY=1`.
pub(super) fn notify(state: &str) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else { return };
    if let Err(error) = send(&address, state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

fn send(address: &OsString, state: &str) -> io::Result<()> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not stop the daemon.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_state_reaches_path_and_abstract_sockets() {
        let path = std::env::temp_dir().join(format!("sphere-notify-{}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        send(&path.clone().into_os_string(), "READY=1").unwrap();
        let mut buffer = [0; 32];
        assert_eq!(socket.recv(&mut buffer).unwrap(), 7);
        // Its queue has an end.
        let full = (0..100_000).find_map(|_| send(&path.clone().into_os_string(), "READY=1").err()).unwrap();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        std::fs::remove_file(&path).unwrap();

        let name = format!("sphere-notify-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        send(&OsString::from(format!("@{name}")), "STOPPING=1").unwrap();
        assert_eq!(socket.recv(&mut buffer).unwrap(), 10);
    }
}
