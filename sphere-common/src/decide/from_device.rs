//! What a device sends: allowed endpoints, flows that were allowed, and the little that every device must say.

use super::case::Case;
use super::policy::{self, Outcome};
use super::subnet::{self, Membership};
use super::{Context, Decision, NO_GROUP, flows, related};
use crate::abi::{FlowState, Port, SubnetValue, config_flags, flow_flags, flow_kind};
use crate::classify::{Kind, Subject, Transport};
use crate::family::{Family, Scope};
use crate::packet::transport::{Ports, TcpFlags};
use crate::packet::{Fragment, Packet, icmp, ipv4};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::{Direction, Reason};

/// Judges an IP packet that came in on a device port: the outcome is in the case. False when no device is concerned, and
/// the decision is made.
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
    case.asks = 0;
    decision.subject = Subject { ethertype_be: case.link.ethertype_be, vlan: case.link.vlan, ..Subject::default() };
    let (source, destination) = match F::addresses(packet, case.link.payload()) {
        Ok(addresses) => addresses,
        Err(reason) => {
            decision.deny_unattributed(tables, context, reason);
            return false;
        }
    };
    case.flow.device = source;
    case.flow.peer = destination;
    case.uncounted = 0;
    case.membership = subnet::find::<F, T>(tables, context, source, &mut case.group);
    match case.membership {
        Membership::Device => {}
        Membership::Elsewhere | Membership::Foreign if is_reserved::<F>(context, source, destination) => {
            decision.name::<F>(case);
            decision.deny_unattributed(tables, context, Reason::Reserved);
            return false;
        }
        Membership::Elsewhere => {
            decision.name::<F>(case);
            decision.deny_unattributed(tables, context, Reason::ForeignSource);
            return false;
        }
        Membership::Foreign => {
            let port = tables.port(context.ifindex).unwrap_or(Port { enforce: 1, ..Port::default() });
            case.denies_foreign = u32::from(
                port.flags & F::DENY_FOREIGN != 0 || (port.flags & F::DENY_LINK_LOCAL != 0 && F::is_link_local(source)),
            );
            if case.denies_foreign == 0 && !reaches_learner::<F, T>(tables, context, destination) {
                decision.pass(Outcome::pass(Reason::OtherSubnet, 0), NO_GROUP);
                return false;
            }
            case.group = SubnetValue { group: NO_GROUP, enforce: port.enforce, ..SubnetValue::default() };
        }
    }
    let read = case.read(packet);
    // From here on the verifier knows nothing of whose packet it is: both ways share what it took to read it.
    if case.membership == Membership::Foreign {
        case.outcome = Outcome { reason: foreign(case, read), rule: 0 };
    } else {
        case.outcome = attributed::<F, P, T>((packet, tables), context, case, read);
        case.note_dns(context);
    }
    true
}

/// Judges a packet of a device subnet of this port.
#[inline(always)]
fn attributed<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    (packet, tables): (&mut P, &mut T),
    context: &Context<'_>,
    case: &mut Case<F>,
    read: Result<(), Reason>,
) -> Outcome {
    // After reading, so that the record names protocol and ports.
    if is_reserved::<F>(context, case.flow.device, case.flow.peer) {
        return Outcome::deny(Reason::Reserved);
    }
    if let Err(reason) = read {
        return Outcome::deny(reason);
    }
    if let Fragment::Later { offset } = case.network.fragment {
        return case.later_fragment(tables, context, (offset, flow_kind::FRAGMENT_OUT));
    }
    let Transport { kind, flags, ports: Ports { source_be, destination_be }, .. } = case.transport;
    case.set_flow(case.network.protocol, (source_be, destination_be), flow_kind::TRANSPORT);
    match kind {
        Kind::Tcp => tcp(tables, context, case, flags),
        Kind::Udp if F::is_dhcp_discovery(case.flow.peer, (source_be, destination_be)) => {
            Outcome::pass(Reason::Dhcp, 0)
        }
        Kind::Udp | Kind::EchoRequest | Kind::Other => {
            // An echo has no port, only an identifier.
            let policy_port_be = if kind == Kind::Udp { destination_be } else { 0 };
            connectionless(tables, context, case, policy_port_be)
        }
        Kind::EchoReply => case.pass_known(tables, context, Reason::Flow).unwrap_or(Outcome::deny(Reason::Icmp)),
        Kind::Error => related::judge::<F, P, T>((&*packet, &mut *tables), context, case, Direction::Ingress),
        Kind::Discovery => Outcome::pass(Reason::NeighborDiscovery, 0),
        Kind::Control => Outcome::deny(policy::denial::<F>(context, case.peer(0), Reason::Destination)),
    }
}

