//! What goes to a device: replies of flows that it opened, and what inbound rules allow.

use super::flows::{self, Opening};
use super::policy::{self, Permission};
use super::subnet::{self, Membership};
use super::{Context, Decision, case::Case, related, unattributed};
use crate::abi::{FlowState, flow_flags, flow_kind};
use crate::classify::{Subject, Transport};
use crate::family::{Family, Flow};
use crate::packet::ethernet::Link;
use crate::packet::icmp::Message;
use crate::packet::transport::{Ports, TCP, TcpFlags, UDP};
use crate::packet::{Fragment, Network, Packet};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::{Direction, Reason};

/// A reason to pass and the rule behind it, or a reason to deny.
type Outcome = Result<(Reason, u32), Reason>;

/// Judges an IP packet that is about to leave through a device port.
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
    let group = match subnet::find::<F, T>(tables, context, destination) {
        Membership::Device(group) => group,
        Membership::Elsewhere | Membership::Foreign => {
            return Decision::pass(Reason::OtherSubnet, 0, super::NO_GROUP);
        }
    };
    let deny = |reason, network: Option<&Network>, transport: Option<Transport>| {
        let (peer_port_be, device_port_be) = transport.map_or((0, 0), Transport::ports_be);
        let (device, peer) = (F::mapped(destination), F::mapped(source));
        let protocol = network.map_or(0, |network| network.protocol);
        let subject = Subject { device, peer, device_port_be, peer_port_be, protocol, ..blank };
        Decision::deny(reason, group.enforce != 0, group.group, subject)
    };
    if context.config.reserved4_len != 0 && F::is_reserved(context.config, source) {
        return deny(Reason::Reserved, None, None);
    }
    let network = match F::network(packet, link.payload) {
        Ok(network) => network,
        Err(reason) => return deny(reason, None, None),
    };
    let mut case = Case::<F, P, T> { packet, tables, context, group, device: destination, peer: source, network };
    if let Fragment::Later { offset } = network.fragment {
        return match case.later_fragment(offset, flow_kind::FRAGMENT_IN) {
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
        Transport::Other => {
            let flow = case.flow(network.protocol, (0, 0), flow_kind::TRANSPORT);
            known_or_inbound(&mut case, flow, FlowState::Opening)
        }
    };
    let outcome = match outcome {
        Ok(pass) if network.fragment == Fragment::First => case.first_fragment(pass, flow_kind::FRAGMENT_IN),
        other => other,
    };
    match outcome {
        Ok((reason, rule)) => Decision::pass(reason, rule, group.group),
        Err(reason) => deny(reason, Some(&network), Some(transport)),
    }
}

/// TCP: a known flow, the middle of a connection to an allowed endpoint (it opens the flow again: the gateway may have
/// restarted), or an inbound rule.
#[inline(always)]
fn tcp<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    ports: Ports,
    flags: TcpFlags,
) -> Outcome {
    let flow = case.flow(TCP, (ports.destination_be, ports.source_be), flow_kind::TRANSPORT);
    if let Some((key, known)) = flows::alive::<F, T>(case.tables, case.context, flow)
        && case.counts(known.flags)
    {
        let state = FlowState::from_byte(known.state);
        let inbound = known.flags & flow_flags::INBOUND != 0;
        let next = match (flags.closes(), inbound, state) {
            (true, _, _) => FlowState::Closing,
            (false, false, FlowState::Opening) => FlowState::Established,
            (false, _, state) => state,
        };
        // A peer may open a connection only where an inbound rule says so, or at the same moment as the device
        // (RFC 9293 section 3.5).
        if !flags.opens() || (state == FlowState::Opening && !inbound) {
            flows::refresh::<F, T>(case.tables, case.context, (&key, known), next);
            return Ok((Reason::Reply, known.rule));
        }
    }
    if !flags.opens() {
        let peer = case.peer(TCP, ports.source_be);
        if let Permission::Allowed(_, value) = policy::outbound::<F, T>(case.tables, case.context, peer) {
            let group = case.group.group;
            if !flags.closes() {
                case.open(flow, Opening { rule: value.rule, group, state: FlowState::Established, flags: 0 })?;
            }
            return Ok((Reason::Reply, value.rule));
        }
    }
    let state = if flags.opens() { FlowState::Opening } else { FlowState::Established };
    inbound(case, flow, state)
}

/// UDP: a known flow, an answer of an approved DHCP server, or an inbound rule.
#[inline(always)]
fn udp<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    ports: Ports,
) -> Outcome {
    let flow = case.flow(UDP, (ports.destination_be, ports.source_be), flow_kind::TRANSPORT);
    match known_or_inbound(case, flow, FlowState::Opening) {
        Err(_) if (ports.destination_be, ports.source_be) == F::DHCP_PORTS_BE => {
            let server = case.peer(UDP, ports.source_be);
            match policy::outbound::<F, T>(case.tables, case.context, server) {
                Permission::Allowed(_, value) => Ok((Reason::Dhcp, value.rule)),
                Permission::Expired | Permission::Unknown => Err(Reason::Unsolicited),
            }
        }
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
        Message::EchoReply { identifier_be } => {
            let flow = case.flow(F::ICMP, (identifier_be, identifier_be), flow_kind::TRANSPORT);
            case.known(flow, Reason::Reply).ok_or(Reason::Unsolicited)
        }
        Message::EchoRequest { identifier_be } => {
            let flow = case.flow(F::ICMP, (identifier_be, identifier_be), flow_kind::TRANSPORT);
            known_or_inbound(case, flow, FlowState::Opening)
        }
        Message::Error => {
            let about = (Direction::Egress, case.device, case.group.group);
            let allowed = related::is_about_allowed_flow::<F, P, T>(
                (case.packet, case.tables),
                case.context,
                &case.network,
                about,
            );
            if allowed { Ok((Reason::Related, 0)) } else { Err(Reason::Icmp) }
        }
        Message::Discovery => Ok((Reason::NeighborDiscovery, 0)),
        Message::Other => Err(Reason::Icmp),
    }
}

#[inline(always)]
fn known_or_inbound<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    flow: Flow<F::Address>,
    state: FlowState,
) -> Outcome {
    match case.known(flow, Reason::Reply) {
        Some(pass) => Ok(pass),
        None => inbound(case, flow, state),
    }
}

/// Opens a flow to the device where an inbound rule allows it.
#[inline(always)]
fn inbound<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    case: &mut Case<'_, F, P, T>,
    flow: Flow<F::Address>,
    state: FlowState,
) -> Outcome {
    // The port of an inbound rule is the device's; an echo has no port, only an identifier.
    let port_be = if flow.protocol == F::ICMP { 0 } else { flow.device_port_be };
    let peer = case.peer(flow.protocol, port_be);
    let rule = policy::inbound::<F, T>(case.tables, case.context, peer).ok_or(Reason::Unsolicited)?.rule;
    let group = case.group.group;
    case.open(flow, Opening { rule, group, state, flags: flow_flags::INBOUND })?;
    Ok((Reason::Inbound, rule))
}
