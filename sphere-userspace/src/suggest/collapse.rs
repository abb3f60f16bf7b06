//! One rule in the place of several: names below one name, addresses of one prefix. Offered, never put in place: it opens
//! more than was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::suggestion::{Change, Suggestion, Wider};
use super::tenants;
use crate::policy::{DomainName, GroupName, NamePattern, Service, Target, is_like_a_registry};

/// Suggestions below which one rule is not offered.
const SIBLINGS: usize = 5;
/// Services of a rule about names beyond which the data plane has no room.
const SERVICES: usize = sphere_common::abi::MAX_SERVICES;
/// Prefixes that are offered.
const BITS_V4: u8 = 24;
const BITS_V6: u8 = 64;

/// What suggestions have in common.
#[derive(Default)]
struct Siblings {
    /// Labels of the name that all are below, the last first.
    shared: Option<Vec<String>>,
    services: BTreeSet<Service>,
    count: usize,
}

/// Rules that could take the place of several.
pub(super) fn wider(suggestions: &[Suggestion]) -> Vec<Wider> {
    let mut names: BTreeMap<(&GroupName, String), Siblings> = BTreeMap::new();
    let mut nets: BTreeMap<(&GroupName, IpNet), Siblings> = BTreeMap::new();
    for Suggestion { group, change, .. } in suggestions {
        let Change::Allow { target, services, .. } = change else { continue };
        let siblings = match target {
            Target::Name(NamePattern::Exact(name)) => {
                let Some(domain) = registrable(name) else { continue };
                let siblings = names.entry((group, domain)).or_default();
                siblings.share(name);
                siblings
            }
            Target::Address(address) => nets.entry((group, net(*address))).or_default(),
            Target::Name(NamePattern::Below(_)) | Target::Cidr(_) => continue,
        };
        siblings.services.extend(services);
        siblings.count += 1;
    }
    let of_names = names.into_iter().filter_map(|((group, _), siblings)| {
        let name = siblings.name()?;
        Some(siblings.wider(group, Target::Name(NamePattern::Below(name))))
    });
    let of_nets = nets.into_iter().map(|((group, net), siblings)| siblings.wider(group, Target::Cidr(net)));
    let is_worth = |wider: &Wider| wider.count >= SIBLINGS && (1..=SERVICES).contains(&wider.services.len());
    let mut all: Vec<Wider> = of_names.chain(of_nets).filter(is_worth).collect();
    all.sort_by(|a, b| (&a.group, &a.target).cmp(&(&b.group, &b.target)));
    all
}

impl Siblings {
    /// One more name, which goes on above its own first label.
    fn share(&mut self, name: &DomainName) {
        let labels = name.labels().skip(1).map(str::to_owned).collect::<Vec<_>>().into_iter().rev();
        self.shared = Some(match self.shared.take() {
            None => labels.collect(),
            Some(shared) => shared.into_iter().zip(labels).take_while(|(a, b)| a == b).map(|(a, _)| a).collect(),
        });
    }

    /// The name that all are below, if nobody else has names there.
    fn name(&self) -> Option<DomainName> {
        let labels: Vec<&str> = self.shared.as_ref()?.iter().rev().map(String::as_str).collect();
        let name = DomainName::parse(&labels.join(".")).ok()?;
        let is_own = labels.len() > 1 && !is_like_a_registry(&name) && !tenants::has_tenants_below(&name);
        is_own.then_some(name)
    }

    fn wider(&self, group: &GroupName, target: Target) -> Wider {
        Wider { group: group.clone(), target, services: self.services.clone(), count: self.count }
    }
}

/// The name that looks like one that somebody has registered; [`None`] when the name is no longer than that.
fn registrable(name: &DomainName) -> Option<String> {
    let labels: Vec<&str> = name.labels().collect();
    let last = |count: usize| labels.get(labels.len().checked_sub(count)?..).map(|labels| labels.join("."));
    let two = last(2)?;
    let is_registry = DomainName::parse(&two).is_ok_and(|two| is_like_a_registry(&two));
    let domain = if is_registry { last(3)? } else { two };
    (domain.len() < name.as_str().len()).then_some(domain)
}

fn net(address: IpAddr) -> IpNet {
    let bits = if address.is_ipv4() { BITS_V4 } else { BITS_V6 };
    IpNet::new(address, bits).map_or_else(|_too_long| IpNet::from(address), |net| net.trunc())
}
