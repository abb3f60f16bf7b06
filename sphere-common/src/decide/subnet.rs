//! Which device subnet an address is in.

use super::Context;
use crate::abi::{SubnetKey, SubnetValue, config_flags};
use crate::family::Family;
use crate::tables::Tables;

/// What an address on a port is.
pub(super) enum Membership {
    /// In a device subnet of this port.
    Device(SubnetValue),
    /// In a device subnet of another port only.
    Elsewhere,
    /// In no device subnet.
    Foreign,
}

/// Looks an address up: the inline subnets first, the trie only when some are there.
#[inline(always)]
pub(super) fn find<F: Family, T: Tables>(tables: &T, context: &Context<'_>, address: F::Address) -> Membership {
    let (subnets, used) = F::subnets(context.config);
    let mut membership = Membership::Foreign;
    let mut index = 0;
    for subnet in subnets {
        if index >= used {
            break;
        }
        index += 1;
        if let Some((ifindex, group)) = F::subnet_match(subnet, address) {
            if ifindex == context.ifindex {
                return Membership::Device(group);
            }
            membership = Membership::Elsewhere;
        }
    }
    if context.config.flags & config_flags::SUBNETS_IN_TRIE != 0 {
        if let Some(group) = find_in_trie(tables, context.ifindex, &F::mapped(address)) {
            return Membership::Device(group);
        }
    }
    membership
}

#[inline(never)]
fn find_in_trie<T: Tables>(tables: &T, ifindex: u32, address: &[u8; 16]) -> Option<SubnetValue> {
    tables.subnet(&SubnetKey { ifindex_be: ifindex.to_be_bytes(), address: *address })
}

/// Whether the address is the broadcast address of a device subnet of this port (inline ones only: it decides just
/// whether a denial is worth a sample).
#[inline(always)]
pub(super) fn is_broadcast<F: Family>(context: &Context<'_>, address: F::Address) -> bool {
    let (subnets, used) = F::subnets(context.config);
    let mut index = 0;
    for subnet in subnets {
        if index < used && F::is_subnet_broadcast(subnet, address) {
            return true;
        }
        index += 1;
    }
    false
}
