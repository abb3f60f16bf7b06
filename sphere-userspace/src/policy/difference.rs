//! What one policy lets pass that another does not: per group, and as a whole.
//!
//! What newly passes is every permission of the new policy that no permission of the old one has in it, whatever rule it
//! stands in; what newly fails is the reverse. A name and an address are never compared: what names lead to is not known
//! here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::group::{Group, InboundRule, Rule, Server, Target};
use super::name::{NamePattern, is_at_or_below};
use super::port::Interface;
use super::service::Service;
use super::settings::{FlowTimeouts, ResolverSettings};
use super::{Mode, Policy};

/// What differs between two policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Groups in which something differs, by name.
    pub groups: Vec<GroupDifference>,
    /// What differs beside the groups.
    pub settings: Vec<Setting>,
}

/// What differs in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDifference {
    /// Its name.
    pub group: String,
    /// Whether both policies have it.
    pub standing: Standing,
    /// What the new policy lets pass and the old one does not.
    pub newly_passes: Permissions,
    /// What the old policy lets pass and the new one does not.
    pub newly_fails: Permissions,
    /// What else differs.
    pub settings: Vec<Setting>,
}

/// Permissions in order, or the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// How many there are.
    pub in_all: usize,
    /// They, or the first of them.
    pub first: Vec<Permission>,
}

impl From<BTreeSet<Permission>> for Permissions {
    fn from(permissions: BTreeSet<Permission>) -> Self {
        Self { in_all: permissions.len(), first: permissions.into_iter().collect() }
    }
}

/// Which policies have a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The new one only.
    New,
    /// The old one only.
    Gone,
    /// Both.
    Changed,
}

/// One thing that passes: a target and a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Permission {
    /// What kind of permission it is.
    pub kind: PermissionKind,
    /// Name, address or prefix.
    pub target: String,
    /// `tcp/443`, and what else the rule says.
    pub service: String,
    /// Where it is written.
    pub origin: String,
}

/// What kind of permission it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionKind {
    /// Devices may ask this resolver.
    Resolver,
    /// Devices may use this DHCP server.
    Dhcp,
    /// Devices may reach this.
    To,
    /// Devices may be reached from this.
    From,
}

impl PermissionKind {
    /// Its word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Resolver => "resolver",
            Self::Dhcp => "dhcp",
            Self::To => "to",
            Self::From => "from",
        }
    }
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its key in the policy.
    pub key: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

impl Difference {
    /// Compares two policies.
    #[must_use]
    pub fn between(old: &Policy, new: &Policy) -> Self {
        fn by_name(policy: &Policy) -> BTreeMap<&str, &Group> {
            policy.groups.iter().map(|group| (group.name.as_str(), group)).collect()
        }
        let (there, wanted) = (by_name(old), by_name(new));
        let names: BTreeSet<&str> = there.keys().chain(wanted.keys()).copied().collect();
        let groups =
            names.into_iter().filter_map(|name| of_group(name, there.get(name).copied(), wanted.get(name).copied()));
        Self { groups: groups.collect(), settings: of_gateway(old, new) }
    }

    /// Leaves no more than so many permissions of each kind in each group; how many there are stays.
    #[must_use]
    pub fn shortened(mut self, most: usize) -> Self {
        for group in &mut self.groups {
            group.newly_passes.first.truncate(most);
            group.newly_fails.first.truncate(most);
        }
        self
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.settings.is_empty()
    }
}

fn of_group(name: &str, old: Option<&Group>, new: Option<&Group>) -> Option<GroupDifference> {
    let standing = match (old, new) {
        (None, _) => Standing::New,
        (_, None) => Standing::Gone,
        (Some(old), Some(new)) if old == new => return None,
        _ => Standing::Changed,
    };
    let difference = GroupDifference {
        group: name.to_owned(),
        standing,
        newly_passes: new.map(|new| surplus(new, old)).unwrap_or_default(),
        newly_fails: old.map(|old| surplus(old, new)).unwrap_or_default(),
        settings: old.zip(new).map(|(old, new)| of_settings(old, new)).unwrap_or_default(),
    };
    let is_changed =
        difference.newly_passes.in_all > 0 || difference.newly_fails.in_all > 0 || !difference.settings.is_empty();
    (is_changed || standing != Standing::Changed).then_some(difference)
}

