//! What a device sends: allowed endpoints, flows that were allowed, and the little that every device must say.

use super::case::Case;
use super::policy::{self, Outcome};
use super::subnet::{self, Membership};
use super::{Context, Decision, NO_GROUP, flows, related};
use crate::abi::{FlowState, flow_flags, flow_kind};
use crate::classify::{Subject, Transport};
use crate::family::{Family, Scope};
use crate::packet::icmp::{Icmp, Message};
use crate::packet::transport::{Ports, TCP, TcpFlags};
use crate::packet::{Fragment, Network, Packet};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::{Direction, Reason};

/// Judges an IP packet that came in on a device port.
// A frame of its own for each family: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn judge<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    packet: &P,
    tables: &mut T,
    context: &Context<'_>,
    (case, decision): (&mut Case<F>, &mut Decision),
) {
    decision.subject = Subject { ethertype_be: case.link.ethertype_be, vlan: case.link.vlan, ..Subject::default() };
    let (source, destination) = match F::addresses(packet, case.link.payload()) {
        Ok(addresses) => addresses,
        Err(reason) => return decision.deny_unattributed(tables, context, reason),
    };
    case.network = Network::UNKNOWN;
    case.opens = 0;
    case.flow.device = source;
    case.flow.peer = destination;
    match subnet::find::<F, T>(tables, context, source, &mut case.group) {
        Membership::Device => {}
        Membership::Elsewhere | Membership::Foreign if is_reserved::<F>(context, source, destination) => {
            decision.name::<F>(case);
            return decision.deny_unattributed(tables, context, Reason::Reserved);
        }
        Membership::Elsewhere => {
            decision.name::<F>(case);
            return decision.deny_unattributed(tables, context, Reason::ForeignSource);
        }
        Membership::Foreign => {
            let reason = foreign::<F, P, T>(packet, tables, context, case);
            if !reason.is_denial() {
                return decision.pass(Outcome::pass(reason, 0), NO_GROUP);
            }
            decision.name::<F>(case);
            return decision.deny_unattributed(tables, context, reason);
        }
    }
    case.outcome = attributed::<F, P, T>(packet, tables, context, case);
    case.settle((packet, tables), context, flow_kind::FRAGMENT_OUT);
    let outcome = case.outcome;
    if outcome.is_denial() {
        decision.name_transport::<F, P>(packet, case, Direction::Ingress);
        return decision.deny(outcome.reason, &case.group);
    }
    decision.pass(outcome, case.group.group);
}

/// Judges a packet of a device subnet of this port.
#[inline(always)]
fn attributed<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    packet: &P,
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
) -> Outcome {
    if is_reserved::<F>(context, case.flow.device, case.flow.peer) {
        return Outcome::deny(Reason::Reserved);
    }
    if let Err(reason) = F::network(packet, case.link.payload(), &mut case.network) {
        return Outcome::deny(reason);
    }
    if let Fragment::Later { offset } = case.network.fragment {
        return case.later_fragment(tables, context, (offset, flow_kind::FRAGMENT_OUT));
    }
    match Transport::parse::<F, P>(packet, &case.network) {
        Ok(Transport::Tcp(ports, flags)) => tcp(tables, context, case, (ports, flags)),
        Ok(Transport::Udp(Ports { source_be, destination_be }))
            if F::is_dhcp_discovery(case.flow.peer, (source_be, destination_be)) =>
        {
            Outcome::pass(Reason::Dhcp, 0)
        }
        Ok(Transport::Icmp(Icmp { message: Message::EchoReply { identifier_be }, .. })) => {
            case.set_flow(F::ICMP, (identifier_be, identifier_be), flow_kind::TRANSPORT);
            case.pass_known(tables, context, Reason::Flow).unwrap_or(Outcome::deny(Reason::Icmp))
        }
        Ok(Transport::Icmp(Icmp { message: Message::Error, .. })) => {
            related::judge::<F, P, T>((packet, tables), context, case, Direction::Ingress)
        }
        Ok(Transport::Icmp(Icmp { message: Message::Discovery, .. })) => Outcome::pass(Reason::NeighborDiscovery, 0),
        Ok(Transport::Icmp(Icmp { message: Message::Other, .. })) => {
            case.set_flow(F::ICMP, (0, 0), flow_kind::TRANSPORT);
            Outcome::deny(policy::denial::<F>(context, case.peer(0), Reason::Destination))
        }
        Ok(transport) => {
            // UDP, echo requests, and protocols without ports.
            let (ports, policy_port_be) = match transport {
                Transport::Udp(ports) => ((ports.source_be, ports.destination_be), ports.destination_be),
                Transport::Icmp(Icmp { message: Message::EchoRequest { identifier_be }, .. }) => {
                    ((identifier_be, identifier_be), 0)
                }
                Transport::Tcp(..) | Transport::Icmp(_) | Transport::Other => ((0, 0), 0),
            };
            case.set_flow(case.network.protocol, ports, flow_kind::TRANSPORT);
            connectionless(tables, context, case, policy_port_be)
        }
        Err(reason) => Outcome::deny(reason),
    }
}

