//! What only the running gateway knows, as plain values, so that everything else here stays pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::policy::InterfaceName;

/// One interface as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceFacts {
    /// The kernel's index.
    pub ifindex: u32,
    /// The gateway's addresses on it, link-local ones included.
    pub addresses: BTreeSet<IpAddr>,
}

/// The gateway as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayFacts {
    /// Every interface that exists, device port or not. One that the policy names and that is absent here is left
    /// out of the tables until it comes back.
    pub interfaces: BTreeMap<InterfaceName, InterfaceFacts>,
}

impl GatewayFacts {
    /// Every address of the gateway.
    pub fn own_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.interfaces.values().flat_map(|interface| interface.addresses.iter().copied())
    }
}
