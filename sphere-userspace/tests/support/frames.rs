//! Frames that a device sends, put on the wire as they are.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, send, socket};

/// Longest that a queue may be full.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket that sends frames out of an interface.
pub(crate) struct Sender(OwnedFd);

impl Sender {
    /// Opens one.
    pub(crate) fn open(interface: &str) -> Self {
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None::<SockProtocol>).unwrap();
        let mut addresses = nix::ifaddrs::getifaddrs().unwrap().filter(|found| found.interface_name == interface);
        let address = addresses.find_map(|found| found.address?.as_link_addr().copied()).unwrap();
        bind(socket.as_raw_fd(), &address).unwrap();
        Self(socket)
    }

    /// Sends a frame. One that a full queue dropped was not sent (packet(7)): it is sent again.
    pub(crate) fn send(&self, frame: &[u8]) {
        let begun = Instant::now();
        let sent = loop {
            match send(self.0.as_raw_fd(), frame, MsgFlags::empty()) {
                Err(Errno::ENOBUFS) if begun.elapsed() < PATIENCE => std::thread::yield_now(),
                sent => break sent.unwrap(),
            }
        };
        assert_eq!(sent, frame.len());
    }
}

/// Sends a frame out of an interface.
pub(crate) fn send_frame(interface: &str, frame: &[u8]) {
    Sender::open(interface).send(frame);
}

/// A TCP SYN from one address to another and a port.
pub(crate) fn syn(source: Ipv4Addr, destination: Ipv4Addr, port: u16) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 1])
        .ipv4(source.octets(), destination.octets(), 64)
        .tcp(40_000, port, 1, 64_000)
        .syn();
    let mut frame = Vec::new();
    builder.write(&mut frame, &[]).unwrap();
    frame
}
