//! Whether policy allows an endpoint.

use super::{Context, subnet};
use crate::abi::{EndpointValue, INBOUND, config_flags};
use crate::family::{Family, Scope};
use crate::packet::transport;
use crate::tables::{FamilyTables, Tables};
use crate::verdict::Reason;

/// A peer that a packet goes to or comes from.
#[derive(Clone, Copy)]
pub(super) struct Peer<A> {
    pub(super) group: u32,
    pub(super) address: A,
    pub(super) protocol: u8,
    pub(super) port_be: u16,
}

/// A reason, and the rule behind it when the reason is one to pass (else 0).
///
/// A plain pair rather than a `Result`: the compiler leaves the unused half of an enum undefined, and the verifier
/// refuses programs that so much as copy it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) reason: Reason,
    pub(crate) rule: u32,
}

impl Outcome {
    #[inline(always)]
    pub(super) const fn pass(reason: Reason, rule: u32) -> Self {
        Self { reason, rule }
    }

    #[inline(always)]
    pub(super) const fn deny(reason: Reason) -> Self {
        Self { reason, rule: 0 }
    }

    #[inline(always)]
    pub(super) const fn is_denial(self) -> bool {
        self.reason.is_denial()
    }
}

/// Whether a device of the group may reach the peer: exact table, any port of the address, prefixes. A denial is
/// [`Reason::Expired`] when a lease has ended, else [`Reason::Destination`]; [`denial`] says it more precisely.
#[inline(always)]
pub(super) fn outbound<F: Family, T: Tables + FamilyTables<F>>(
    tables: &T,
    context: &Context<'_>,
    peer: Peer<F::Address>,
) -> Outcome {
    let Peer { group, address, protocol, port_be } = peer;
    let mut expired = false;
    let exact = F::endpoint_key(group, address, protocol, port_be);
    if let Some(value) = FamilyTables::<F>::endpoint(tables, &exact) {
        if context.now < value.expires {
            return Outcome::pass(Reason::Endpoint, value.rule);
        }
        expired = true;
    }
    if context.config.flags & config_flags::WILDCARD_PORTS != 0 && port_be != 0 {
        let every_port = F::endpoint_key(group, address, protocol, 0);
        if let Some(value) = FamilyTables::<F>::endpoint(tables, &every_port) {
            if context.now < value.expires {
                return Outcome::pass(Reason::Endpoint, value.rule);
            }
            expired = true;
        }
    }
    if context.config.flags & F::CIDR_FLAG != 0
        && let Some(value) = prefix::<F, T>(tables, &peer)
    {
        return Outcome::pass(Reason::Cidr, value.rule);
    }
    Outcome::deny(if expired { Reason::Expired } else { Reason::Destination })
}

/// The inbound rule that lets the peer open flows to a device's port.
#[inline(always)]
pub(super) fn inbound<F: Family, T: Tables + FamilyTables<F>>(
    tables: &T,
    context: &Context<'_>,
    peer: Peer<F::Address>,
) -> Option<EndpointValue> {
    if context.config.flags & F::INBOUND_FLAG == 0 {
        return None;
    }
    prefix::<F, T>(tables, &Peer { group: peer.group | INBOUND, ..peer })
}

/// The longest prefix rule for the peer: at its port, at any port of its protocol, at all.
// A frame of its own: BPF programs have 512 bytes of stack in all.
#[inline(never)]
fn prefix<F: Family, T: Tables + FamilyTables<F>>(tables: &T, peer: &Peer<F::Address>) -> Option<EndpointValue> {
    let Peer { group, address, protocol, port_be } = *peer;
    if port_be != 0
        && let Some(value) = FamilyTables::<F>::cidr(tables, F::cidr_data(group, address, protocol, port_be))
    {
        return Some(value);
    }
    if let Some(value) = FamilyTables::<F>::cidr(tables, F::cidr_data(group, address, protocol, 0)) {
        return Some(value);
    }
    FamilyTables::<F>::cidr(tables, F::cidr_data(group, address, 0, 0))
}

pub(super) const DNS_BE: u16 = 53_u16.to_be();
const DNS_TLS_BE: u16 = 853_u16.to_be();

/// Why a destination that no rule allows is denied.
#[inline(always)]
pub(super) fn denial<F: Family>(context: &Context<'_>, peer: Peer<F::Address>, found: Reason) -> Reason {
    if found == Reason::Expired {
        return found;
    }
    match F::scope(peer.address) {
        Scope::Link => return Reason::LinkLocal,
        Scope::Multicast => return Reason::Multicast,
        Scope::Unicast if subnet::is_broadcast::<F>(context, peer.address) => return Reason::LinkLocal,
        Scope::Unicast => {}
    }
    match (peer.protocol, peer.port_be) {
        (transport::TCP | transport::UDP, DNS_BE) => Reason::Resolver,
        (transport::TCP | transport::UDP, DNS_TLS_BE) => Reason::EncryptedDns,
        (transport::TCP | transport::UDP, _) => Reason::Destination,
        (protocol, _) if protocol == F::ICMP => Reason::Icmp,
        _ => Reason::Protocol,
    }
}
