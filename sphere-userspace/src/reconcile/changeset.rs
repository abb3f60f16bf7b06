//! The way from what is installed to what is desired, step by step and in an order that never cuts what stays.

use std::collections::BTreeSet;

use sphere_common::abi::{
    Cidr4Data, Cidr6Data, Config, Endpoint4Key, Endpoint6Key, EndpointValue, GroupLabel, NameKeyData, NameValue, Port,
    RuleLabel, SubnetValue, Ticks,
};

use super::tables::{PrefixKey, SubnetPrefix};

/// One write to one kernel table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Zero the counters of a rule number that begins a new life.
    ClearRuleCounter(u32),
    /// Write an entry of `RULE_LABELS`.
    PutRuleLabel(u32, Box<RuleLabel>),
    /// Write an entry of `GROUP_LABELS`.
    PutGroupLabel(u32, Box<GroupLabel>),
    /// Write an entry of `ENDPOINTS4`; a later end that the programs learned meanwhile stays.
    PutEndpoint4(Endpoint4Key, EndpointValue),
    /// Write an entry of `ENDPOINTS6`; a later end that the programs learned meanwhile stays.
    PutEndpoint6(Endpoint6Key, EndpointValue),
    /// Write an entry of `CIDRS4`.
    PutCidr4(PrefixKey<Cidr4Data>, EndpointValue),
    /// Write an entry of `CIDRS6`.
    PutCidr6(PrefixKey<Cidr6Data>, EndpointValue),
    /// Write an entry of `NAMES`.
    PutName(PrefixKey<NameKeyData>, Box<NameValue>),
    /// Write an entry of `SUBNETS`.
    PutSubnet(SubnetPrefix, SubnetValue),
    /// Write the configuration slot that is not in force, clock fields filled in, and switch to it.
    PutConfig(Box<Config>),
    /// Write an entry of `PORTS`.
    PutPort(u32, Port),
    /// Remove an entry of `PORTS`.
    RemovePort(u32),
    /// Remove an entry of `SUBNETS`.
    RemoveSubnet(SubnetPrefix),
    /// Remove an entry of `ENDPOINTS4` that had this end; what the programs learned meanwhile stays.
    RemoveEndpoint4(Endpoint4Key, Ticks),
    /// Remove an entry of `ENDPOINTS6` that had this end; what the programs learned meanwhile stays.
    RemoveEndpoint6(Endpoint6Key, Ticks),
    /// Remove an entry of `CIDRS4`.
    RemoveCidr4(PrefixKey<Cidr4Data>),
    /// Remove an entry of `CIDRS6`.
    RemoveCidr6(PrefixKey<Cidr6Data>),
    /// Remove an entry of `NAMES`.
    RemoveName(PrefixKey<NameKeyData>),
    /// Remove every flow that one of these rules allowed.
    CutFlows(BTreeSet<u32>),
    /// Zero an entry of `RULE_LABELS`: its number is free from now on.
    RemoveRuleLabel(u32),
    /// Zero an entry of `GROUP_LABELS`: its number is free from now on.
    RemoveGroupLabel(u32),
}

/// Steps from what is installed to what is desired, to be taken in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Changeset {
    /// The steps.
    pub steps: Vec<Step>,
    /// Rules that are no more; [`Step::CutFlows`] names them too.
    pub vanished_rules: BTreeSet<u32>,
    /// Entries that had to go before their successors came, for want of room to hold both. Zero in a table that is
    /// large enough; more than zero is worth a warning.
    pub early_removals: usize,
}

impl Changeset {
    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}
