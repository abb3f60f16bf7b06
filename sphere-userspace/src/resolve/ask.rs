//! Asks name servers one question, and tells apart what can come of it.
//!
//! Built on hickory's name server pool rather than on its resolver, for what the resolver adds must not be there: a
//! cache, the hosts file, search lists, names answered without asking, and one family hiding the other's failure.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hickory_resolver::{
    NameServerPool, PoolContext, TlsConfig,
    config::{ConnectionConfig, NameServerConfig, ResolverOpts},
    net::{DnsError, DnsHandle, NetError, NoRecords, runtime::TokioRuntimeProvider, xfer::FirstAnswer},
    proto::{
        op::{DnsRequestOptions, DnsResponse, Query, ResponseCode},
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};

use super::{
    outcome::{Family, Outcome, Question},
    walk::{Step, Walk},
};
use crate::policy::ResolverSettings;

/// Further questions that one question may lead to, where servers do not follow aliases themselves.
const MAX_QUERIES: usize = 12;
/// Questions that may share one TCP connection.
const SHARE: usize = 256;

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The system names no servers, or cannot be asked for them.
    #[error("cannot find name servers in /etc/resolv.conf: name them as `servers` in [resolver]")]
    NoServers(#[source] Box<NetError>),
    /// The network library could not be set up.
    #[error("cannot set up the resolver")]
    Setup(#[source] Box<NetError>),
}

/// Asks the configured servers, the one that answered last first.
pub struct Asker {
    servers: Vec<Server>,
    preferred: AtomicUsize,
}

/// One server, by way of UDP and by way of TCP.
struct Server {
    udp: NameServerPool<TokioRuntimeProvider>,
    tcp: NameServerPool<TokioRuntimeProvider>,
    timeout: Duration,
}

impl Asker {
    /// Asks the servers of the settings, or those of `/etc/resolv.conf`.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn new(settings: &ResolverSettings) -> Result<Self, ResolverError> {
        let addresses = if settings.servers.is_empty() { system_servers()? } else { settings.servers.clone() };
        let servers = addresses.iter().map(|address| Server::new(*address, settings.timeout));
        Ok(Self { servers: servers.collect::<Result<_, _>>()?, preferred: AtomicUsize::new(0) })
    }

    /// Asks, and follows aliases to their end. One server's failure is not the last word while there are others.
    pub async fn ask(&self, question: &Question) -> Outcome {
        let name = match Name::from_ascii(format!("{}.", question.name)) {
            Ok(name) => name,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = Outcome::Failed("no name servers".to_owned());
        for turn in 0..self.servers.len() {
            let index = (first + turn) % self.servers.len();
            last = self.servers[index].resolve(name.clone(), question.family).await;
            if last.is_definite() {
                self.preferred.store(index, Ordering::Relaxed);
                break;
            }
        }
        last
    }
}

impl Server {
    fn new(address: SocketAddr, timeout: Duration) -> Result<Self, ResolverError> {
        let pool = |mut connection: ConnectionConfig| {
            connection.port = address.port();
            let mut options = ResolverOpts::default();
            options.timeout = timeout;
            options.max_active_requests = SHARE;
            let tls = TlsConfig::new().map_err(|source| ResolverError::Setup(Box::new(source)))?;
            let server = NameServerConfig::new(address.ip(), true, vec![connection]);
            let context = Arc::new(PoolContext::new(options, tls));
            Ok(NameServerPool::from_config([server], context, TokioRuntimeProvider::default()))
        };
        Ok(Self { udp: pool(ConnectionConfig::udp())?, tcp: pool(ConnectionConfig::tcp())?, timeout })
    }

    async fn resolve(&self, name: Name, family: Family) -> Outcome {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        let mut walk = Walk::new(name.clone(), family);
        let mut next = name;
        for _ in 0..MAX_QUERIES {
            let response = match self.query(Query::query(next, kind)).await {
                Ok(response) => response,
                Err(outcome) => return outcome,
            };
            match walk.follow(&response) {
                Step::End(outcome) => return outcome,
                Step::Ask(target) => next = target,
            }
        }
        Outcome::Failed("the aliases lead through too many servers".to_owned())
    }

    /// UDP, and TCP when the answer does not fit. A part of an answer is never taken for the whole.
    async fn query(&self, query: Query) -> Result<DnsResponse, Outcome> {
        match self.send(&self.udp, query.clone()).await {
            Err(Outcome::Truncated) => self.send(&self.tcp, query).await.map_err(|outcome| match outcome {
                Outcome::Timeout | Outcome::Failed(_) => Outcome::Truncated,
                other => other,
            }),
            other => other,
        }
    }

    async fn send(&self, pool: &NameServerPool<TokioRuntimeProvider>, query: Query) -> Result<DnsResponse, Outcome> {
        let answer = pool.lookup(query, DnsRequestOptions::default()).first_answer();
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(response)) if response.metadata.truncation => Err(Outcome::Truncated),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(outcome_of(&error)),
            Err(_elapsed) => Err(Outcome::Timeout),
        }
    }
}

fn outcome_of(error: &NetError) -> Outcome {
    match error {
        NetError::Timeout => Outcome::Timeout,
        NetError::Truncated => Outcome::Truncated,
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Outcome::ServerFailure,
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => Outcome::Refused,
        NetError::Dns(DnsError::ResponseCode(code)) => Outcome::Failed(format!("response code {code}")),
        NetError::Dns(DnsError::NoRecordsFound(found)) => nothing(found),
        other => Outcome::Failed(other.to_string()),
    }
}

/// An empty answer: of a name without such records, of no name, or of a server that points elsewhere.
fn nothing(found: &NoRecords) -> Outcome {
    match found.response_code {
        ResponseCode::NXDomain => Outcome::NoSuchName,
        ResponseCode::NoError if found.soa.is_none() && found.ns.is_some() => {
            Outcome::Failed("the server refers to others instead of asking them".to_owned())
        }
        ResponseCode::NoError => Outcome::NoData,
        code => Outcome::Failed(format!("response code {code}")),
    }
}

fn system_servers() -> Result<Vec<SocketAddr>, ResolverError> {
    let (config, _options) = read_system_conf().map_err(|source| ResolverError::NoServers(Box::new(source)))?;
    Ok(config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect())
}
