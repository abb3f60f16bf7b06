//! From evidence to suggestions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use sphere_common::verdict::Reason;

use super::collapse;
use super::draft::{Draft, Drafts, Key};
use super::evidence::{Asked, Evidence, Flow, Reached};
use super::fit::{self, Ask};
use super::known::{self, Known};
use super::names::{self, Popular};
use super::suggestion::{Suggestions, Why};
use crate::policy::{Group, GroupName, NamePattern, Policy, Service, Target};
use crate::resolve::Special;

/// Ports below are those of servers: nobody opens a flow from them (RFC 6335 section 6).
const SYSTEM_PORTS: u16 = 1024;
/// Ports from here on are taken for flows that a host opens, on most systems.
const EPHEMERAL_PORTS: u16 = 32_768;

/// What a suggestion has to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Packets.
    pub packets: u64,
    /// Devices.
    pub devices: usize,
}

/// What a group is called, and what the policy has of it.
type Place<'a> = (&'a GroupName, Option<&'a Group>);

/// Suggests what would allow what was denied, and tells what it does not suggest.
#[must_use]
pub fn suggest(evidence: &Evidence, policy: Option<&Policy>, bounds: Bounds) -> Suggestions {
    let known = Known::new(policy);
    let mut gathering = Gathering {
        known: &known,
        popular: Popular::new(&evidence.flows),
        reached: &evidence.reached,
        drafts: Drafts::default(),
    };
    // Devices whose denied queries records tell of.
    let asked: BTreeSet<(&str, &IpAddr)> = evidence
        .asked
        .iter()
        .flat_map(|asked| asked.seen.devices.iter().map(|device| (asked.group.as_str(), device)))
        .collect();
    for flow in &evidence.flows {
        let is_query = matches!(flow.reason, Reason::QueryName | Reason::QueryType);
        let is_told = flow.device.is_some_and(|device| asked.contains(&(flow.group.as_str(), &device)));
        if !(is_query && is_told) {
            gathering.flow(flow);
        }
    }
    evidence.asked.iter().for_each(|asked| gathering.asked(asked));
    gathering.ports_of_names();
    let suggestions = gathering.drafts.finish(&known, bounds);
    Suggestions { wider: collapse::wider(&suggestions.suggestions), ..suggestions }
}

struct Gathering<'a> {
    known: &'a Known<'a>,
    popular: Popular<'a>,
    reached: &'a BTreeSet<Reached>,
    drafts: Drafts,
}

