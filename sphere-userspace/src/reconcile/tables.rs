//! The contents of the kernel tables as ordered maps: what is desired, and what is installed.

use std::collections::BTreeMap;

use sphere_common::abi::{
    Cidr4Data, Cidr6Data, Config, Endpoint4Key, Endpoint6Key, EndpointValue, GroupLabel, NameKeyData, NameValue, Port,
    RuleLabel, SubnetKey, SubnetValue,
};

/// Key of a trie entry: the prefix length in bits (fixed part included, as the kernel counts) and the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrefixKey<D> {
    /// Bits of `data` that count.
    pub prefix_len: u32,
    /// The data, zero beyond the prefix.
    pub data: D,
}

/// Key of the subnet trie, with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubnetPrefix {
    /// Bits that count: 32 plus the length inside the 128-bit address.
    pub prefix_len: u32,
    /// Interface index, network byte order.
    pub ifindex_be: [u8; 4],
    /// Network address (IPv4 as `::ffff:a.b.c.d`).
    pub address: [u8; 16],
}

impl SubnetPrefix {
    /// The key as the kernel table has it.
    #[must_use]
    pub const fn key(&self) -> SubnetKey {
        SubnetKey { ifindex_be: self.ifindex_be, address: self.address }
    }
}

/// Contents of every table that the daemon writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `ENDPOINTS4`.
    pub endpoints4: BTreeMap<Endpoint4Key, EndpointValue>,
    /// `ENDPOINTS6`.
    pub endpoints6: BTreeMap<Endpoint6Key, EndpointValue>,
    /// `CIDRS4`.
    pub cidrs4: BTreeMap<PrefixKey<Cidr4Data>, EndpointValue>,
    /// `CIDRS6`.
    pub cidrs6: BTreeMap<PrefixKey<Cidr6Data>, EndpointValue>,
    /// `NAMES`.
    pub names: BTreeMap<PrefixKey<NameKeyData>, NameValue>,
    /// `PORTS`, by interface index.
    pub ports: BTreeMap<u32, Port>,
    /// `SUBNETS`.
    pub subnets: BTreeMap<SubnetPrefix, SubnetValue>,
    /// `CONFIG`, the slot in force. `clock_offset` and `seed` belong to the data plane: they are zero in what is
    /// desired, and are not compared.
    pub config: Config,
    /// `RULE_LABELS`, used entries only, by rule number.
    pub rule_labels: BTreeMap<u32, RuleLabel>,
    /// `GROUP_LABELS`, used entries only, by group number.
    pub group_labels: BTreeMap<u32, GroupLabel>,
}

/// What the kernel tables hold now, as `datapath` reads them.
pub type Installed = Tables;