/// Denies what passed by its headers alone and would not stay what it says: discovery that is routed on, and packets whose
/// sender chooses the route.
// A function of its own that finds all it needs in the case: the ways that lead here merge for the verifier.
#[inline(never)]
pub(super) fn confine<F: Family, P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    context: &Context<'_>,
    case: &mut Case<F>,
) {
    let (begins, ends) = (case.link.payload(), case.network.payload());
    if case.outcome.reason == Reason::NeighborDiscovery {
        // Listener discovery may be about a group beyond the link, and has a hop limit that no router passes on.
        if case.network.hop_limit > 1 && !stays_on_link::<F, T>(tables, context, case.flow.peer) {
            case.outcome = Outcome::deny(Reason::Icmp);
        }
    } else if F::ADDRESS_BITS == 32
        && ends.wrapping_sub(begins) > ipv4::MINIMUM_BYTES
        && !case.outcome.is_denial()
        && let Err(reason) = F::source_route(packet, begins, ends)
    {
        case.outcome = Outcome::deny(reason);
        case.opens = 0;
        case.reads_dns = 0;
    }
}

/// Whether a packet to this address is not routed on.
#[inline(always)]
fn stays_on_link<F: Family, T: Tables>(tables: &T, context: &Context<'_>, destination: F::Address) -> bool {
    if F::ICMP != icmp::ICMPV6 || F::scope(destination) == Scope::Link || F::is_link_local(destination) {
        return true;
    }
    let mut group = SubnetValue::default();
    subnet::find::<F, T>(tables, context, destination, &mut group) == Membership::Device
}

#[inline(never)]
fn is_reserved<F: Family>(context: &Context<'_>, source: F::Address, destination: F::Address) -> bool {
    context.config.reserved4_len != 0
        && (F::is_reserved(context.config, source) || F::is_reserved(context.config, destination))
}

/// A source in no device subnet: passes untouched, unless the port denies such sources. Even then hosts may look for
/// an address and for their neighbours. Nothing passes that a device could be taken for a resolver by, nor from an
/// address that every device has beside its own.
#[inline(always)]
fn foreign<F: Family>(case: &Case<F>, read: Result<(), Reason>) -> Reason {
    if case.denies_foreign == 0 {
        let forges = read.is_ok() && case.may_answer();
        return if forges { Reason::ForeignSource } else { Reason::OtherSubnet };
    }
    if let Err(reason) = read {
        return reason;
    }
    if case.network.fragment == Fragment::Whole {
        let Transport { kind, ports: Ports { source_be, destination_be }, .. } = case.transport;
        if kind == Kind::Udp && F::is_dhcp_discovery(case.flow.peer, (source_be, destination_be)) {
            return Reason::Dhcp;
        }
        if kind == Kind::Discovery {
            return Reason::NeighborDiscovery;
        }
    }
    match F::scope(case.flow.peer) {
        Scope::Link => Reason::LinkLocal,
        Scope::Multicast | Scope::Unicast => Reason::ForeignSource,
    }
}

/// Whether an answer to this address would be read: it is a device, of this port or another.
#[inline(never)]
fn reaches_learner<F: Family, T: Tables>(tables: &T, context: &Context<'_>, destination: F::Address) -> bool {
    let flags = context.config.flags;
    if flags & config_flags::NAMES == 0 {
        return false;
    }
    let mut group = SubnetValue::default();
    // The trie tells nothing of other ports.
    flags & config_flags::SUBNETS_IN_TRIE != 0
        || subnet::find::<F, T>(tables, context, destination, &mut group) != Membership::Foreign
}

/// TCP. An allowed endpoint costs one look-up; the flow table is asked at the ends of a connection, and where policy no
/// longer knows the address.
#[inline(always)]
fn tcp<F: Family, T: Tables + FamilyTables<F>>(
    tables: &mut T,
    context: &Context<'_>,
    case: &mut Case<F>,
    flags: TcpFlags,
) -> Outcome {
    let peer = case.peer(case.flow.peer_port_be);
    let found = policy::outbound::<F, T>(tables, context, peer);
    if !found.is_denial() {
        if flags.opens() {
            return case.open(context, (FlowState::Opening, 0), found);
        }
        if flags.closes() && flows::find::<F, T>(tables, context, case) {
            let closed = case.state().closed();
            flows::refresh::<F, T>(tables, context, case, closed);
        }
        return found;
    }
    if flows::find::<F, T>(tables, context, case) && case.known.flags & flow_flags::AUDITED == 0 {
        let (state, inbound) = (case.state(), case.is_inbound());
        // A new connection asks policy; only a retransmitted SYN may lean on its flow.
        if !flags.opens() || (state == FlowState::Opening && !inbound) {
            let next = match (flags.closes(), inbound, state) {
                (true, _, state) => state.closed(),
                (false, true, FlowState::Opening) => FlowState::Established,
                (false, _, state) => state,
            };
            flows::refresh::<F, T>(tables, context, case, next);
            return Outcome::pass(Reason::Flow, case.known.rule);
        }
    }
    let denied = Outcome::deny(policy::denial::<F>(context, peer, found.reason));
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
