//! The rules while they grow: what several entries say of one target becomes one rule.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use sphere_common::abi::MAX_SERVICES;

use crate::import::{Imported, Sketch, Withheld};
use crate::policy::{InboundRule, Need, Origin, Rule, Service, Target, plain};

/// Entries that the comment of a rule names.
const MOST_NAMED: usize = 4;

/// Rules by what they are about.
#[derive(Default)]
pub(super) struct Draft {
    allow: Drafted<Target>,
    inbound: Drafted<IpNet>,
    withheld: Vec<Withheld>,
}

/// Rules of one kind, in the order of the file.
struct Drafted<T> {
    order: Vec<T>,
    by_target: BTreeMap<T, Written>,
}

impl<T> Default for Drafted<T> {
    fn default() -> Self {
        Self { order: Vec::new(), by_target: BTreeMap::new() }
    }
}

/// What entries say of one target.
struct Written {
    services: BTreeSet<Service>,
    names: Vec<String>,
    origin: Origin,
}

impl<T: Clone + Ord> Drafted<T> {
    fn add(&mut self, target: &T, services: &BTreeSet<Service>, (name, origin): (&str, Origin)) {
        let written = self.by_target.entry(target.clone()).or_insert_with(|| {
            self.order.push(target.clone());
            Written { services: BTreeSet::new(), names: Vec::new(), origin }
        });
        written.services.extend(services);
        if !written.names.iter().any(|there| there == name) {
            written.names.push(name.to_owned());
        }
    }

    fn into_rules(self) -> impl Iterator<Item = (T, Written)> {
        let mut by_target = self.by_target;
        self.order.into_iter().filter_map(move |target| by_target.remove_entry(&target))
    }

    fn services(&self) -> usize {
        self.by_target.values().map(|written| written.services.len()).sum()
    }
}

impl Written {
    /// Which entries the rule is made of.
    fn purpose(&self) -> String {
        let mut named: Vec<String> = self.names.iter().take(MOST_NAMED).map(|name| plain(name)).collect();
        if let Some(more) = self.names.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
            named.push(format!("{more} more"));
        }
        format!("MUD: {}", named.join(", "))
    }
}

impl Draft {
    /// Devices may open flows.
    pub(super) fn allow(&mut self, target: &Target, services: &BTreeSet<Service>, entry: (&str, Origin)) {
        self.allow.add(target, services, entry);
    }

    /// Flows may be opened to devices.
    pub(super) fn serve(&mut self, from: &IpNet, services: &BTreeSet<Service>, entry: (&str, Origin)) {
        self.inbound.add(from, services, entry);
    }

    /// A rule that somebody has to look at first.
    pub(super) fn withhold(&mut self, withheld: Withheld) {
        self.withheld.push(withheld);
    }

    /// Pairs of a target and a service.
    pub(super) fn size(&self) -> usize {
        self.allow.services() + self.inbound.services() + self.withheld.len()
    }

    /// What came of it. A name at which more opens than the kernel's table of names holds is withheld.
    pub(super) fn finish(self) -> Imported {
        let Self { allow, inbound, mut withheld } = self;
        let mut imported = Imported::default();
        for (target, written) in allow.into_rules() {
            let purpose = Some(written.purpose());
            let Written { services, origin, .. } = written;
            if matches!(target, Target::Name(_)) && services.len() > MAX_SERVICES {
                let why = format!("{} services at one name, and the data plane holds {MAX_SERVICES}", services.len());
                let remedy = "Use `tcp/*` or `udp/*`, or fewer ports".to_owned();
                withheld.push(Withheld { sketch: Sketch::Allow(Some(target)), services, why, remedy, origin });
                continue;
            }
            imported.rules.push(Rule {
                target,
                services,
                origin,
                purpose,
                allow_private: false,
                any_type: false,
                need: Need::Required,
                step: None,
            });
        }
        imported.inbound.extend(inbound.into_rules().map(|(from, written)| {
            let purpose = Some(written.purpose());
            InboundRule { from, services: written.services, origin: written.origin, purpose }
        }));
        imported.withheld = withheld;
        imported
    }
}
