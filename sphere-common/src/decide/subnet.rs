//! Which device subnet an address is in.

use super::Context;
use crate::abi::{SubnetKey, SubnetValue, config_flags};
use crate::family::Family;
use crate::tables::Tables;

/// What an address on a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Membership {
    /// In a device subnet of this port.
    Device,
    /// In a device subnet of another port only.
    Elsewhere,
    /// In no device subnet.
    Foreign,
}

/// Looks an address up, the inline subnets first, the trie only when some are there, and notes the group.
// A function of its own: behind it the verifier sees three ways instead of one for each subnet.
#[inline(never)]
pub(super) fn find<F: Family, T: Tables>(
    tables: &T,
    context: &Context<'_>,
    address: F::Address,
    group: &mut SubnetValue,
) -> Membership {
    let (subnets, used) = F::subnets(context.config);
    let mut membership = Membership::Foreign;
    let mut index = 0;
    while let Some(subnet) = subnets.get(index)
        && index < used as usize
    {
        index += 1;
        if let Some((ifindex, found)) = F::subnet_match(subnet, address) {
            if ifindex == context.ifindex {
                *group = found;
                return Membership::Device;
            }
            membership = Membership::Elsewhere;
        }
    }
    if context.config.flags & config_flags::SUBNETS_IN_TRIE != 0
        && find_in_trie(tables, context.ifindex, &F::mapped(address), group)
    {
        return Membership::Device;
    }
    membership
}

#[inline(never)]
fn find_in_trie<T: Tables>(tables: &T, ifindex: u32, address: &[u64; 2], group: &mut SubnetValue) -> bool {
    let key = SubnetKey { ifindex_be: ifindex.to_be_bytes(), address: zerocopy::transmute!(*address) };
    match tables.subnet(&key) {
        Some(found) => {
            *group = found;
            true
        }
        None => false,
    }
}

/// Whether the address is the broadcast address of a device subnet of this port (inline ones only: it decides just
/// whether a denial is worth a sample).
#[inline(never)]
pub(super) fn is_broadcast<F: Family>(context: &Context<'_>, address: F::Address) -> bool {
    let (subnets, used) = F::subnets(context.config);
    let mut index = 0;
    while let Some(subnet) = subnets.get(index)
        && index < used as usize
    {
        if F::is_subnet_broadcast(subnet, address) {
            return true;
        }
        index += 1;
    }
    false
}
