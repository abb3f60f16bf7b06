//! Raw frames on an interface: sent by hostile devices, and captured to see what came out.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use crate::net::Namespace;

/// Room for what arrives between two looks.
const BUFFER_BYTES: usize = 16 << 20;

/// An AF_PACKET socket bound to one interface.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
    mac: [u8; 6],
}

impl Link {
    /// Opens the interface of a namespace.
    ///
    /// # Errors
    /// When there is no such interface, or without CAP_NET_RAW.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        namespace.enter(|| open(interface))?.with_context(|| format!("cannot open {interface} in {}", namespace.name()))
    }

    /// Its MAC address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Sends a whole frame, starting with the destination's MAC address.
    ///
    /// # Errors
    /// When the kernel refuses the frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(self.fd.as_raw_fd(), frame, MsgFlags::empty()).context("cannot send")?;
        if sent != frame.len() {
            bail!("sent {sent} of {} bytes", frame.len());
        }
        Ok(())
    }

    /// Forgets what has arrived so far.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn clear(&self) -> Result<()> {
        self.drain().map(drop)
    }

    /// What has arrived so far.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn drain(&self) -> Result<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next(MsgFlags::MSG_DONTWAIT)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    /// Collects the frames that arrive until one contains `fence`, which is not among them.
    ///
    /// Frames stay in order on their way, so nothing that was sent before the fence comes after it.
    ///
    /// # Errors
    /// When the fence does not arrive within `limit`.
    pub fn until(&self, fence: &[u8], limit: Duration) -> Result<Vec<Vec<u8>>> {
        let deadline = Instant::now() + limit;
        let mut frames = Vec::new();
        loop {
            if let Some(frame) = self.next(MsgFlags::empty())? {
                if contains(&frame, fence) {
                    return Ok(frames);
                }
                frames.push(frame);
            }
            if Instant::now() >= deadline {
                bail!("the packet that must pass did not arrive within {limit:?}");
            }
        }
    }

    /// The next frame that arrived; `None` when there is none for a moment. Own frames are left out.
    fn next(&self, flags: MsgFlags) -> Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; 65536];
        loop {
            match recv(self.fd.as_raw_fd(), &mut buffer, flags) {
                Ok(length) => {
                    let frame = buffer.get(..length).unwrap_or_default();
                    if frame.get(6..12) != Some(self.mac.as_slice()) {
                        return Ok(Some(frame.to_vec()));
                    }
                }
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(None),
                Err(errno) => return Err(errno).context("cannot capture"),
            }
        }
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Whether `needle` occurs in a frame.
#[must_use]
pub fn contains(frame: &[u8], needle: &[u8]) -> bool {
    frame.windows(needle.len()).any(|window| window == needle)
}

fn open(interface: &str) -> Result<Link> {
    let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
    setsockopt(&fd, sockopt::RcvBufForce, &BUFFER_BYTES)?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(0, 20_000))?;
    let address = link_address(interface)?;
    let mac = address.addr().context("no hardware address")?;
    bind(fd.as_raw_fd(), &address)?;
    Ok(Link { fd, mac })
}

fn link_address(interface: &str) -> Result<LinkAddr> {
    let mut addresses = getifaddrs()?.filter(|entry| entry.interface_name == interface);
    addresses.find_map(|entry| entry.address?.as_link_addr().copied()).context("no such interface")
}