/// What a group lets pass that another does not.
fn surplus(group: &Group, other: Option<&Group>) -> Permissions {
    let there = other.map(Rules::of).unwrap_or_default();
    let mut permissions = BTreeSet::new();
    let origin = || format!("group {}", group.name);
    let servers = |of: fn(&Group) -> &BTreeSet<Server>| -> Vec<Server> {
        of(group).iter().filter(|server| !other.is_some_and(|other| of(other).contains(server))).copied().collect()
    };
    let listed = [
        (PermissionKind::Resolver, "udp/53 tcp/53", servers(|group| &group.resolvers)),
        (PermissionKind::Dhcp, "dhcp", servers(|group| &group.dhcp_servers)),
    ];
    for (kind, service, servers) in listed {
        let permission = |server: Server| Permission {
            kind,
            target: server.to_string(),
            service: service.to_owned(),
            origin: origin(),
        };
        permissions.extend(servers.into_iter().map(permission));
    }
    for rule in &group.rules {
        let is_new = |service: &&Service| !there.allow(rule, **service);
        let permission = |service: &Service| Permission {
            kind: PermissionKind::To,
            target: rule.target.to_string(),
            service: said(*service, rule),
            origin: rule.origin.to_string(),
        };
        permissions.extend(rule.services.iter().filter(is_new).map(permission));
    }
    for rule in &group.inbound {
        let is_new = |service: &&Service| {
            !other.is_some_and(|other| other.inbound.iter().any(|there| lets_in(there, rule.from, **service)))
        };
        let permission = |service: &Service| Permission {
            kind: PermissionKind::From,
            target: rule.from.to_string(),
            service: service.to_string(),
            origin: rule.origin.to_string(),
        };
        permissions.extend(rule.services.iter().filter(is_new).map(permission));
    }
    permissions.into()
}

/// The rules of a group, by what they are about, each with its place in the group.
#[derive(Default)]
pub(super) struct Rules<'a> {
    exact: HashMap<(&'a Target, Service), Vec<(usize, &'a Rule)>>,
    /// Those that may have other targets in them.
    wide: HashMap<Service, Vec<(usize, &'a Rule)>>,
}

impl<'a> Rules<'a> {
    pub(super) fn of(group: &'a Group) -> Self {
        let mut rules = Self::default();
        for (index, rule) in group.rules.iter().enumerate() {
            for service in &rule.services {
                let found = if matches!(rule.target, Target::Cidr(_) | Target::Name(NamePattern::Below(_))) {
                    rules.wide.entry(*service).or_default()
                } else {
                    rules.exact.entry((&rule.target, *service)).or_default()
                };
                found.push((index, rule));
            }
        }
        rules
    }

    /// Those that allow one service of a rule, with their places.
    pub(super) fn allowing<'r>(
        &'r self,
        wanted: &'r Rule,
        service: Service,
    ) -> impl Iterator<Item = (usize, &'r Rule)> {
        let services = [service, service.at_any_port()];
        let exact = services.map(|service| self.exact.get(&(&wanted.target, service)));
        let wide = services.map(|service| self.wide.get(&service));
        let found = exact.into_iter().chain(wide).flatten().flatten();
        found.copied().filter(move |(_, rule)| has(rule, wanted, service))
    }

    /// Whether they allow one service of a rule.
    fn allow(&self, wanted: &Rule, service: Service) -> bool {
        self.allowing(wanted, service).next().is_some()
    }
}

/// Whether a rule allows everything that another allows.
pub(super) fn has_all_of(rule: &Rule, other: &Rule) -> bool {
    other.services.iter().all(|service| has(rule, other, *service))
}

/// A service as a rule opens it.
fn said(service: Service, rule: &Rule) -> String {
    let private = if rule.allow_private { ", private addresses too" } else { "" };
    let any_type = if rule.any_type { ", any record type" } else { "" };
    format!("{service}{private}{any_type}")
}

/// Whether a rule allows one service of another.
fn has(rule: &Rule, wanted: &Rule, service: Service) -> bool {
    covers(&rule.target, &wanted.target)
        && opens(&rule.services, service)
        && (rule.allow_private || !wanted.allow_private)
        && (rule.any_type || !wanted.any_type)
}

fn lets_in(rule: &InboundRule, from: IpNet, service: Service) -> bool {
    rule.from.contains(&from) && opens(&rule.services, service)
}

fn opens(services: &BTreeSet<Service>, wanted: Service) -> bool {
    services.contains(&wanted) || services.contains(&wanted.at_any_port())
}

