//! A DNS server on loopback that answers by a script: one closure from question and transport to reply.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record};
use sphere_userspace::policy::ResolverSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// What the server does with a question.
pub(crate) enum Reply {
    /// Nothing.
    Silence,
    /// A response code and nothing else.
    Code(ResponseCode),
    /// Answers, and whether a SOA stands behind them.
    Records(Vec<Record>, bool),
    /// A truncated answer.
    Truncated,
    /// An answer that comes late.
    Late(Duration, Vec<Record>),
}

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Udp,
    Tcp,
}

type Script = dyn Fn(&Query, Way) -> Reply + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Every question that came, in order.
    pub(crate) asked: Arc<Mutex<Vec<(String, Way)>>>,
}

impl Server {
    /// A server for UDP and TCP.
    pub(crate) async fn start(script: impl Fn(&Query, Way) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(script, true).await
    }

    /// A server for UDP whose TCP port is closed.
    pub(crate) async fn without_tcp(script: impl Fn(&Query, Way) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(script, false).await
    }

    async fn start_with(script: impl Fn(&Query, Way) -> Reply + Send + Sync + 'static, tcp: bool) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let asked = Arc::default();
        // A port that is free for both.
        let (listener, socket) = loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
                break (listener, socket);
            }
        };
        let address = socket.local_addr().unwrap();
        tokio::spawn(serve_udp(Arc::new(socket), Arc::clone(&script), Arc::clone(&asked)));
        if tcp {
            tokio::spawn(serve_tcp(listener, script, Arc::clone(&asked)));
        }
        Self { address, asked }
    }

    pub(crate) fn settings(&self, timeout: Duration) -> ResolverSettings {
        ResolverSettings { servers: vec![self.address], timeout, ..ResolverSettings::default() }
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(asked, _)| asked.starts_with(name)).count()
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, script: Arc<Script>, asked: Arc<Mutex<Vec<(String, Way)>>>) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let (delay, reply) = reply(&buffer[..length], &script, (Way::Udp, &asked));
        let socket = Arc::clone(&socket);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(bytes) = reply {
                socket.send_to(&bytes, from).await.unwrap();
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, script: Arc<Script>, asked: Arc<Mutex<Vec<(String, Way)>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_stream(stream, Arc::clone(&script), Arc::clone(&asked)));
    }
}

async fn serve_stream(mut stream: TcpStream, script: Arc<Script>, asked: Arc<Mutex<Vec<(String, Way)>>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; usize::from(length)];
        stream.read_exact(&mut query).await.unwrap();
        let (delay, reply) = reply(&query, &script, (Way::Tcp, &asked));
        tokio::time::sleep(delay).await;
        if let Some(bytes) = reply {
            stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        }
    }
}

fn reply(
    bytes: &[u8],
    script: &Arc<Script>,
    (way, asked): (Way, &Mutex<Vec<(String, Way)>>),
) -> (Duration, Option<Vec<u8>>) {
    let request = Message::from_vec(bytes).unwrap();
    let query = request.queries[0].clone();
    asked.lock().unwrap().push((format!("{} {}", query.name(), query.query_type()), way));
    let mut delay = Duration::ZERO;
    let mut response = request.into_response();
    match script(&query, way) {
        Reply::Silence => return (delay, None),
        Reply::Code(code) => response.metadata.response_code = code,
        Reply::Records(records, soa) => {
            response.answers = records;
            if soa {
                response.authorities = vec![authority()];
            }
        }
        Reply::Truncated => {
            response.metadata.truncation = true;
            response.answers = vec![a(&query.name().to_string(), 1, 60)];
        }
        Reply::Late(late, records) => {
            delay = late;
            response.answers = records;
        }
    }
    (delay, Some(response.to_vec().unwrap()))
}

pub(crate) fn dns_name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

pub(crate) fn a(owner: &str, last: u8, ttl: u32) -> Record {
    Record::from_rdata(dns_name(owner), ttl, RData::A(A(Ipv4Addr::new(20, 0, 0, last))))
}

pub(crate) fn aaaa(owner: &str, last: u16, ttl: u32) -> Record {
    let address = std::net::Ipv6Addr::new(0x2a01, 1, 0, 0, 0, 0, 0, last);
    Record::from_rdata(dns_name(owner), ttl, RData::AAAA(AAAA(address)))
}

pub(crate) fn cname(owner: &str, target: &str, ttl: u32) -> Record {
    Record::from_rdata(dns_name(owner), ttl, RData::CNAME(CNAME(dns_name(target))))
}

fn authority() -> Record {
    let soa = SOA::new(dns_name("ns.test."), dns_name("host.test."), 1, 3600, 600, 86400, 5);
    Record::from_rdata(dns_name("test."), 5, RData::SOA(soa))
}
