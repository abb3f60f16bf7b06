//! Keys of the tries as the kernel has them: the prefix length, then the data.

use sphere_common::abi::{Cidr4Data, Cidr6Data, NameKeyData, SubnetKey};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::reconcile::{PrefixKey, SubnetPrefix};

/// A key of `CIDRS4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Cidr4Key {
    /// Bits of `data` that count.
    pub prefix_len: u32,
    /// The data.
    pub data: Cidr4Data,
}

/// A key of `CIDRS6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Cidr6Key {
    /// Bits of `data` that count.
    pub prefix_len: u32,
    /// The data.
    pub data: Cidr6Data,
}

/// A key of `SUBNETS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SubnetTrieKey {
    /// Bits of `data` that count.
    pub prefix_len: u32,
    /// The data.
    pub data: SubnetKey,
}

/// A key of `NAMES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct NameKey {
    /// Bits of `data` that count.
    pub prefix_len: u32,
    /// The data.
    pub data: NameKeyData,
}

impl From<&PrefixKey<Cidr4Data>> for Cidr4Key {
    fn from(key: &PrefixKey<Cidr4Data>) -> Self {
        Self { prefix_len: key.prefix_len, data: key.data }
    }
}

impl From<&PrefixKey<Cidr6Data>> for Cidr6Key {
    fn from(key: &PrefixKey<Cidr6Data>) -> Self {
        Self { prefix_len: key.prefix_len, data: key.data }
    }
}

impl From<&PrefixKey<NameKeyData>> for NameKey {
    fn from(key: &PrefixKey<NameKeyData>) -> Self {
        Self { prefix_len: key.prefix_len, data: key.data }
    }
}

impl From<NameKey> for PrefixKey<NameKeyData> {
    fn from(key: NameKey) -> Self {
        Self { prefix_len: key.prefix_len, data: key.data }
    }
}

impl From<&SubnetPrefix> for SubnetTrieKey {
    fn from(key: &SubnetPrefix) -> Self {
        Self { prefix_len: key.prefix_len, data: key.key() }
    }
}

impl From<Cidr4Key> for PrefixKey<Cidr4Data> {
    fn from(key: Cidr4Key) -> Self {
        Self { prefix_len: key.prefix_len, data: key.data }
    }
}

impl From<Cidr6Key> for PrefixKey<Cidr6Data> {
    fn from(key: Cidr6Key) -> Self {
        Self { prefix_len: key.prefix_len, data: key.data }
    }
}

impl From<SubnetTrieKey> for SubnetPrefix {
    fn from(key: SubnetTrieKey) -> Self {
        Self { prefix_len: key.prefix_len, ifindex_be: key.data.ifindex_be, address: key.data.address }
    }
}
