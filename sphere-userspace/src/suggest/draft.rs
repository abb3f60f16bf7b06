//! Suggestions while evidence comes together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::evidence::Seen;
use super::suggestion::{Unsuggested, Why};
use crate::policy::{DomainName, GroupName, OptionValue, ProfileOption, Service, Target};

/// What a suggestion is about; the order is that in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Resolvers,
    /// Profile and option.
    Option(String, String),
    Allow(Target),
    AnyType(DomainName),
    Inbound(IpNet),
}

/// What is known of it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) seen: Seen,
    pub(super) services: BTreeSet<Service>,
    /// Where the ports are from, when nobody was seen to try them.
    pub(super) ports_from: Option<String>,
    /// Other names of the same addresses.
    pub(super) others: BTreeSet<String>,
    /// Whether an address is none of the public ones.
    pub(super) is_private: bool,
    /// Resolvers.
    pub(super) resolvers: BTreeSet<IpAddr>,
    /// Values of an option.
    pub(super) values: BTreeSet<OptionValue>,
}

impl Draft {
    pub(super) const fn new(seen: Seen) -> Self {
        Self {
            seen,
            services: BTreeSet::new(),
            ports_from: None,
            others: BTreeSet::new(),
            is_private: false,
            resolvers: BTreeSet::new(),
            values: BTreeSet::new(),
        }
    }

    fn add(&mut self, other: Self) {
        self.seen.add(&other.seen);
        self.services.extend(other.services);
        self.others.extend(other.others);
        self.is_private |= other.is_private;
        self.resolvers.extend(other.resolvers);
        self.values.extend(other.values);
    }
}

/// All of them, and what is not suggested.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) drafts: BTreeMap<(GroupName, Key), Draft>,
    not: BTreeMap<(String, &'static str, String), Unsuggested>,
}

impl Drafts {
    pub(super) fn add(&mut self, group: &GroupName, key: Key, draft: Draft) {
        match self.drafts.entry((group.clone(), key)) {
            std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(draft)),
            std::collections::btree_map::Entry::Occupied(mut there) => there.get_mut().add(draft),
        }
    }

    /// As an option of a profile.
    pub(super) fn add_option(&mut self, group: &GroupName, option: ProfileOption, draft: Draft) {
        let draft = Draft { values: [option.value].into(), services: BTreeSet::new(), ..draft };
        self.add(group, Key::Option(option.profile, option.option), draft);
    }

    pub(super) fn refuse(&mut self, group: &str, why: Why, seen: &Seen) {
        let key = (group.to_owned(), why.word(), format!("{why:?}"));
        let new = || Unsuggested { group: group.to_owned(), why, seen: seen.clone() };
        match self.not.entry(key) {
            std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(new())),
            std::collections::btree_map::Entry::Occupied(mut there) => there.get_mut().seen.add(seen),
        }
    }

    pub(super) fn unsuggested(self) -> Vec<Unsuggested> {
        self.not.into_values().collect()
    }
}
