//! What a denial asks of the policy, or why no rule should give it.

use std::net::IpAddr;

use sphere_common::verdict::{Direction, Reason};

use super::evidence::Flow;
use super::suggestion::Why;
use crate::policy::Service;
use crate::resolve::Special;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// Type 8, code 0 (RFC 792), and type 128, code 0 (RFC 4443 section 4.1): echo requests.
const ECHO: u16 = 8 << 8;
const ECHO_V6: u16 = 128 << 8;

/// What a denial asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// To reach an address at a service.
    Reach(IpAddr, Service),
    /// To ask a resolver.
    Resolver(IpAddr),
    /// To be reached, at a port of the device that is not known: protocol and port of the other side.
    Knock(IpAddr, (u8, u16)),
    /// To be pinged.
    Ping(IpAddr, Service),
}

/// What the denial asks for.
pub(super) fn ask(flow: &Flow) -> Result<Ask, Why> {
    match flow.reason {
        Reason::Destination | Reason::EncryptedDns | Reason::Icmp => reach(flow),
        Reason::Resolver => Ok(Ask::Resolver(host(flow)?)),
        Reason::Unsolicited => knock(flow),
        Reason::QueryName | Reason::QueryType => Err(Why::NoNames),
        // It was allowed, and the rule is there: another one would not help.
        Reason::Expired
        // A rule for the first fragment is what it takes, and that has an account of its own.
        | Reason::Fragment
        // Limits, time-outs and ways to send, which no rule changes.
        | Reason::FlowQuota | Reason::DeviceQuota | Reason::AnswerHeld | Reason::Unconfigured
        | Reason::Protocol | Reason::EtherType | Reason::VlanDepth | Reason::ExtensionDepth
        | Reason::LinkLocal | Reason::Multicast
        // What is sent by attackers, or by mistake.
        | Reason::Malformed | Reason::FragmentOverlap | Reason::Reserved | Reason::ForeignSource
        | Reason::SourceRoute | Reason::QueryMalformed | Reason::QuerySegment | Reason::AnswerUnasked
        // Why packets pass: no denial has it.
        | Reason::Endpoint | Reason::Cidr | Reason::Flow | Reason::Reply | Reason::Inbound | Reason::Related
        | Reason::FragmentOfAllowed | Reason::Arp | Reason::LinkControl | Reason::Dhcp
        | Reason::NeighborDiscovery | Reason::OtherSubnet | Reason::Released => Err(Why::NoRule(flow.reason)),
    }
}

fn reach(flow: &Flow) -> Result<Ask, Why> {
    if flow.direction == Direction::Egress {
        return knock(flow);
    }
    let peer = host(flow)?;
    service(flow, peer).map(|service| Ask::Reach(peer, service))
}

fn knock(flow: &Flow) -> Result<Ask, Why> {
    let peer = host(flow)?;
    match flow.service {
        Some((protocol @ (TCP | UDP), port)) if flow.direction == Direction::Egress => {
            Ok(Ask::Knock(peer, (protocol, port)))
        }
        _ if flow.direction == Direction::Egress => service(flow, peer).map(|service| Ask::Ping(peer, service)),
        _ => Err(Why::NoRule(flow.reason)),
    }
}

/// The service of a policy that the flow was about.
fn service(flow: &Flow, peer: IpAddr) -> Result<Service, Why> {
    let text = match flow.service {
        Some((TCP, port)) if port > 0 => format!("tcp/{port}"),
        Some((UDP, port)) if port > 0 => format!("udp/{port}"),
        Some((ICMP, ECHO)) if peer.is_ipv4() => "icmp".to_owned(),
        Some((ICMPV6, ECHO_V6)) if peer.is_ipv6() => "icmp".to_owned(),
        Some((ICMP | ICMPV6, _)) => return Err(Why::NoRule(Reason::Icmp)),
        Some(_) => return Err(Why::NoTarget),
        None => return Err(Why::OtherDestinations),
    };
    text.parse().map_err(|_no_service| Why::NoTarget)
}

/// The other side, when it is a host that a gateway can forward to.
fn host(flow: &Flow) -> Result<IpAddr, Why> {
    if flow.service.is_none() {
        return Err(Why::OtherDestinations);
    }
    let peer = flow.peer.ok_or(Why::NoTarget)?;
    match Special::of(peer) {
        Some(special) if !special.is_reachable() || special == Special::LinkLocal => Err(Why::NoHost(peer)),
        _ => Ok(peer),
    }
}
