//! Groups of devices and the rules they live by: the heart of a [`super::Policy`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    time::Duration,
};

use ipnet::IpNet;

use super::{
    name::NamePattern,
    port::InterfaceName,
    service::Service,
    step::{LeftOut, Step},
};

/// Name of a group: 1 to 55 bytes of letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(String);

impl GroupName {
    /// Longest group name in bytes: what a label in the kernel holds.
    pub const MAX_BYTES: usize = 55;

    /// Reads a group name; [`None`] when it is empty, too long or holds other characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= Self::MAX_BYTES;
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        (fits && plain).then(|| Self(text.to_owned()))
    }

    /// Stands in for a name that was refused, so that the rest of its group is checked too. No policy holds it.
    pub(super) const fn unknown() -> Self {
        Self(String::new())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// What happens to a packet that no rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is dropped.
    Enforce,
    /// It goes on, and is recorded.
    Audit,
}

impl Mode {
    /// Word in policies and tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        }
    }
}

/// What happens to a DNS query for a name that no rule of the group allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DnsPolicy {
    /// It is answered REFUSED, and the resolver does not see it.
    #[default]
    Refuse,
    /// It is dropped.
    Drop,
    /// It goes to the resolver: devices may ask for any name.
    Any,
}

impl DnsPolicy {
    /// Word in policies and tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Drop => "drop",
            Self::Any => "any",
        }
    }
}

/// What becomes of an answer that was held, and not learned in time or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unlearned {
    /// The device gets it.
    #[default]
    Deliver,
    /// It is dropped: the device asks again.
    Drop,
}

impl Unlearned {
    /// Word in policies and tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Drop => "drop",
        }
    }
}

/// A server that devices may use: an address, or the gateway itself on the group's interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Server {
    /// The gateway's own addresses on the interfaces of the group.
    Gateway,
    /// One address.
    Address(IpAddr),
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => formatter.pad("gateway"),
            Self::Address(address) => formatter.pad(&address.to_string()),
        }
    }
}

/// What a rule allows a device to reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Whatever a name resolves to.
    Name(NamePattern),
    /// One address.
    Address(IpAddr),
    /// Every address of a prefix.
    Cidr(IpNet),
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(pattern) => pattern.fmt(formatter),
            Self::Address(address) => formatter.pad(&address.to_string()),
            Self::Cidr(prefix) => formatter.pad(&prefix.to_string()),
        }
    }
}

/// Where a rule was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A line of a policy file.
    File {
        /// The file, as it was named.
        path: String,
        /// Line, from 1.
        line: usize,
    },
    /// A row of a profile.
    Profile {
        /// Name of the profile.
        profile: String,
        /// Row, from 1, in the order of the profile file.
        row: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => formatter.pad(&format!("{path}:{line}")),
            Self::Profile { profile, row } => formatter.pad(&format!("{profile}:{row}")),
        }
    }
}

/// Whether devices can do without what a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// Devices fail without it.
    Required,
    /// Some feature uses it.
    Optional,
}

impl Need {
    /// Word in profiles and tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
        }
    }
}

/// One thing that the devices of a group may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What may be reached.
    pub target: Target,
    /// At which protocols and ports; never empty.
    pub services: BTreeSet<Service>,
    /// Where the rule was written.
    pub origin: Origin,
    /// Why, in the words of the operator or the profile.
    pub purpose: Option<String>,
    /// Whether answers in special-purpose ranges count.
    pub allow_private: bool,
    /// Whether devices may ask for any record type of the name, not only for addresses.
    pub any_type: bool,
    /// Whether devices can do without.
    pub need: Need,
    /// The step of the boot chain that it belongs to.
    pub step: Option<Step>,
}

/// Who may open flows to the devices of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundRule {
    /// Where the flows come from.
    pub from: IpNet,
    /// Protocols and ports of the *device*; never empty.
    pub services: BTreeSet<Service>,
    /// Where the rule was written.
    pub origin: Origin,
    /// Why, in the words of the operator.
    pub purpose: Option<String>,
}

/// A profile that a group uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedProfile {
    /// Its version.
    pub version: String,
    /// Until when it is valid with the options that were chosen: `2031-07-31`.
    pub valid_until: String,
}

/// A set of device subnets with one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, unique in the policy.
    pub name: GroupName,
    /// What happens to what no rule allows.
    pub mode: Mode,
    /// Ports its devices are behind; never empty.
    pub interfaces: BTreeSet<InterfaceName>,
    /// Subnets of its devices; never empty, no two overlap on one interface.
    pub subnets: BTreeSet<IpNet>,
    /// DNS servers its devices may ask.
    pub resolvers: BTreeSet<Server>,
    /// What happens to queries for names that no rule allows.
    pub dns: DnsPolicy,
    /// How long an answer may wait for the daemon when the programs cannot judge it; [`None`]: not at all.
    pub dns_hold: Option<Duration>,
    /// What becomes of an answer that waited in vain.
    pub dns_unlearned: Unlearned,
    /// Addresses that its devices may learn from answers.
    pub learn: u32,
    /// DHCP servers its devices may renew with.
    pub dhcp_servers: BTreeSet<Server>,
    /// Whether the gateway itself may open flows to the devices.
    pub gateway_access: bool,
    /// What its devices may reach.
    pub rules: Vec<Rule>,
    /// Who may open flows to its devices.
    pub inbound: Vec<InboundRule>,
    /// Endpoints of its profiles that the policy leaves out, as far as they belong to a step of the boot chain.
    pub left_out: Vec<LeftOut>,
    /// Profiles that it uses, by name.
    pub profiles: BTreeMap<String, UsedProfile>,
}

impl Group {
    /// Addresses that the devices of a group may learn when the policy does not say.
    pub const DEFAULT_LEARN: u32 = 16_384;
}
