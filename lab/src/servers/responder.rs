//! A resolver of the lab's own, for answers that no real one would give: it says what a scenario tells it to.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use super::socket;
use crate::clients::dns::Transport;
use crate::message::Question;
use crate::net::Namespace;

/// How often the service looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// What is answered: any number of messages.
type Speak = dyn Fn(&Question, Transport) -> Vec<Vec<u8>> + Send + Sync;

/// The running resolver; dropped, it ends.
#[derive(Debug)]
#[must_use = "dropping the resolver ends it"]
pub struct Responder {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    ended: AtomicBool,
    heard: AtomicU64,
}

impl State {
    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }
}

impl Responder {
    /// Answers at UDP and TCP port 53 of an address.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn start(
        internet: &Namespace,
        address: impl Into<IpAddr>,
        speak: impl Fn(&Question, Transport) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let state = Arc::new(State::default());
        let speak: Arc<Speak> = Arc::new(speak);
        let address = socket(address, 53);
        let udp = internet.enter(|| UdpSocket::bind(address))??;
        udp.set_read_timeout(Some(LOOK))?;
        let tcp = internet.enter(|| TcpListener::bind(address))??;
        setsockopt(&tcp, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000))?;
        let (shared, words) = (Arc::clone(&state), Arc::clone(&speak));
        thread::spawn(move || datagrams(&udp, &shared, &*words));
        let shared = Arc::clone(&state);
        thread::spawn(move || connections(&tcp, &shared, &speak));
        Ok(Self { state })
    }

    /// Questions that arrived.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.state.heard.load(Ordering::Relaxed)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
    }
}

fn datagrams(udp: &UdpSocket, state: &State, speak: &Speak) {
    let mut buffer = [0; 4096];
    while state.goes_on() {
        let Ok((length, peer)) = udp.recv_from(&mut buffer) else {
            continue;
        };
        state.heard.fetch_add(1, Ordering::Relaxed);
        let question = buffer.get(..length).and_then(Question::parse);
        for answer in question.iter().flat_map(|question| speak(question, Transport::Udp)) {
            // A lost answer shows at the client.
            drop(udp.send_to(&answer, peer));
        }
    }
}

fn connections(tcp: &TcpListener, state: &Arc<State>, speak: &Arc<Speak>) {
    while state.goes_on() {
        let Ok((stream, _peer)) = tcp.accept() else {
            continue;
        };
        let (shared, words) = (Arc::clone(state), Arc::clone(speak));
        // A client that goes away ends its connection.
        thread::spawn(move || drop(converse(&stream, &shared, &*words)));
    }
}

/// Answers one question after the other over a connection (RFC 1035 section 4.2.2).
fn converse(mut stream: &TcpStream, state: &State, speak: &Speak) -> Result<()> {
    stream.set_read_timeout(Some(LOOK * 50))?;
    while state.goes_on() {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message)?;
        state.heard.fetch_add(1, Ordering::Relaxed);
        for answer in Question::parse(&message).iter().flat_map(|question| speak(question, Transport::Tcp)) {
            let mut bytes = u16::try_from(answer.len())?.to_be_bytes().to_vec();
            bytes.extend(answer);
            stream.write_all(&bytes)?;
        }
    }
    Ok(())
}