/// Whether one target has all of another in it.
fn covers(target: &Target, other: &Target) -> bool {
    match (target, other) {
        (Target::Name(pattern), Target::Name(NamePattern::Exact(name))) => pattern.covers(name),
        (Target::Name(NamePattern::Below(above)), Target::Name(NamePattern::Below(name))) => {
            is_at_or_below(name.as_str(), above.as_str())
        }
        (Target::Address(address), Target::Address(other)) => address == other,
        (Target::Cidr(net), Target::Address(address)) => net.contains(address),
        (Target::Cidr(net), Target::Cidr(other)) => net.contains(other),
        (Target::Address(address), Target::Cidr(net)) => IpNet::from(*address) == *net,
        (Target::Name(_), _) | (_, Target::Name(_)) => false,
    }
}

fn of_settings(old: &Group, new: &Group) -> Vec<Setting> {
    let mode = |mode: Mode| match mode {
        Mode::Enforce => "enforce: what no rule allows is denied".to_owned(),
        Mode::Audit => "audit: everything passes".to_owned(),
    };
    let hold =
        |group: &Group| group.dns_hold.map_or("off".to_owned(), |hold| humantime::format_duration(hold).to_string());
    let mut settings = Settings::default();
    settings.compare("mode", mode(old.mode), mode(new.mode));
    settings.compare("interfaces", listed(&old.interfaces), listed(&new.interfaces));
    settings.compare("subnets", listed(&old.subnets), listed(&new.subnets));
    settings.compare("dns", old.dns.word().to_owned(), new.dns.word().to_owned());
    settings.compare("dns_hold", hold(old), hold(new));
    settings.compare("dns_unlearned", old.dns_unlearned.word().to_owned(), new.dns_unlearned.word().to_owned());
    settings.compare("learn", old.learn.to_string(), new.learn.to_string());
    settings.compare("gateway_access", old.gateway_access.to_string(), new.gateway_access.to_string());
    settings.0
}

/// What differs beside the groups.
fn of_gateway(old: &Policy, new: &Policy) -> Vec<Setting> {
    let ports = |policy: &Policy| -> BTreeMap<String, String> {
        let port = |port: &Interface| {
            let (v4, v6) = (port.other_sources_v4.word(), port.other_sources_v6.word());
            let said = format!("mode {}, other_sources {v4}, other_sources_v6 {v6}", port.attach.word());
            (port.name.to_string(), said)
        };
        policy.interfaces.iter().map(port).collect()
    };
    let (there, wanted) = (ports(old), ports(new));
    let mut settings = Settings::default();
    for name in there.keys().chain(wanted.keys()).collect::<BTreeSet<_>>() {
        let said =
            |ports: &BTreeMap<String, String>| ports.get(name).map_or("no device port", String::as_str).to_owned();
        settings.compare(&format!("interface {name}"), said(&there), said(&wanted));
    }
    settings.compare("reserved", listed(&old.reserved), listed(&new.reserved));
    of_resolver(&old.resolver, &new.resolver, &mut settings);
    of_timeouts(&old.timeouts, &new.timeouts, &mut settings);
    let at_start = [
        ("[daemon]", old.daemon == new.daemon),
        ("[limits]", old.limits == new.limits),
        ("[metrics]", old.metrics == new.metrics),
        ("[records]", old.records == new.records),
        ("[store]", old.store == new.store),
    ];
    for (table, _) in at_start.into_iter().filter(|(_, is_same)| !is_same) {
        settings.compare(table, "as it is".to_owned(), "changed, from the daemon's next start on".to_owned());
    }
    settings.0
}

fn of_resolver(old: &ResolverSettings, new: &ResolverSettings, settings: &mut Settings) {
    let servers =
        |settings: &ResolverSettings| settings.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    settings.compare("resolver.servers", servers(old), servers(new));
    settings.compare_spans([
        ("resolver.ttl_floor", old.ttl_floor, new.ttl_floor),
        ("resolver.ttl_ceiling", old.ttl_ceiling, new.ttl_ceiling),
        ("resolver.grace", old.grace, new.grace),
        ("resolver.timeout", old.timeout, new.timeout),
    ]);
}

fn of_timeouts(old: &FlowTimeouts, new: &FlowTimeouts, settings: &mut Settings) {
    settings.compare_spans([
        ("timeouts.tcp_opening", old.tcp_opening, new.tcp_opening),
        ("timeouts.tcp_established", old.tcp_established, new.tcp_established),
        ("timeouts.tcp_closing", old.tcp_closing, new.tcp_closing),
        ("timeouts.udp", old.udp, new.udp),
        ("timeouts.icmp", old.icmp, new.icmp),
        ("timeouts.fragment", old.fragment, new.fragment),
    ]);
}

