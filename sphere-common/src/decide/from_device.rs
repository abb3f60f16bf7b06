//! What a device sends: allowed endpoints, flows that were allowed, and the little that every device must say.

use super::flows::{self, Opening};
use super::policy::{self, Peer, Permission};
use super::subnet::{self, Membership};
use super::{Context, Decision, case::Case, related, unattributed};
use crate::abi::{FlowState, SubnetValue, flow_flags, flow_kind};
use crate::classify::{Subject, Transport};
use crate::family::{Family, Scope};
use crate::packet::ethernet::Link;
use crate::packet::icmp::Message;
use crate::packet::transport::{Ports, TCP, TcpFlags, UDP};
use crate::packet::{Fragment, Network, Packet};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::{Direction, Reason};

/// A reason to pass and the rule behind it, or a reason to deny.
type Outcome = Result<(Reason, u32), Reason>;

/// Judges an IP packet that came in on a device port.
#[inline(always)]
pub(super) fn judge<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    packet: &P,
    tables: &mut T,
    context: &Context<'_>,
    link: &Link,
) -> Decision {
    let blank = Subject { ethertype_be: link.ethertype_be, vlan: link.vlan, ..Subject::default() };
    let (source, destination) = match F::addresses(packet, link.payload) {
        Ok(addresses) => addresses,
        Err(reason) => return unattributed(tables, context, reason, blank),
    };
    let subject = |network: Option<&Network>, transport: Option<Transport>| {
        let (device_port_be, peer_port_be) = match transport {
            Some(Transport::Icmp(icmp)) => (0, icmp.type_code_be),
            Some(other) => other.ports_be(),
            None => (0, 0),
        };
        let (device, peer) = (F::mapped(source), F::mapped(destination));
        let protocol = network.map_or(0, |network| network.protocol);
        Subject { device, peer, device_port_be, peer_port_be, protocol, ..blank }
    };
    let group = match subnet::find::<F, T>(tables, context, source) {
        Membership::Device(group) => group,
        Membership::Elsewhere | Membership::Foreign if is_reserved::<F>(context, source, destination) => {
            return unattributed(tables, context, Reason::Reserved, subject(None, None));
        }
        Membership::Elsewhere => {
            return unattributed(tables, context, Reason::ForeignSource, subject(None, None));
        }
        Membership::Foreign => {
            return match foreign::<F, P, T>(packet, tables, context, (link, destination)) {
                Ok(reason) => Decision::pass(reason, 0, super::NO_GROUP),
                Err(reason) => unattributed(tables, context, reason, subject(None, None)),
            };
        }
    };
    let deny = |reason, network: Option<&Network>, transport| {
        Decision::deny(reason, group.enforce != 0, group.group, subject(network, transport))
    };
    if is_reserved::<F>(context, source, destination) {
        return deny(Reason::Reserved, None, None);
    }
    let network = match F::network(packet, link.payload) {
        Ok(network) => network,
        Err(reason) => return deny(reason, None, None),
    };
    let mut case = Case::<F, P, T> { packet, tables, context, group, device: source, peer: destination, network };
    if let Fragment::Later { offset } = network.fragment {
        return match case.later_fragment(offset, flow_kind::FRAGMENT_OUT) {
            Ok((reason, rule)) => Decision::pass(reason, rule, group.group),
            Err(reason) => deny(reason, Some(&network), None),
        };
    }
    let transport = match Transport::parse::<F, P>(packet, &network) {
        Ok(transport) => transport,
        Err(reason) => return deny(reason, Some(&network), None),
    };
    let outcome = match transport {
        Transport::Tcp(ports, flags) => tcp(&mut case, ports, flags),
        Transport::Udp(ports) => udp(&mut case, ports),
        Transport::Icmp(icmp) => control(&mut case, icmp.message),
        Transport::Other => connectionless(&mut case, (0, 0)),
    };
    let outcome = match outcome {
        Ok(pass) if network.fragment == Fragment::First => case.first_fragment(pass, flow_kind::FRAGMENT_OUT),
        other => other,
    };
    match outcome {
        Ok((reason, rule)) => Decision::pass(reason, rule, group.group),
        Err(reason) => deny(reason, Some(&network), Some(transport)),
    }
}

#[inline(always)]
fn is_reserved<F: Family>(context: &Context<'_>, source: F::Address, destination: F::Address) -> bool {
    context.config.reserved4_len != 0
        && (F::is_reserved(context.config, source) || F::is_reserved(context.config, destination))
}

/// A source in no device subnet: passes untouched, unless the port denies such sources. Even then hosts may look for
/// an address and for their neighbours.
#[inline(always)]
fn foreign<F: Family, P: Packet + ?Sized, T: Tables>(
    packet: &P,
    tables: &T,
    context: &Context<'_>,
    (link, destination): (&Link, F::Address),
) -> Result<Reason, Reason> {
    let flags = tables.port(context.ifindex).map_or(0, |port| port.flags);
    if flags & F::DENY_FOREIGN == 0 {
        return Ok(Reason::OtherSubnet);
    }
    let network = F::network(packet, link.payload)?;
    if network.fragment == Fragment::Whole {
        match Transport::parse::<F, P>(packet, &network)? {
            Transport::Udp(ports)
                if F::is_dhcp_discovery(destination, (ports.source_be, ports.destination_be)) =>
            {
                return Ok(Reason::Dhcp);
            }
            Transport::Icmp(icmp) if icmp.message == Message::Discovery => return Ok(Reason::NeighborDiscovery),
            Transport::Udp(_) | Transport::Icmp(_) | Transport::Tcp(..) | Transport::Other => {}
        }
    }
    match F::scope(destination) {
        Scope::Link => Err(Reason::LinkLocal),
        Scope::Multicast | Scope::Unicast => Err(Reason::ForeignSource),
    }
}

