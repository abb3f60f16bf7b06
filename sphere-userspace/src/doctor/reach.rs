//! What is beyond the gateway: resolvers, and the names that the policy lets devices reach, asked and connected to as a
//! device would.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::finding::{Area, Finding, State};
use crate::policy::{DomainName, Need, Policy, PortMatch, Protocol, ResolverSettings, Server, Service, Target};
use crate::resolve::{Asker, Family, Outcome, Question};

/// How long a connection, or an answer with the time, may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// Names that are looked at, at a time.
const AT_ONCE: usize = 16;
/// Names that are looked at; a policy may have thousands.
const MOST: usize = 500;
const DNS: u16 = 53;
const NTP: u16 = 123;

pub(super) async fn findings(policy: &Policy) -> Vec<Finding> {
    let names = names(policy);
    let probe = names.keys().next().cloned();
    let mut findings = resolvers(policy, probe.as_ref()).await;
    findings.extend(endpoints(policy, names).await);
    findings
}

/// Names with their services, and whether devices need them.
type Names = BTreeMap<DomainName, (BTreeSet<Service>, bool)>;

fn names(policy: &Policy) -> Names {
    let mut names = Names::new();
    for rule in policy.groups.iter().flat_map(|group| &group.rules) {
        if let Target::Name(pattern) = &rule.target
            && let Some(name) = pattern.exact()
        {
            let (services, is_needed) = names.entry(name.clone()).or_default();
            services.extend(&rule.services);
            *is_needed |= rule.need == Need::Required;
        }
    }
    names
}

/// The servers that the daemon asks and those that devices may ask, each over UDP and TCP.
async fn resolvers(policy: &Policy, probe: Option<&DomainName>) -> Vec<Finding> {
    let own = policy.resolver.servers.iter().copied();
    let of_devices = policy.groups.iter().flat_map(|group| &group.resolvers).filter_map(|server| match server {
        Server::Address(address) => Some(SocketAddr::new(*address, DNS)),
        Server::Gateway => None,
    });
    let servers: BTreeSet<SocketAddr> = own.chain(of_devices).collect();
    let mut findings = Vec::new();
    if servers.is_empty() {
        let what = "the policy names no resolver by address: the system's own are used, and asked with the names below";
        findings.push(Finding::ok(Area::Resolvers, what));
    }
    for server in servers {
        findings.push(of_udp(policy, server, probe).await);
        findings.push(match timeout(PATIENCE, TcpStream::connect(server)).await {
            Ok(Ok(_)) => Finding::ok(Area::Resolvers, format!("{server} takes connections over TCP")),
            Ok(Err(_)) | Err(_) => Finding::new(
                Area::Resolvers,
                State::Problem,
                format!("{server} takes no connection over TCP: answers that are too long for UDP are lost"),
                "let the resolver listen on TCP port 53, and the firewall before it let that through",
            ),
        });
    }
    findings
}

async fn of_udp(policy: &Policy, server: SocketAddr, probe: Option<&DomainName>) -> Finding {
    let Some(name) = probe else {
        return Finding::ok(Area::Resolvers, format!("{server} is not asked: the policy has no name to ask for"));
    };
    let settings = ResolverSettings { servers: vec![server], ..policy.resolver.clone() };
    let outcome = match Asker::new(&settings) {
        Ok(asker) => asker.ask(&Question { name: name.clone(), family: Family::V4 }).await,
        Err(error) => Outcome::Failed(error.to_string()),
    };
    match outcome {
        Outcome::Answer(_) | Outcome::NoData | Outcome::NoSuchName => {
            Finding::ok(Area::Resolvers, format!("{server} answers for {name}"))
        }
        other => Finding::new(
            Area::Resolvers,
            State::Problem,
            format!("{server} does not answer for {name}: {}", other.word()),
            format!(
                "try it: dig @{} -p {} {name}; name another server in [resolver] and `resolvers`",
                server.ip(),
                server.port()
            ),
        ),
    }
}

