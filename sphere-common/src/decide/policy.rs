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

/// What policy says.
pub(super) enum Permission {
    /// Allowed, by this rule.
    Allowed(Reason, EndpointValue),
    /// It was allowed until its lease ended.
    Expired,
    /// No rule knows it.
    Unknown,
}

/// Whether a device of the group may reach the peer: exact table, any port of the address, prefixes.
#[inline(always)]
pub(super) fn outbound<F: Family, T: Tables + FamilyTables<F>>(
    tables: &T,
    context: &Context<'_>,
    peer: Peer<F::Address>,
) -> Permission {
    let Peer { group, address, protocol, port_be } = peer;
    let mut expired = false;
    let exact = F::endpoint_key(group, address, protocol, port_be);
    if let Some(value) = FamilyTables::<F>::endpoint(tables, &exact) {
        if context.now < value.expires {
            return Permission::Allowed(Reason::Endpoint, value);
        }
        expired = true;
    }
    if context.config.flags & config_flags::WILDCARD_PORTS != 0 && port_be != 0 {
        let every_port = F::endpoint_key(group, address, protocol, 0);
        if let Some(value) = FamilyTables::<F>::endpoint(tables, &every_port) {
            if context.now < value.expires {
                return Permission::Allowed(Reason::Endpoint, value);
            }
            expired = true;
        }
    }
    match prefix::<F, T>(tables, context, peer) {
        Some(value) => Permission::Allowed(Reason::Cidr, value),
        None if expired => Permission::Expired,
        None => Permission::Unknown,
    }
}

/// The inbound rule that lets the peer open flows to a device's port.
#[inline(always)]
pub(super) fn inbound<F: Family, T: Tables + FamilyTables<F>>(
    tables: &T,
    context: &Context<'_>,
    peer: Peer<F::Address>,
) -> Option<EndpointValue> {
    prefix::<F, T>(tables, context, Peer { group: peer.group | INBOUND, ..peer })
}

#[inline(always)]
fn prefix<F: Family, T: Tables + FamilyTables<F>>(
    tables: &T,
    context: &Context<'_>,
    peer: Peer<F::Address>,
) -> Option<EndpointValue> {
    if context.config.flags & F::CIDR_FLAG == 0 {
        return None;
    }
    let Peer { group, address, protocol, port_be } = peer;
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

const DNS_BE: u16 = 53_u16.to_be();
const DNS_TLS_BE: u16 = 853_u16.to_be();

/// Why a destination that no rule allows is denied.
#[inline(always)]
pub(super) fn denial<F: Family>(context: &Context<'_>, peer: Peer<F::Address>, expired: bool) -> Reason {
    if expired {
        return Reason::Expired;
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