impl Gathering<'_> {
    fn flow(&mut self, flow: &Flow) {
        if let Err(why) = self.take(flow) {
            self.drafts.refuse(&flow.group, why, &flow.seen);
        }
    }

    fn take(&mut self, flow: &Flow) -> Result<(), Why> {
        // What no rule allows is told as that, also when the frame belongs to no group.
        let ask = fit::ask(flow)?;
        let (name, group) = self.known.group(&flow.group)?;
        if flow.peer.is_some_and(|peer| self.known.is_reserved(peer)) {
            return Err(Why::NoRule(Reason::Reserved));
        }
        match ask {
            Ask::Reach(address, service) => self.reach(flow, (&name, group), (address, service)),
            Ask::Resolver(address) => self.resolver(flow, (&name, group), address),
            Ask::Knock(from, other_side) => self.knock(flow, (&name, group), (from, other_side)),
            Ask::Ping(from, service) => self.inbound(flow, (&name, group), (from, [service].into())),
        }
    }

    fn reach(&mut self, flow: &Flow, (name, group): Place<'_>, to: (IpAddr, Service)) -> Result<(), Why> {
        let (address, service) = to;
        if let Some(rule) = group.and_then(|group| known::reaches(group, &names::known_names(flow), to)) {
            return Err(Why::Allowed(rule));
        }
        let host = self.popular.choose(flow, service, group);
        let others = host.as_ref().map(|host| names::others(flow, host)).unwrap_or_default();
        let is_private = host.is_some() && Special::of(address).is_some();
        let target = host.map_or(Target::Address(address), |host| Target::Name(NamePattern::Exact(host)));
        let draft = Draft { services: [service].into(), others, is_private, ..Draft::new(flow.seen.clone()) };
        match self.known.option(group, &target, Some(service)) {
            Some(option) => self.drafts.add_option(name, option, draft),
            None => self.drafts.add(name, Key::Allow(target), draft),
        }
        Ok(())
    }

    fn resolver(&mut self, flow: &Flow, (name, group): Place<'_>, address: IpAddr) -> Result<(), Why> {
        if group.is_some_and(|group| known::is_resolver(group, address)) {
            return Err(Why::Allowed(format!("resolvers of the group `{name}`")));
        }
        if self.known.is_device(address) {
            return Err(Why::ResolverAmongDevices(address));
        }
        let draft = Draft { resolvers: [address].into(), ..Draft::new(flow.seen.clone()) };
        self.drafts.add(name, Key::Resolvers, draft);
        Ok(())
    }

    /// Somebody sent to a port of the device, which is in records only.
    fn knock(
        &mut self,
        flow: &Flow,
        place: Place<'_>,
        (from, (protocol, peer_port)): (IpAddr, (u8, u16)),
    ) -> Result<(), Why> {
        let device = flow.device.ok_or(Why::NoTarget)?;
        let least = Reached { device, peer: from, protocol, port: 0, peer_port: 0 };
        let most = Reached { port: u16::MAX, peer_port: u16::MAX, ..least };
        let reached = self.reached.range(least..=most).filter(|reached| reached.peer_port == peer_port);
        let ports: BTreeSet<u16> = reached.map(|reached| reached.port).filter(|port| *port > 0).collect();
        let is_answer = |port: &u16| *port >= EPHEMERAL_PORTS && peer_port < EPHEMERAL_PORTS;
        let is_late = if ports.is_empty() { peer_port < SYSTEM_PORTS } else { ports.iter().all(is_answer) };
        if is_late {
            return Err(Why::LateAnswers);
        }
        let word = if protocol == 6 { "tcp" } else { "udp" };
        let ports = ports.iter().filter(|port| !is_answer(port));
        let services: BTreeSet<Service> = ports.filter_map(|port| format!("{word}/{port}").parse().ok()).collect();
        self.inbound(flow, place, (from, services))
    }

    fn inbound(
        &mut self,
        flow: &Flow,
        (name, group): Place<'_>,
        (from, mut services): (IpAddr, BTreeSet<Service>),
    ) -> Result<(), Why> {
        let from = IpNet::from(from);
        let is_known = !services.is_empty();
        let mut allowed = None;
        services.retain(|service| {
            let rule = group.and_then(|group| known::knocks(group, from, *service));
            let is_new = rule.is_none();
            allowed = rule.or(allowed.take());
            is_new
        });
        if let (true, true, Some(rule)) = (is_known, services.is_empty(), allowed) {
            return Err(Why::Allowed(rule));
        }
        self.drafts.add(name, Key::Inbound(from), Draft { services, ..Draft::new(flow.seen.clone()) });
        Ok(())
    }

    fn asked(&mut self, asked: &Asked) {
        if let Err(why) = self.take_asked(asked) {
            self.drafts.refuse(&asked.group, why, &asked.seen);
        }
    }

    fn take_asked(&mut self, asked: &Asked) -> Result<(), Why> {
        let (name, group) = self.known.group(&asked.group)?;
        let host = names::usable(&asked.name).ok_or_else(|| Why::NoName(asked.name.clone()))?;
        let draft = Draft::new(asked.seen.clone());
        if asked.reason == Reason::QueryType {
            if let Some(rule) = group.and_then(|group| known::rule_about(group, &host)).filter(|rule| rule.any_type) {
                return Err(Why::Allowed(rule.origin.to_string()));
            }
            self.drafts.add(&name, Key::AnyType(host), draft);
            return Ok(());
        }
        if let Some(rule) = group.and_then(|group| known::asks(group, &host)) {
            return Err(Why::Allowed(rule));
        }
        let target = Target::Name(NamePattern::Exact(host));
        match self.known.option(group, &target, None) {
            Some(option) => self.drafts.add_option(&name, option, draft),
            None => self.drafts.add(&name, Key::Allow(target), draft),
        }
        Ok(())
    }

    /// Looks for ports of names that were asked for only.
    fn ports_of_names(&mut self) {
        let tried = self.drafts.drafts.iter().filter(|(_, draft)| !draft.services.is_empty());
        let tried: BTreeMap<Target, (BTreeSet<Service>, GroupName)> = tried
            .filter_map(|((group, key), draft)| match key {
                Key::Allow(target) => Some((target.clone(), (draft.services.clone(), group.clone()))),
                Key::Resolvers | Key::Option(..) | Key::AnyType(_) | Key::Inbound(_) => None,
            })
            .collect();
        for ((_, key), draft) in &mut self.drafts.drafts {
            let Key::Allow(target @ Target::Name(NamePattern::Exact(name))) = key else { continue };
            if !draft.services.is_empty() {
                continue;
            }
            let of_group = tried.get(target);
            let of_group =
                of_group.map(|(services, group)| (services.clone(), format!("denials of the group `{group}`")));
            if let Some((services, from)) = of_group.or_else(|| self.known.ports_elsewhere(name)) {
                draft.services = services;
                draft.ports_from = Some(from);
            }
        }
    }
}
