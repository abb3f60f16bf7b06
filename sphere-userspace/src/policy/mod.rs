//! Policy files become a [`Policy`] whose fields cannot be wrong, or every error at once, each with its place.
//!
//! Place in the data flow: text → [`document`](self) (tables with spans, nothing hidden by the first error) → raw
//! fields → valid types → profiles expanded into rules → checks across groups → capacity. Nothing here touches the
//! network or the kernel. Invariant: what [`load()`] gives back can be compiled into tables without another check of
//! its meaning, and no input makes it panic.

mod across;
mod date;
mod diagnostic;
mod difference;
mod document;
mod excerpt;
mod file;
mod findings;
mod group;
mod group_file;
mod left_out;
mod load;
mod manifest_file;
mod metrics_file;
mod name;
mod port;
mod port_file;
mod profile;
mod profile_choice;
mod profile_file;
mod profile_hint;
mod profile_option;
mod profile_rules;
mod profile_source;
mod records;
mod records_file;
mod reserved;
mod room;
mod room_of_names;
mod rule_file;
mod schema;
mod service;
mod settings;
mod settings_file;
mod shadowed;
mod size;
mod sources;
mod step;
mod store_file;
mod suggest;
pub(crate) mod values;
mod wrap;

use std::collections::BTreeSet;

pub use diagnostic::{Diagnostic, Place, PolicyErrors, Severity, Source};
pub use difference::{Difference, GroupDifference, Permission, PermissionKind, Permissions, Setting, Standing};
pub(crate) use document::{Fields, Value as TomlValue};
pub use file::Texts;
pub(crate) use file::read_within;
pub(crate) use findings::{Findings, Located};
pub use group::{
    DnsPolicy, Group, GroupName, InboundRule, Mode, Need, Origin, Rule, Server, Target, Unlearned, UsedProfile,
};
use ipnet::Ipv4Net;
pub use load::{load, load_kept, load_with_texts, parse};
pub use name::{DomainName, NameError, NamePattern, is_at_or_below};
pub use port::{AttachMode, Interface, InterfaceName, OtherSources, unjudged_sources};
pub(crate) use profile_hint::{KnownEndpoint, OptionValue, ProfileOption, ShippedProfile};
pub use profile_rules::{ProfileRules, profile_rules};
pub use records::{HostPort, RecordFile, RecordSettings, SinkSettings, SinkTarget, TlsSettings};
pub use schema::schema;
pub use service::{PortMatch, Protocol, Service, ServiceError, protocol_text};
pub use settings::{DaemonSettings, FlowTimeouts, Limits, MetricsListen, ResolverSettings};
pub use step::{LeftOut, Step};
pub(crate) use suggest::nearest;
pub(crate) use values::is_like_a_registry;
pub use wrap::plain;
pub(crate) use wrap::{is_plain, wrap};

use crate::store::StoreSettings;

/// What the gateway is to enforce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The daemon's own settings.
    pub daemon: DaemonSettings,
    /// The daemon's own resolver, and how long answers hold.
    pub resolver: ResolverSettings,
    /// The account of denials on disk.
    pub store: StoreSettings,
    /// Records of denied packets, and where they go.
    pub records: RecordSettings,
    /// Where metrics are served; [`None`]: nowhere.
    pub metrics: Option<MetricsListen>,
    /// Room in the kernel tables.
    pub limits: Limits,
    /// Idle time-outs of flows.
    pub timeouts: FlowTimeouts,
    /// Every device port that a group names, by name.
    pub interfaces: Vec<Interface>,
    /// The groups, in the order of the file.
    pub groups: Vec<Group>,
    /// Prefixes that never appear on a device port, as source or as destination.
    pub reserved: BTreeSet<Ipv4Net>,
    /// What is worth a word to the operator.
    pub warnings: Vec<Diagnostic>,
}

impl Policy {
    /// The exact names that some rule allows: what polling asks for.
    #[must_use]
    pub fn names(&self) -> BTreeSet<DomainName> {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        rules
            .filter_map(|rule| match &rule.target {
                Target::Name(pattern) => pattern.exact().cloned(),
                Target::Address(_) | Target::Cidr(_) => None,
            })
            .collect()
    }
}
