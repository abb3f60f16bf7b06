//! Traffic with sequence numbers, so that what is lost or leaked is counted exactly.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::net::Namespace;
use crate::wait;

/// How long the last answers may take.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Shorter than the first retransmission of a SYN (RFC 6298 section 2.1), so that a lost one is seen.
const CONNECT: Duration = Duration::from_millis(900);

/// Something that runs in a namespace until it is told to end.
#[derive(Debug)]
pub(super) struct Stream<T> {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<T>>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    count: AtomicU64,
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    fn count_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T: Send + 'static> Stream<T> {
    fn start(namespace: &Namespace, work: impl FnOnce(&Shared) -> Result<T> + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = namespace.spawn(move || work(&own))?;
        Ok(Self { shared, thread })
    }

    /// How many it has sent (or, of a sink, received) so far.
    pub(super) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Waits until it has done `more` from now on.
    pub(super) fn advance(&self, more: u64) -> Result<()> {
        let goal = self.count() + more;
        let ended = || self.thread.is_finished();
        let limit = Duration::from_secs(20);
        let reached = wait::until("the traffic", limit, || (self.count() >= goal || ended()).then(|| self.count()))?;
        if reached < goal {
            return Err(anyhow!("the traffic ended early"));
        }
        Ok(())
    }

    /// Ends it, and returns what it found.
    pub(super) fn end(self) -> Result<T> {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_panic| anyhow!("a traffic thread panicked"))?
    }
}

/// What became of numbered datagrams or connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Sent, or tried.
    pub(super) sent: u64,
    /// Answered.
    pub(super) answered: u64,
    /// Flows that were opened for them.
    pub(super) flows: u64,
}

impl Tally {
    /// Sent without an answer.
    pub(super) fn lost(self) -> u64 {
        self.sent - self.answered
    }
}

/// Sends a numbered datagram per period, a new flow each `flow_length`, and counts distinct echoes.
pub(super) fn datagrams(
    namespace: &Namespace,
    to: SocketAddr,
    (period, flow_length): (Duration, u64),
) -> Result<Stream<Tally>> {
    Stream::start(namespace, move |shared| {
        let mut flows = Flows { to, sockets: VecDeque::new(), answered: Vec::new() };
        let mut outcome = Ok(());
        wait::every(period, |number| {
            if !shared.goes_on() {
                return false;
            }
            outcome = flows.send(number, number % flow_length == 0);
            shared.count_one();
            outcome.is_ok()
        });
        outcome?;
        Ok(flows.finish())
    })
}

struct Flows {
    to: SocketAddr,
    sockets: VecDeque<UdpSocket>,
    answered: Vec<bool>,
}

impl Flows {
    fn send(&mut self, number: u64, new_flow: bool) -> Result<()> {
        if new_flow {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(self.to)?;
            socket.set_nonblocking(true)?;
            self.sockets.push_back(socket);
        }
        let socket = self.sockets.back().context("no flow yet")?;
        self.answered.push(false);
        // A refused earlier datagram is reported here, once, in place of sending.
        if socket.send(&number.to_be_bytes()).is_err() {
            socket.send(&number.to_be_bytes())?;
        }
        self.collect(2);
        Ok(())
    }

    /// Takes the answers that have come on the last flows.
    fn collect(&mut self, flows: usize) {
        let mut buffer = [0; 8];
        for socket in self.sockets.iter().rev().take(flows) {
            while let Ok(8) = socket.recv(&mut buffer) {
                let number = usize::try_from(u64::from_be_bytes(buffer)).unwrap_or(usize::MAX);
                if let Some(answered) = self.answered.get_mut(number) {
                    *answered = true;
                }
            }
        }
    }

    fn finish(mut self) -> Tally {
        // Whatever is missing then is lost.
        wait::until("the last answers", LAST_ANSWERS, || {
            self.collect(usize::MAX);
            self.answered.iter().all(|answered| *answered).then_some(())
        })
        .ok();
        Tally {
            sent: self.answered.len() as u64,
            answered: self.answered.iter().filter(|answered| **answered).count() as u64,
            flows: self.sockets.len() as u64,
        }
    }
}

/// Opens a connection per period, sends a number and waits for its echo. A connection whose first SYN is lost counts
/// as not answered.
pub(super) fn connections(namespace: &Namespace, to: SocketAddr, period: Duration) -> Result<Stream<Tally>> {
    Stream::start(namespace, move |shared| {
        let mut tally = Tally::default();
        wait::every(period, |number| {
            if !shared.goes_on() {
                return false;
            }
            tally.sent += 1;
            tally.flows += 1;
            tally.answered += u64::from(connection(to, number).is_ok());
            shared.count_one();
            true
        });
        Ok(tally)
    })
}

fn connection(to: SocketAddr, number: u64) -> Result<()> {
    let stream = TcpStream::connect_timeout(&to, CONNECT)?;
    stream.set_read_timeout(Some(CONNECT))?;
    exchange(&stream, number).map(drop)
}

/// Holds one connection, over which a number travels per period; counts those that came back.
pub(super) fn session(namespace: &Namespace, to: SocketAddr, period: Duration) -> Result<Stream<Tally>> {
    Stream::start(namespace, move |shared| {
        let stream = TcpStream::connect_timeout(&to, CONNECT)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut tally = Tally { flows: 1, ..Tally::default() };
        wait::every(period, |number| {
            if !shared.goes_on() {
                return false;
            }
            tally.sent += 1;
            let answered = exchange(&stream, number).is_ok();
            tally.answered += u64::from(answered);
            shared.count_one();
            // Once cut, a session is over.
            answered
        });
        Ok(tally)
    })
}

fn exchange(mut stream: &TcpStream, number: u64) -> Result<Duration> {
    let started = Instant::now();
    stream.write_all(&number.to_be_bytes())?;
    let mut echoed = [0; 8];
    stream.read_exact(&mut echoed)?;
    anyhow::ensure!(u64::from_be_bytes(echoed) == number, "another number came back");
    Ok(started.elapsed())
}

/// Counts the datagrams that arrive on a port.
pub(super) fn sink(namespace: &Namespace, port: u16) -> Result<Stream<u64>> {
    let socket = namespace.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)))??;
    Stream::start(namespace, move |shared| {
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut buffer = [0; 64];
        while shared.goes_on() {
            if socket.recv(&mut buffer).is_ok() {
                shared.count_one();
            }
        }
        Ok(shared.count.load(Ordering::Relaxed))
    })
}
