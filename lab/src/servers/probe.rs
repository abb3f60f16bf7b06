//! The lab's own echo service: UDP and TCP, on a port that the policy allows and on one that it does not.
//!
//! It counts what arrives on each port, so that a leak is seen even when the answer is lost.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use super::socket;
use crate::net::Network;
use crate::net::plan::{DENIED_PORT, PROBE, PROBE_PORT, PROBE6};

/// How often the service looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of datagrams that may wait.
const QUEUE: usize = 8 << 20;

/// The running echo service; dropped, it ends.
#[derive(Debug)]
pub struct Probe {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    ended: AtomicBool,
    allowed: AtomicU64,
    denied: AtomicU64,
}

impl State {
    fn counter(&self, port: u16) -> &AtomicU64 {
        if port == PROBE_PORT { &self.allowed } else { &self.denied }
    }

    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }
}

impl Probe {
    /// Starts the service at its IPv4 and IPv6 address.
    pub(super) fn start(network: &Network) -> Result<Self> {
        let state = Arc::new(State::default());
        for port in [PROBE_PORT, DENIED_PORT] {
            for address in [socket(PROBE, port), socket(PROBE6, port)] {
                let udp = network.internet.enter(|| UdpSocket::bind(address))??;
                udp.set_read_timeout(Some(LOOK))?;
                // What waits for a busy processor is not lost.
                setsockopt(&udp, sockopt::RcvBufForce, &QUEUE)?;
                let shared = Arc::clone(&state);
                thread::spawn(move || echo_datagrams(&udp, address, &shared));
                let tcp = network.internet.enter(|| TcpListener::bind(address))??;
                // Accepting gives up now and then, so that the socket does not outlive the service.
                setsockopt(&tcp, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000))?;
                let shared = Arc::clone(&state);
                thread::spawn(move || accept(&tcp, address, &shared));
            }
        }
        Ok(Self { state })
    }

    /// Datagrams and connections that arrived on the port the policy allows.
    #[must_use]
    pub fn allowed(&self) -> u64 {
        self.state.allowed.load(Ordering::Relaxed)
    }

    /// Datagrams and connections that arrived on the port the policy does not allow.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.state.denied.load(Ordering::Relaxed)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
    }
}

fn echo_datagrams(udp: &UdpSocket, address: SocketAddr, state: &State) {
    let mut buffer = [0; 2048];
    while state.goes_on() {
        let Ok((length, peer)) = udp.recv_from(&mut buffer) else {
            continue;
        };
        state.counter(address.port()).fetch_add(1, Ordering::Relaxed);
        if let Some(datagram) = buffer.get(..length) {
            // A lost answer shows at the client.
            drop(udp.send_to(datagram, peer));
        }
    }
}

fn accept(tcp: &TcpListener, address: SocketAddr, state: &Arc<State>) {
    while state.goes_on() {
        let Ok((stream, _peer)) = tcp.accept() else {
            continue;
        };
        state.counter(address.port()).fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(state);
        thread::spawn(move || echo_stream(stream, &shared));
    }
}

fn echo_stream(mut stream: TcpStream, state: &State) {
    let mut buffer = [0; 4096];
    if stream.set_read_timeout(Some(LOOK)).is_err() {
        return;
    }
    while state.goes_on() {
        match stream.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
            Ok(length) => {
                let echoed = buffer.get(..length).map(|bytes| stream.write_all(bytes));
                if !matches!(echoed, Some(Ok(()))) {
                    return;
                }
            }
        }
    }
}
