//! Why a policy cannot be put into the tables. Found before the first entry is written.

use crate::{policy::DomainName, resolve::Family};

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// More exact endpoints than the table holds, counting one address for each name.
    #[error(
        "the policy needs {needed} {family} endpoints, and the table holds {capacity}: raise `endpoints` in [limits]"
    )]
    Endpoints {
        /// Whose table.
        family: Family,
        /// Entries needed.
        needed: usize,
        /// Entries there is room for.
        capacity: usize,
    },
    /// More prefix rules than the table holds.
    #[error("the policy needs {needed} {family} prefixes, and the table holds {capacity}: raise `cidrs` in [limits]")]
    Cidrs {
        /// Whose table.
        family: Family,
        /// Entries needed.
        needed: usize,
        /// Entries there is room for.
        capacity: usize,
    },
    /// More rules than there are numbers.
    #[error("the policy has {needed} rules, and there are numbers for {capacity}: raise `rules` in [limits]")]
    Rules {
        /// Rules of the policy.
        needed: usize,
        /// Numbers there are.
        capacity: usize,
    },
    /// Enough numbers for the new rules, but not while the old ones are still in force.
    #[error(
        "{new} rules are new and {free} rule numbers are free until old rules are gone: raise `rules` in [limits], or \
         change the policy in two steps"
    )]
    RulesAtOnce {
        /// Rules that are new.
        new: usize,
        /// Numbers that are free.
        free: usize,
    },
    /// More groups than there are numbers.
    #[error("the policy has {needed} groups, and a gateway holds {capacity}")]
    Groups {
        /// Groups of the policy.
        needed: usize,
        /// Numbers there are.
        capacity: usize,
    },
    /// Enough numbers for the new groups, but not while the old ones are still in force.
    #[error(
        "{new} groups are new and {free} group numbers are free until old groups are gone: change the policy in two steps"
    )]
    GroupsAtOnce {
        /// Groups that are new.
        new: usize,
        /// Numbers that are free.
        free: usize,
    },
    /// More device subnets than the tables hold.
    #[error("the policy has {needed} pairs of a subnet and an interface, and a gateway holds {capacity}")]
    Subnets {
        /// Pairs of a subnet and an interface.
        needed: usize,
        /// Pairs there is room for.
        capacity: usize,
    },
    /// More services than the entry of a name holds.
    #[error("rules open more than {capacity} services at `{name}`: use `tcp/*` or `udp/*`, or fewer ports")]
    Services {
        /// The name.
        name: DomainName,
        /// Services there is room for.
        capacity: usize,
    },
    /// More names than the table holds.
    #[error("the policy has {needed} names, and the table holds {capacity}: raise `rules` in [limits]")]
    Names {
        /// Names of the policy.
        needed: usize,
        /// Names there is room for.
        capacity: usize,
    },
    /// More device ports than the table holds.
    #[error("the policy names {needed} interfaces, and a gateway guards {capacity}")]
    Ports {
        /// Interfaces of the policy.
        needed: usize,
        /// Interfaces there is room for.
        capacity: usize,
    },
    /// More reserved prefixes than the configuration holds.
    #[error("the profiles reserve {needed} prefixes, and a gateway holds {capacity}")]
    Reserved {
        /// Reserved prefixes.
        needed: usize,
        /// Prefixes there is room for.
        capacity: usize,
    },
}
