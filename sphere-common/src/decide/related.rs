//! ICMP errors: the packet quoted in them decides.

use super::{Context, flows, policy};
use crate::abi::flow_kind;
use crate::classify::QUOTE_OFFSET;
use crate::family::{Family, Flow};
use crate::packet::transport::{self, TCP, UDP};
use crate::packet::{Fragment, Network, Packet};
use crate::tables::{FamilyTables, Tables};
use crate::verdict::Direction;
use policy::{Peer, Permission};

/// Whether the error is about a packet of a flow that is allowed. `device` is where the error comes from or goes to:
/// the quoted packet must have been its own.
#[inline(always)]
pub(super) fn is_about_allowed_flow<F: Family, P: Packet + ?Sized, T: Tables + FamilyTables<F>>(
    (packet, tables): (&P, &T),
    context: &Context<'_>,
    network: &Network,
    (direction, device, group): (Direction, F::Address, u32),
) -> bool {
    let at = network.payload + QUOTE_OFFSET;
    let Ok((source, destination)) = F::addresses(packet, at) else {
        return false;
    };
    let Ok(quoted) = F::quoted(packet, at) else {
        return false;
    };
    if matches!(quoted.fragment, Fragment::Later { .. }) {
        return false;
    }
    // An error from a device is about a packet that it received, one to a device about a packet that it sent.
    let (own, peer) = match direction {
        Direction::Ingress => (destination, source),
        Direction::Egress => (source, destination),
    };
    if own != device {
        return false;
    }
    let Some((device_port_be, peer_port_be)) = ports::<F, P>(packet, &quoted, direction) else {
        return false;
    };
    let protocol = quoted.protocol;
    let flow = Flow { device, peer, device_port_be, peer_port_be, protocol, kind: flow_kind::TRANSPORT };
    if flows::alive::<F, T>(tables, context, flow).is_some() {
        return true;
    }
    let is_transport = matches!(protocol, TCP | UDP);
    let peer = Peer { group, address: peer, protocol, port_be: peer_port_be };
    is_transport && matches!(policy::outbound::<F, T>(tables, context, peer), Permission::Allowed(..))
}

/// Port of the device and of the peer in the quoted packet; for an echo both are its identifier.
#[inline(always)]
fn ports<F: Family, P: Packet + ?Sized>(
    packet: &P,
    quoted: &Network,
    direction: Direction,
) -> Option<(u16, u16)> {
    if matches!(quoted.protocol, TCP | UDP) {
        let ports = transport::ports(packet, quoted.payload)?;
        return Some(match direction {
            Direction::Ingress => (ports.destination_be, ports.source_be),
            Direction::Egress => (ports.source_be, ports.destination_be),
        });
    }
    if quoted.protocol == F::ICMP {
        let identifier_be = packet.u16_be(quoted.payload + 4)?;
        return Some((identifier_be, identifier_be));
    }
    None
}