#[derive(Default)]
struct Settings(Vec<Setting>);

impl Settings {
    fn compare(&mut self, key: &str, before: String, after: String) {
        if before != after {
            self.0.push(Setting { key: key.to_owned(), before, after });
        }
    }

    fn compare_spans<'a>(&mut self, spans: impl IntoIterator<Item = (&'a str, Duration, Duration)>) {
        let text = |span| humantime::format_duration(span).to_string();
        for (key, before, after) in spans {
            self.compare(key, text(before), text(after));
        }
    }
}

fn listed<T: Display>(items: &BTreeSet<T>) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use crate::policy::parse;

    fn policy(group: &str) -> Policy {
        let head = "version = 1\n[[group]]\nname = \"meters\"\nmode = \"enforce\"\ninterfaces = [\"lan0\"]\n\
                    subnets = [\"10.20.0.0/24\"]\n";
        parse(&format!("{head}{group}"), "policy.toml").unwrap()
    }

    fn allow(target: &str, ports: &str) -> String {
        format!("[[group.allow]]\n{target}\nports = [{ports}]\n")
    }

    fn said(permissions: &Permissions) -> Vec<String> {
        permissions.first.iter().map(|one| format!("{} {} {}", one.kind.word(), one.target, one.service)).collect()
    }

    /// What newly passes and newly fails from one group to the other.
    fn turns(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
        let difference = Difference::between(&policy(old), &policy(new));
        let found = difference.groups.first();
        found.map_or_else(Default::default, |group| (said(&group.newly_passes), said(&group.newly_fails)))
    }

    #[test]
    fn what_a_wider_rule_has_in_it_neither_newly_passes_nor_newly_fails() {
        let exact = allow("host = \"a.example.com\"", "\"tcp/443\"");
        let below = allow("host = \"*.example.com\"", "\"tcp/*\"");
        assert_eq!(turns(&exact, &below), (vec!["to *.example.com tcp/*".to_owned()], vec![]));
        assert_eq!(turns(&below, &exact), (vec![], vec!["to *.example.com tcp/*".to_owned()]));
        let (net, address) =
            (allow("cidr = \"20.0.0.0/8\"", "\"udp/*\""), allow("address = \"20.1.2.3\"", "\"udp/9\""));
        assert_eq!(turns(&net, &address), (vec![], vec!["to 20.0.0.0/8 udp/*".to_owned()]));
        let both = format!("{net}{address}");
        assert_eq!(turns(&net, &both), (vec![], vec![]));
    }

    #[test]
    fn a_port_that_moves_passes_at_one_and_fails_at_the_other() {
        let (old, new) = (
            allow("host = \"a.example\"", "\"tcp/443\", \"tcp/80\""),
            allow("host = \"a.example\"", "\"tcp/443\", \"udp/80\""),
        );
        assert_eq!(turns(&old, &new), (vec!["to a.example udp/80".to_owned()], vec!["to a.example tcp/80".to_owned()]));
        assert!(Difference::between(&policy(&old), &policy(&old)).is_empty());
    }

    #[test]
    fn a_rule_that_lets_names_lead_to_private_addresses_is_more_than_one_that_does_not() {
        let rule = allow("host = \"a.example\"", "\"tcp/443\"");
        let private = format!("{rule}allow_private = true\n");
        let expected = vec!["to a.example tcp/443, private addresses too".to_owned()];
        assert_eq!(turns(&rule, &private), (expected, vec![]));
    }

    #[test]
    fn settings_and_whole_groups_are_told_of() {
        let rule = allow("host = \"a.example\"", "\"tcp/443\"");
        let mut other = policy(&rule);
        other.groups[0].mode = Mode::Audit;
        other.timeouts.udp = Duration::from_secs(60);
        let difference = Difference::between(&policy(&rule), &other);
        let keys: Vec<&str> = difference.groups[0].settings.iter().map(|setting| setting.key.as_str()).collect();
        assert_eq!((keys, difference.settings[0].key.as_str()), (vec!["mode"], "timeouts.udp"));
        other.groups.clear();
        let difference = Difference::between(&policy(&rule), &other);
        assert_eq!(difference.groups[0].standing, Standing::Gone);
        assert!(said(&difference.groups[0].newly_fails).contains(&"to a.example tcp/443".to_owned()));
    }
}
