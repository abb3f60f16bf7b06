//! What is suggested, and what is not and why.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use sphere_common::verdict::Reason;

use super::evidence::Seen;
use crate::policy::{DomainName, GroupName, Server, Service, Target};

/// A change of the policy that would allow something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `resolvers` of the group.
    Resolvers {
        /// Resolvers that were asked and are not approved.
        added: BTreeSet<IpAddr>,
        /// Those that the policy has; absent when no policy was given.
        there: Option<BTreeSet<Server>>,
    },
    /// An option of a profile that the group uses.
    Option {
        /// Name of the profile.
        profile: String,
        /// The option with its value, as a line of the policy.
        line: String,
        /// What for.
        about: String,
    },
    /// A `[[group.allow]]`.
    Allow {
        /// What may be reached.
        target: Target,
        /// Where; empty when no evidence tells the port.
        services: BTreeSet<Service>,
        /// Where the ports are from, when nobody was seen to try them.
        ports_from: Option<String>,
        /// Whether the name leads to private addresses.
        allow_private: bool,
    },
    /// `any_type` of the rule about a name.
    AnyType {
        /// The name.
        name: DomainName,
        /// The rule; absent when no policy was given.
        rule: Option<String>,
    },
    /// A `[[group.inbound]]`.
    Inbound {
        /// Who knocked.
        from: IpNet,
        /// At which ports of the device; empty when no record tells.
        services: BTreeSet<Service>,
    },
}

impl Change {
    /// Word for machines.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Resolvers { .. } => "resolvers",
            Self::Option { .. } => "option",
            Self::Allow { target: Target::Name(_), .. } => "host",
            Self::Allow { target: Target::Address(_), .. } => "address",
            Self::Allow { target: Target::Cidr(_), .. } => "cidr",
            Self::AnyType { .. } => "any-type",
            Self::Inbound { .. } => "inbound",
        }
    }

    /// What is not known and would have to be.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        match self {
            Self::Allow { services, .. } if services.is_empty() => {
                Some("the port: the query was denied, so the device never came to use one")
            }
            Self::Inbound { services, .. } if services.is_empty() => {
                Some("the device's port: the store does not keep it, and no record of --records tells it")
            }
            Self::Resolvers { .. }
            | Self::Option { .. }
            | Self::Allow { .. }
            | Self::AnyType { .. }
            | Self::Inbound { .. } => None,
        }
    }

    /// Whether it is a table of its own that can be pasted, and not a key of one that is there.
    #[must_use]
    pub const fn is_table(&self) -> bool {
        matches!(self, Self::Allow { .. } | Self::Inbound { .. })
    }
}

/// What to think of before a suggestion is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Other names lead to the same address: it opens for them too, and one of them may be what was meant.
    Shared(BTreeSet<String>),
    /// Names below this suffix belong to many tenants, who share addresses.
    ManyTenants {
        /// The suffix.
        suffix: &'static str,
        /// Whose service it is.
        service: &'static str,
    },
    /// Encrypted DNS gets round the names of the policy.
    EncryptedDns,
    /// No other device asked for it.
    OneDevice,
    /// The name leads to private addresses.
    Private,
    /// Devices of the group are to use a proxy, and this one does not.
    AroundProxy,
    /// It may be an HTTP proxy, for which the profile has an option.
    MaybeProxy {
        /// The profile.
        profile: String,
    },
    /// A shipped profile has this name among its endpoints.
    OfProfile(String),
}

impl Warning {
    /// Word for machines.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Shared(_) => "shared-address",
            Self::ManyTenants { .. } => "many-tenants",
            Self::EncryptedDns => "encrypted-dns",
            Self::OneDevice => "one-device",
            Self::Private => "private-address",
            Self::AroundProxy => "around-proxy",
            Self::MaybeProxy { .. } => "maybe-proxy",
            Self::OfProfile(_) => "of-profile",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared(names) => {
                let mut shown: Vec<&str> = names.iter().take(4).map(String::as_str).collect();
                let more = format!("{} more", names.len().saturating_sub(4));
                if names.len() > 4 {
                    shown.push(&more);
                }
                write!(formatter, "the address is shared, it opens for these names too: {}", shown.join(", "))
            }
            Self::ManyTenants { suffix, service } => {
                write!(formatter, "names below {suffix} share addresses ({service}): its other tenants open too")
            }
            Self::EncryptedDns => formatter.write_str("encrypted DNS: what it asks is hidden from the gateway"),
            Self::OneDevice => formatter.write_str("only one device tried: find out why the others do not"),
            Self::Private => formatter.write_str("the name leads to a private address"),
            Self::AroundProxy => formatter.write_str("the group has a proxy, and this goes around it"),
            Self::MaybeProxy { profile } => {
                write!(formatter, "if this is an HTTP proxy, set `proxy` in [group.{profile}] instead")
            }
            Self::OfProfile(profile) => {
                write!(formatter, "the profile `{profile}` has this name: `profiles` may be what is missing")
            }
        }
    }
}

/// A change, its evidence, and what to think of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The group.
    pub group: GroupName,
    /// The change.
    pub change: Change,
    /// The evidence.
    pub seen: Seen,
    /// What to think of.
    pub warnings: Vec<Warning>,
}

/// One rule that could take the place of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wider {
    /// The group.
    pub group: GroupName,
    /// What the rule would be about.
    pub target: Target,
    /// At which ports.
    pub services: BTreeSet<Service>,
    /// Suggestions in whose place it would be.
    pub count: usize,
}

/// Why something is not suggested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// No rule can, or none should, allow what is denied for this reason.
    NoRule(Reason),
    /// The rule of the policy that allows it now.
    Allowed(String),
    /// The store does not have the addresses.
    OtherDestinations,
    /// The store does not have the names that were asked for.
    NoNames,
    /// The frame names no other side, or its protocol is in no rule.
    NoTarget,
    /// No host has this address.
    NoHost(IpAddr),
    /// A name that no policy can have.
    NoName(String),
    /// The policy has no group of this name, or nothing can be called so.
    NoGroup,
    /// Answers to flows of the device that have ended.
    LateAnswers,
    /// So many ports at one target.
    ManyPorts(Target),
    /// A resolver among the devices.
    ResolverAmongDevices(IpAddr),
    /// Fewer packets or devices than asked for.
    TooFew,
    /// More suggestions than one group gets.
    TooMany,
}

impl Why {
    /// Word for machines.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NoRule(reason) => reason.word(),
            Self::Allowed(_) => "already-allowed",
            Self::OtherDestinations => "other-destinations",
            Self::NoNames => "names-not-known",
            Self::NoTarget => "no-target",
            Self::NoHost(_) => "no-host",
            Self::NoName(_) => "no-name",
            Self::NoGroup => "no-group",
            Self::LateAnswers => "late-answers",
            Self::ManyPorts(_) => "many-ports",
            Self::ResolverAmongDevices(_) => "resolver-among-devices",
            Self::TooFew => "too-few",
            Self::TooMany => "too-many",
        }
    }
}

/// What is not suggested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsuggested {
    /// Name of the group; empty when there is none.
    pub group: String,
    /// Why.
    pub why: Why,
    /// What was denied.
    pub seen: Seen,
}

/// All of it: suggestions by group, kind and target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// What is suggested.
    pub suggestions: Vec<Suggestion>,
    /// Rules that could take the place of several.
    pub wider: Vec<Wider>,
    /// What is not suggested.
    pub unsuggested: Vec<Unsuggested>,
}