#[inline(never)]
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
    case: &mut Case<F>,
) -> Reason {
    let flags = tables.port(context.ifindex).map_or(0, |port| port.flags);
    if flags & F::DENY_FOREIGN == 0 {
        return Reason::OtherSubnet;
    }
    if let Err(reason) = F::network(packet, case.link.payload(), &mut case.network) {
        return reason;
    }
    if case.network.fragment == Fragment::Whole {
        match Transport::parse::<F, P>(packet, &case.network) {
            Ok(Transport::Udp(Ports { source_be, destination_be }))
                if F::is_dhcp_discovery(case.flow.peer, (source_be, destination_be)) =>
            {
                return Reason::Dhcp;
            }
            Ok(Transport::Icmp(icmp)) if icmp.message == Message::Discovery => return Reason::NeighborDiscovery,
            Ok(Transport::Udp(_) | Transport::Icmp(_) | Transport::Tcp(..) | Transport::Other) => {}
            Err(reason) => return reason,
        }
    }
    match F::scope(case.flow.peer) {
        Scope::Link => Reason::LinkLocal,
        Scope::Multicast | Scope::Unicast => Reason::ForeignSource,
    }
}

/// TCP. An allowed endpoint costs one look-up; the flow table is asked at the ends of a connection, and where policy no
/// longer knows the address.
#[inline(always)]
fn tcp<F: Family, T: Tables + FamilyTables<F>>(
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
    (ports, flags): (Ports, TcpFlags),
) -> Outcome {
    case.set_flow(TCP, (ports.source_be, ports.destination_be), flow_kind::TRANSPORT);
    let found = policy::outbound::<F, T>(tables, context, case.peer(ports.destination_be));
    if !found.is_denial() {
        if flags.opens() {
            return case.open(context, (FlowState::Opening, 0), found);
        }
        if flags.closes() && flows::find::<F, T>(tables, context, case) {
            flows::refresh::<F, T>(tables, context, case, FlowState::Closing);
        }
        return found;
    }
    if flows::find::<F, T>(tables, context, case) && case.known.flags & flow_flags::AUDITED == 0 {
        let (state, inbound) = (case.state(), case.is_inbound());
        // A new connection asks policy; only a retransmitted SYN may lean on its flow.
        if !flags.opens() || (state == FlowState::Opening && !inbound) {
            let next = match (flags.closes(), inbound, state) {
                (true, _, _) => FlowState::Closing,
                (false, true, FlowState::Opening) => FlowState::Established,
                (false, _, state) => state,
            };
            flows::refresh::<F, T>(tables, context, case, next);
            return Outcome::pass(Reason::Flow, case.known.rule);
        }
    }
    let denied = Outcome::deny(policy::denial::<F>(context, case.peer(ports.destination_be), found.reason));
    if flags.opens() {
        return case.note_audited(context, denied);
    }
    denied
}

/// A protocol without connections: the flow first, since each packet must find or open it.
#[inline(always)]
fn connectionless<F: Family, T: Tables + FamilyTables<F>>(
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
    policy_port_be: u16,
) -> Outcome {
    if let Some(pass) = case.pass_known(tables, context, Reason::Flow) {
        return pass;
    }
    let found = policy::outbound::<F, T>(tables, context, case.peer(policy_port_be));
    if found.is_denial() {
        let denied = Outcome::deny(policy::denial::<F>(context, case.peer(policy_port_be), found.reason));
        return case.note_audited(context, denied);
    }
    case.open(context, (FlowState::Opening, 0), found)
}
