//! ICMP errors: the packet quoted in them decides. It must belong to a flow or come from what the device may
//! send to, and the error go to where it came from (RFC 792, RFC 4443 section 2.2): else errors would carry anything
//! anywhere.

use super::case::Case;
use super::policy::{self, Outcome};
use super::{Context, flows};
use crate::abi::{flow_flags, flow_kind};
use crate::classify::QUOTE_OFFSET;
use crate::family::Family;
use crate::packet::transport::{self, TCP, UDP};
use crate::packet::{Fragment, Packet};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::{Direction, Reason};

/// Passes an error about a packet of a flow that is allowed. The quoted packet must have been the device's own.
#[inline(always)]
pub(super) fn judge<F: Family, P: Packet, T: Tables + FamilyTables<F>>(
    (packet, tables): (&P, &mut T),
    context: &Context<'_>,
    case: &mut Case<F>,
    direction: Direction,
) -> Outcome {
    let denied = Outcome::deny(Reason::Icmp);
    let from_device = matches!(direction, Direction::Ingress);
    if from_device && case.network.payload_bytes > F::ERROR_BYTES {
        return denied;
    }
    let at = case.network.payload() + QUOTE_OFFSET;
    if !set_quoted_flow::<F, P>(packet, at, direction, case) {
        return denied;
    }
    // What passed in audit mode only counts for nothing else; while it lasts, errors come back as replies do.
    if flows::find::<F, T>(tables, context, case)
        && (case.known.flags & flow_flags::AUDITED == 0 || (!from_device && case.group.enforce == 0))
    {
        return Outcome::pass(Reason::Related, case.known.rule);
    }
    // What the device may send datagrams to, it may also send errors to: about a lease that its DHCP server offered, say.
    if from_device && matches!(case.flow.protocol, TCP | UDP) {
        let found = policy::outbound::<F, T>(tables, context, case.peer(case.flow.peer_port_be));
        if !found.is_denial() {
            return Outcome::pass(Reason::Related, found.rule);
        }
    }
    denied
}

/// Finds the flow that the packet quoted at `at` belongs to. An error from a device is about a packet that it received,
/// one to a device about a packet that it sent. Where it fails, the flow is that of the outer packet.
#[inline(always)]
fn set_quoted_flow<F: Family, P: Packet>(packet: &P, at: usize, direction: Direction, case: &mut Case<F>) -> bool {
    let outer = case.network;
    let Ok((source, destination)) = F::addresses(packet, at) else {
        return false;
    };
    let (own, peer) = match direction {
        Direction::Ingress => (destination, source),
        Direction::Egress => (source, destination),
    };
    // From a device, the packet goes to the peer that sent the quoted one; to a device any router on the way may speak.
    let astray = matches!(direction, Direction::Ingress) && peer != case.flow.peer;
    if own != case.flow.device || astray || F::quoted(packet, at, &mut case.network).is_err() {
        case.network = outer;
        return false;
    }
    let quoted = case.network;
    case.network = outer;
    let found = if matches!(quoted.fragment, Fragment::Later { .. }) {
        None
    } else if matches!(quoted.protocol, TCP | UDP) {
        transport::ports(packet, quoted.payload()).map(|ports| (ports.source_be, ports.destination_be))
    } else if quoted.protocol == F::ICMP {
        // An echo has no ports; its identifier stands for both.
        packet.u16_be(quoted.payload() + 4).map(|identifier_be| (identifier_be, identifier_be))
    } else {
        None
    };
    let Some((source_port_be, destination_port_be)) = found else {
        return false;
    };
    let ports = match direction {
        Direction::Ingress => (destination_port_be, source_port_be),
        Direction::Egress => (source_port_be, destination_port_be),
    };
    case.flow.peer = peer;
    case.set_flow(quoted.protocol, ports, flow_kind::TRANSPORT);
    true
}