/// Asks for each name and connects to it.
async fn endpoints(policy: &Policy, names: Names) -> Vec<Finding> {
    let asker = match Asker::new(&policy.resolver) {
        Ok(asker) => Arc::new(asker),
        Err(error) => {
            let remedy = "name servers in [resolver]";
            return vec![Finding::new(Area::Resolvers, State::Problem, error.to_string(), remedy)];
        }
    };
    let (count, room) = (names.len(), Arc::new(Semaphore::new(AT_ONCE)));
    let mut tasks = JoinSet::new();
    for (name, (services, is_needed)) in names.into_iter().take(MOST) {
        let (asker, room) = (Arc::clone(&asker), Arc::clone(&room));
        tasks.spawn(async move {
            let _permit = room.acquire().await;
            (name.clone(), of_name(&asker, name, &services, is_needed).await)
        });
    }
    let mut found = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        if let Ok((name, findings)) = done {
            found.insert(name, findings);
        }
    }
    let mut findings: Vec<Finding> = found.into_values().flatten().collect();
    if count > MOST {
        let what = format!("{} more names are not looked at", count - MOST);
        findings.push(Finding::unknown(Area::Endpoints, what));
    }
    findings
}

async fn of_name(asker: &Asker, name: DomainName, services: &BTreeSet<Service>, is_needed: bool) -> Vec<Finding> {
    let state = if is_needed { State::Problem } else { State::Warning };
    let mut addresses = Vec::new();
    let mut failure = None;
    for family in Family::ALL {
        match asker.ask(&Question { name: name.clone(), family }).await {
            Outcome::Answer(answer) => addresses.extend(answer.records.iter().map(|record| record.address)),
            Outcome::NoData => {}
            other => failure = Some(other.word()),
        }
    }
    let Some(address) = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied() else {
        let why = failure.unwrap_or("it has no addresses");
        return vec![Finding::new(
            Area::Endpoints,
            state,
            format!("{name} does not resolve: {why}"),
            format!("dig {name}"),
        )];
    };
    let mut findings = Vec::new();
    for service in services {
        let shown = format!("{name} {service} ({address})");
        match reached(address, *service).await {
            Some(Ok(())) => findings.push(Finding::ok(Area::Endpoints, format!("{shown} answers"))),
            Some(Err(why)) => {
                let remedy = "look at the way from the gateway: a firewall or proxy further on, routes, the server";
                findings.push(Finding::new(Area::Endpoints, state, format!("{shown}: {why}"), remedy));
            }
            // Nothing that could be sent would tell.
            None => findings.push(Finding::ok(Area::Endpoints, format!("{name} {service} resolves to {address}"))),
        }
    }
    findings
}

/// Whether a service can be reached; [`None`] for those that cannot be tried.
async fn reached(address: IpAddr, service: Service) -> Option<Result<(), String>> {
    let PortMatch::One(port) = service.port() else { return None };
    let to = SocketAddr::new(address, port.get());
    let tried = match service.protocol() {
        Protocol::Tcp => timeout(PATIENCE, TcpStream::connect(to)).await.map(|connected| connected.map(drop)),
        Protocol::Udp if port.get() == NTP => timeout(PATIENCE, time_of(to)).await,
        Protocol::Udp | Protocol::Icmp => return None,
    };
    Some(match tried {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!("no answer within {PATIENCE:?}")),
    })
}

/// Asks for the time (RFC 5905, a client's packet of version 4).
async fn time_of(server: SocketAddr) -> std::io::Result<()> {
    let own = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(own, 0)).await?;
    socket.connect(server).await?;
    let mut packet = [0; 48];
    packet[0] = 0b00_100_011;
    socket.send(&packet).await?;
    let length = socket.recv(&mut packet).await?;
    // A server's answer is of mode 4.
    if length >= 48 && packet[0] & 0b111 == 4 { Ok(()) } else { Err(std::io::Error::other("the answer is no time")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_listens_is_reached_and_what_does_not_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = |port: u16| format!("tcp/{port}").parse::<Service>().unwrap();
        assert_eq!(reached(address.ip(), service(address.port())).await, Some(Ok(())));
        drop(listener);
        assert!(reached(address.ip(), service(address.port())).await.unwrap().is_err());
        assert_eq!(reached(address.ip(), "tcp/*".parse().unwrap()).await, None);
    }

    #[tokio::test]
    async fn the_time_is_asked_for() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let (asked, answered) = tokio::join!(time_of(address), async {
            let mut packet = [0; 64];
            let (length, from) = server.recv_from(&mut packet).await.unwrap();
            assert_eq!((length, packet[0] & 0b111), (48, 3));
            packet[0] = 0b00_100_100;
            server.send_to(&packet[..48], from).await.unwrap();
        });
        assert!(asked.is_ok(), "{asked:?} {answered:?}");
    }
}
