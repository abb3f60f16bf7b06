//! Sends frames out of a port as they are, past the routing and past the judgement of the programs, which know them by
//! their mark.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, sendto, setsockopt, socket, sockopt,
};
use sphere_common::abi::OWN_MARK;

use super::error::DatapathError;

/// A socket that frames leave through.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
}

impl Sender {
    /// Opens the socket. It receives nothing.
    ///
    /// # Errors
    ///
    /// Without `CAP_NET_RAW`.
    pub fn open() -> Result<Self, DatapathError> {
        let failed = |errno: nix::Error| DatapathError::Sender { source: errno.into() };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None).map_err(failed)?;
        setsockopt(&socket, sockopt::Mark, &OWN_MARK).map_err(failed)?;
        Ok(Self { socket })
    }

    /// Sends one frame, which begins with its Ethernet header.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE` when it is longer than the link takes; when the port is gone or its queue is full.
    pub fn send(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        let to = address(ifindex)?;
        sendto(self.socket.as_raw_fd(), frame, &to, MsgFlags::empty())?;
        Ok(())
    }
}

/// The address of a port: where a frame goes is in the frame.
fn address(ifindex: u32) -> io::Result<LinkAddr> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        // What the frame says counts.
        sll_protocol: 0,
        sll_ifindex: i32::try_from(ifindex).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as u32;
    // SAFETY: the pointer is to a whole address of this family, of the length that is named, and it is only read.
    let read = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) };
    read.ok_or_else(|| io::Error::other("no address of a port"))
}