/// TCP. An allowed endpoint costs one look-up; the flow table is asked at the ends of a connection, and where policy no
/// longer knows the address.
#[inline(always)]
fn tcp<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    ports: Ports,
    flags: TcpFlags,
) -> Outcome {
    let flow = case.flow(TCP, (ports.source_be, ports.destination_be), flow_kind::TRANSPORT);
    let peer = case.peer(TCP, ports.destination_be);
    let permission = policy::outbound::<F, T>(case.tables, case.context, peer);
    if let Permission::Allowed(reason, value) = permission {
        if flags.opens() {
            case.open(flow, Opening { rule: value.rule, group: case.group.group, state: FlowState::Opening, flags: 0 })?;
        } else if flags.closes()
            && let Some((key, known)) = flows::alive::<F, T>(case.tables, case.context, flow)
        {
            flows::refresh::<F, T>(case.tables, case.context, (&key, known), FlowState::Closing);
        }
        return Ok((reason, value.rule));
    }
    if let Some((key, known)) = flows::alive::<F, T>(case.tables, case.context, flow)
        && known.flags & flow_flags::AUDITED == 0
    {
        let state = FlowState::from_byte(known.state);
        let inbound = known.flags & flow_flags::INBOUND != 0;
        let next = match (flags.closes(), inbound, state) {
            (true, _, _) => FlowState::Closing,
            (false, true, FlowState::Opening) => FlowState::Established,
            (false, _, state) => state,
        };
        // A new connection asks policy; only a retransmitted SYN may lean on its flow.
        if !flags.opens() || (state == FlowState::Opening && !inbound) {
            flows::refresh::<F, T>(case.tables, case.context, (&key, known), next);
            return Ok((Reason::Flow, known.rule));
        }
    }
    let expired = matches!(permission, Permission::Expired);
    let reason = policy::denial::<F>(case.context, peer, expired);
    if flags.opens() {
        case.note_audited(flow);
    }
    Err(reason)
}

/// UDP: the flow first, since each datagram must find or open it.
#[inline(always)]
fn udp<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    ports: Ports,
) -> Outcome {
    let between = (ports.source_be, ports.destination_be);
    match connectionless_of(case, UDP, between) {
        Err(_) if F::is_dhcp_discovery(case.peer, between) => Ok((Reason::Dhcp, 0)),
        outcome => outcome,
    }
}

/// ICMP and ICMPv6.
#[inline(always)]
fn control<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    message: Message,
) -> Outcome {
    match message {
        Message::EchoRequest { identifier_be } | Message::EchoReply { identifier_be } => {
            let request = matches!(message, Message::EchoRequest { .. });
            let flow = case.flow(F::ICMP, (identifier_be, identifier_be), flow_kind::TRANSPORT);
            if let Some(pass) = case.known(flow, Reason::Flow) {
                return Ok(pass);
            }
            if !request {
                return Err(Reason::Icmp);
            }
            let peer = case.peer(F::ICMP, 0);
            allow_and_open(case, flow, peer)
        }
        Message::Error => {
            let about = (Direction::Ingress, case.device, case.group.group);
            let allowed = related::is_about_allowed_flow::<F, P, T>(
                (case.packet, case.tables),
                case.context,
                &case.network,
                about,
            );
            if allowed { Ok((Reason::Related, 0)) } else { Err(Reason::Icmp) }
        }
        Message::Discovery => Ok((Reason::NeighborDiscovery, 0)),
        Message::Other => Err(policy::denial::<F>(case.context, case.peer(F::ICMP, 0), false)),
    }
}

#[inline(always)]
fn connectionless<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    ports: (u16, u16),
) -> Outcome {
    let protocol = case.network.protocol;
    connectionless_of(case, protocol, ports)
}

#[inline(always)]
fn connectionless_of<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    protocol: u8,
    (device_port_be, peer_port_be): (u16, u16),
) -> Outcome {
    let flow = case.flow(protocol, (device_port_be, peer_port_be), flow_kind::TRANSPORT);
    if let Some(pass) = case.known(flow, Reason::Flow) {
        return Ok(pass);
    }
    let peer = case.peer(protocol, peer_port_be);
    allow_and_open(case, flow, peer)
}

#[inline(always)]
fn allow_and_open<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    flow: crate::family::Flow<F::Address>,
    peer: Peer<F::Address>,
) -> Outcome {
    match policy::outbound::<F, T>(case.tables, case.context, peer) {
        Permission::Allowed(reason, value) => {
            let SubnetValue { group, .. } = case.group;
            case.open(flow, Opening { rule: value.rule, group, state: FlowState::Opening, flags: 0 })?;
            Ok((reason, value.rule))
        }
        permission => {
            let reason = policy::denial::<F>(case.context, peer, matches!(permission, Permission::Expired));
            case.note_audited(flow);
            Err(reason)
        }
    }
}
