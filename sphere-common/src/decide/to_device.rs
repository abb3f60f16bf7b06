//! What goes to a device: replies of flows that it opened, and what inbound rules allow.

use super::case::Case;
use super::policy::{self, Outcome};
use super::subnet::{self, Membership};
use super::{Context, Decision, NO_GROUP, flows, related};
use crate::abi::{FlowState, flow_flags, flow_kind};
use crate::classify::{Kind, Subject, Transport};
use crate::family::Family;
use crate::packet::transport::{Ports, TcpFlags, UDP};
use crate::packet::{Fragment, Packet};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::{Direction, Reason};

/// Judges an IP packet that is about to leave through a device port: the outcome is in the case. False when no device is
/// concerned, and the decision is made.
// A frame of its own for each family: BPF programs have 512 bytes of stack in all.
#[inline(never)]
pub(super) fn judge<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    packet: &mut P,
    tables: &mut T,
    context: &Context<'_>,
    (case, decision): (&mut Case<F>, &mut Decision),
) -> bool {
    // Nothing of the packet before may count.
    case.network.forget();
    case.opens = 0;
    case.reads_dns = 0;
    case.begins_stream = 0;
    decision.subject = Subject { ethertype_be: case.link.ethertype_be, vlan: case.link.vlan, ..Subject::default() };
    let (source, destination) = match F::addresses(packet, case.link.payload()) {
        Ok(addresses) => addresses,
        Err(reason) => {
            decision.deny_unattributed(tables, context, reason);
            return false;
        }
    };
    case.flow.device = destination;
    case.flow.peer = source;
    case.uncounted = packet.frame_bytes();
    match subnet::find::<F, T>(tables, context, destination, &mut case.group) {
        Membership::Device => {}
        Membership::Elsewhere | Membership::Foreign => {
            decision.pass(Outcome::pass(Reason::OtherSubnet, 0), NO_GROUP);
            return false;
        }
    }
    case.outcome = attributed::<F, P, T>(packet, tables, context, case);
    if case.outcome.reason == Reason::Unsolicited && case.transport.kind != Kind::EchoReply {
        ask_policy::<F, T>(tables, context, case);
    }
    case.note_dns(context);
    true
}

/// Judges a packet to a device subnet of this port.
#[inline(always)]
fn attributed<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    packet: &mut P,
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
) -> Outcome {
    let read = case.read(packet);
    if context.config.reserved4_len != 0 && F::is_reserved(context.config, case.flow.peer) {
        return Outcome::deny(Reason::Reserved);
    }
    if let Err(reason) = read {
        return Outcome::deny(reason);
    }
    if let Fragment::Later { offset } = case.network.fragment {
        return case.later_fragment(tables, context, (offset, flow_kind::FRAGMENT_IN));
    }
    let Transport { kind, flags, ports: Ports { source_be, destination_be }, .. } = case.transport;
    case.set_flow(case.network.protocol, (destination_be, source_be), flow_kind::TRANSPORT);
    match kind {
        Kind::Tcp => tcp(tables, context, case, flags),
        Kind::Udp | Kind::EchoRequest | Kind::Other => connectionless(tables, context, case),
        Kind::EchoReply => {
            case.pass_known(tables, context, Reason::Reply).unwrap_or(Outcome::deny(Reason::Unsolicited))
        }
        Kind::Error => related::judge::<F, P, T>((packet, tables), context, case, Direction::Egress),
        Kind::Discovery => Outcome::pass(Reason::NeighborDiscovery, 0),
        Kind::Control => Outcome::deny(Reason::Icmp),
    }
}

/// TCP: a known flow, or a question to policy.
#[inline(always)]
fn tcp<F: Family, T: Tables + FamilyTables<F>>(
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
    flags: TcpFlags,
) -> Outcome {
    if flows::find::<F, T>(tables, context, case)
        && (case.known.flags & flow_flags::AUDITED == 0 || case.group.enforce == 0)
    {
        let (state, inbound) = (case.state(), case.is_inbound());
        // A peer may open a connection only where an inbound rule says so, or at the same moment as the device
        // (RFC 9293 section 3.5).
        if !flags.opens() || (state == FlowState::Opening && !inbound) {
            let next = match (flags.closes(), inbound, state) {
                (true, _, state) => state.closed(),
                (false, false, FlowState::Opening) => FlowState::Established,
                (false, _, state) => state,
            };
            flows::refresh::<F, T>(tables, context, case, next);
            return Outcome::pass(Reason::Reply, case.known.rule);
        }
    }
    ASKS_POLICY
}

/// A protocol without connections: a known flow, or a question to policy.
#[inline(always)]
fn connectionless<F: Family, T: Tables + FamilyTables<F>>(
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
) -> Outcome {
    case.pass_known(tables, context, Reason::Reply).unwrap_or(ASKS_POLICY)
}

/// The outcome of a packet that belongs to no flow, until policy is asked.
const ASKS_POLICY: Outcome = Outcome::deny(Reason::Unsolicited);

/// Asks policy about a packet that belongs to no flow: the middle of a connection to an allowed endpoint (it opens the flow
/// again: the gateway may have restarted), an answer of an approved DHCP server, or what an inbound rule allows.
// A function of its own that finds all it needs in the case: the ways that lead here merge for the verifier.
#[inline(never)]
fn ask_policy<F: Family, T: Tables + FamilyTables<F>>(tables: &T, context: &Context<'_>, case: &mut Case<F>) {
    let is_tcp = case.transport.kind == Kind::Tcp;
    let begins = is_tcp && case.transport.flags.opens();
    let ports_be = (case.flow.device_port_be, case.flow.peer_port_be);
    let is_dhcp = case.flow.protocol == UDP && ports_be == F::DHCP_PORTS_BE;
    if is_dhcp || (is_tcp && !begins) {
        let found = policy::outbound::<F, T>(tables, context, case.peer(case.flow.peer_port_be));
        if !found.is_denial() {
            case.outcome = Outcome::pass(if is_dhcp { Reason::Dhcp } else { Reason::Reply }, found.rule);
            if is_tcp && !case.transport.flags.closes() {
                case.outcome = case.open(context, (FlowState::Established, 0), case.outcome);
            }
            return;
        }
    }
    // The port of an inbound rule is the device's; an echo has no port, only an identifier.
    let port_be = if case.flow.protocol == F::ICMP { 0 } else { case.flow.device_port_be };
    if let Some(value) = policy::inbound::<F, T>(tables, context, case.peer(port_be)) {
        let state = if is_tcp && !begins { FlowState::Established } else { FlowState::Opening };
        case.outcome = case.open(context, (state, flow_flags::INBOUND), Outcome::pass(Reason::Inbound, value.rule));
    }
}
