//! Reads `[[group]]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Range, RangeInclusive},
    rc::Rc,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};

use super::{
    document::{Fields, Value},
    findings::{Findings, Located},
    group::{DnsPolicy, Group, GroupName, InboundRule, Mode, Rule, Server, Unlearned, UsedProfile},
    left_out::left_out,
    manifest_file,
    port::InterfaceName,
    port_file,
    profile::{self, Library, Profile},
    profile_choice, rule_file,
    step::LeftOut,
    values,
};

/// A group as it was written: the group, and where its parts stand.
pub(super) struct Written {
    /// The group; what was refused is left out, or has its default.
    pub(super) group: Group,
    /// Where its name stands; `None` when it has no usable one.
    pub(super) name_at: Option<Range<usize>>,
    /// Where the group begins.
    pub(super) at: Range<usize>,
    pub(super) interfaces: Vec<Located<InterfaceName>>,
    pub(super) subnets: Vec<Located<IpNet>>,
    /// Where each rule of the group stands: its target, or what it comes from.
    pub(super) rules_at: Vec<Range<usize>>,
    /// Where each inbound rule stands.
    pub(super) inbound_at: Vec<Range<usize>>,
    /// Resolvers that it names.
    pub(super) resolvers: Vec<Located<Server>>,
    /// DHCP servers that it names.
    pub(super) dhcp_servers: Vec<Located<Server>>,
    /// Prefixes that its profiles reserve, at the names of the profiles.
    pub(super) reserved: Vec<Located<Ipv4Net>>,
}

/// Reads one `[[group]]`. What is wrong with it is in the findings.
pub(super) fn group(
    mut fields: Fields<'_>,
    findings: &mut Findings,
    (library, defaults): (&mut Library<'_>, &BTreeSet<Server>),
) -> Written {
    let name = fields.require("name", findings).and_then(|value| group_name(&value, findings));
    let modes = [Mode::Enforce, Mode::Audit].map(|mode| (mode.word(), mode));
    let mode = fields.require("mode", findings).and_then(|value| value.one_of(&modes, findings));
    let interfaces = fields.require("interfaces", findings).map(|value| interfaces(&value, findings));
    let interfaces = interfaces.unwrap_or_default();
    let subnets = fields.require("subnets", findings).map(|value| subnets(&value, findings)).unwrap_or_default();
    let resolvers = fields.take("resolvers").and_then(|value| values::servers(&value, findings));
    if let (Some([]), Some(value)) = (resolvers.as_deref(), fields.get("resolvers")) {
        findings.warn(value.span(), "devices may ask no resolver", "name one, or \"gateway\"");
    }
    let words = [DnsPolicy::Refuse, DnsPolicy::Drop, DnsPolicy::Any].map(|dns| (dns.word(), dns));
    let dns = fields.take("dns").and_then(|value| value.one_of(&words, findings));
    let (dns_hold, dns_unlearned) = holding(&mut fields, findings);
    let learn = fields.take("learn").and_then(|value| value.integer(LEARN, findings));
    let dhcp_servers = fields.take("dhcp_servers").and_then(|value| values::servers(&value, findings));
    let gateway_access = fields.take("gateway_access").and_then(|value| value.boolean(findings));
    let inbound = fields.take("inbound").map(|value| value.tables("an inbound rule", findings)).unwrap_or_default();
    let inbound = inbound.into_iter().filter_map(|fields| rule_file::inbound(fields, findings));
    let mut inbound: Vec<_> = inbound.collect();
    let (rules, profiles) = rules(&mut fields, findings, (library, &mut inbound));
    let (inbound_at, inbound) = inbound.into_iter().map(|rule| (rule.span, rule.value)).unzip();
    let (rules_at, rules) = rules.into_iter().map(|rule| (rule.span, rule.value)).unzip();
    let (name, name_at) = name.map_or_else(|| (GroupName::unknown(), None), |name| (name.value, Some(name.span)));
    let addresses = |servers: &Vec<Located<Server>>| servers.iter().map(|server| server.value).collect();
    let group = Group {
        name,
        mode: mode.unwrap_or(Mode::Enforce),
        interfaces: interfaces.iter().map(|interface| interface.value.clone()).collect(),
        subnets: subnets.iter().map(|subnet| subnet.value).collect(),
        resolvers: resolvers.as_ref().map_or_else(|| defaults.clone(), addresses),
        dns: dns.unwrap_or_default(),
        dns_hold,
        dns_unlearned,
        learn: learn.unwrap_or(Group::DEFAULT_LEARN),
        dhcp_servers: dhcp_servers.as_ref().map_or_else(|| BTreeSet::from([Server::Gateway]), addresses),
        gateway_access: gateway_access.unwrap_or(true),
        rules,
        inbound,
        left_out: profiles.left_out,
        profiles: profiles.profiles,
    };
    let at = fields.span().clone();
    let reserved = profiles.reserved;
    let (resolvers, dhcp_servers) = (resolvers.unwrap_or_default(), dhcp_servers.unwrap_or_default());
    Written { group, name_at, at, interfaces, subnets, rules_at, inbound_at, resolvers, dhcp_servers, reserved }
}

/// Reads what the devices may reach: rules of the group's own, and those of its profiles and manifests; manifests add to
/// what may reach the devices too.
fn rules(
    fields: &mut Fields<'_>,
    findings: &mut Findings,
    (library, inbound): (&mut Library<'_>, &mut Vec<Located<InboundRule>>),
) -> (Vec<Located<Rule>>, Used) {
    let own = fields.take("allow").map(|value| value.tables("a rule", findings)).unwrap_or_default();
    let written = own.len();
    let mut rules: Vec<_> = own.into_iter().filter_map(|fields| rule_file::allow(fields, findings)).collect();
    let manifests = manifest_file::Keys::take(fields, findings);
    let mut used = profiles(fields, findings, library);
    if written == 0 && used.rules.is_empty() && used.unusable == 0 && manifests.is_empty() {
        let message = "the group has no rules: its devices may reach nothing but resolvers and DHCP servers";
        findings.warn(fields.span(), message, "add [[group.allow]] or a profile, if that is not meant");
    }
    rules.append(&mut used.rules);
    let mut from_manifests = manifests.read(library.files(), &rules, findings);
    rules.append(&mut from_manifests.rules);
    inbound.append(&mut from_manifests.inbound);
    (rules, used)
}

/// Addresses that a group may learn: as many as the tables may hold.
const LEARN: RangeInclusive<u32> = 0..=16_777_216;
/// How long an answer may be held: longer, and devices ask again.
const HOLD: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(100);

/// `dns_hold` and `dns_unlearned`.
fn holding(fields: &mut Fields<'_>, findings: &mut Findings) -> (Option<Duration>, Unlearned) {
    let written = fields.take("dns_hold");
    let held = written.as_ref().and_then(|value| hold(value, findings));
    let words = [Unlearned::Deliver, Unlearned::Drop].map(|unlearned| (unlearned.word(), unlearned));
    let Some(value) = fields.take("dns_unlearned") else { return (held, Unlearned::default()) };
    if written.is_none_or(|value| value.as_str() == Some("off")) {
        let remedy = "set `dns_hold` to a duration, or remove this";
        findings.warn(value.span(), "`dns_unlearned` is about answers that are held, and none is", remedy);
    }
    (held, value.one_of(&words, findings).unwrap_or_default())
}

/// `dns_hold`: "off", or a duration.
fn hold(value: &Value<'_>, findings: &mut Findings) -> Option<Duration> {
    (value.as_str() != Some("off")).then(|| value.duration(&HOLD, findings)).flatten()
}

fn group_name(value: &Value<'_>, findings: &mut Findings) -> Option<Located<GroupName>> {
    let text = value.string(findings)?;
    let name = GroupName::parse(text.value);
    if name.is_none() {
        let remedy = format!("use 1 to {} letters, digits, `.`, `_` or `-`", GroupName::MAX_BYTES);
        findings.error(&text.span, format!("`{}` is no group name", text.value), remedy);
    }
    name.map(|value| Located { value, span: text.span })
}

fn interfaces(value: &Value<'_>, findings: &mut Findings) -> Vec<Located<InterfaceName>> {
    let Some(list) = value.array("interface names", findings) else { return Vec::new() };
    if list.is_empty() {
        findings.error(value.span(), "the group is behind no interface", "name the device port, such as \"lan0\"");
    }
    let mut interfaces: Vec<Located<InterfaceName>> = Vec::new();
    let mut seen = BTreeSet::new();
    for interface in list.iter().filter_map(|name| port_file::interface_name(name, findings)).collect::<Vec<_>>() {
        if seen.insert(interface.value.clone()) {
            interfaces.push(interface);
        } else {
            let message = format!("the interface `{}` is named twice", interface.value);
            findings.error(&interface.span, message, "remove one of the two");
        }
    }
    interfaces
}

fn subnets(value: &Value<'_>, findings: &mut Findings) -> Vec<Located<IpNet>> {
    let Some(list) = value.array("prefixes", findings) else { return Vec::new() };
    if list.is_empty() {
        findings.error(value.span(), "the group has no subnets", "name the subnet of its devices");
    }
    let read = |value: &Value<'_>, findings: &mut Findings| {
        let net = values::prefix(value, findings)?;
        let link_local = matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local());
        if net.prefix_len() == 0 || values::unreachable(net).is_some() || link_local {
            let remedy = "name the addresses that your devices have";
            findings.error(value.span(), format!("`{net}` is no subnet of devices"), remedy);
            return None;
        }
        Some(Located { value: net, span: value.span().clone() })
    };
    list.iter().filter_map(|value| read(value, findings)).collect()
}

/// What the profiles of a group add to it.
#[derive(Default)]
struct Used {
    rules: Vec<Located<Rule>>,
    left_out: Vec<LeftOut>,
    profiles: BTreeMap<String, UsedProfile>,
    reserved: Vec<Located<Ipv4Net>>,
    /// Profiles that could not be read: their options are unknown.
    unusable: usize,
}

/// Reads `profiles` and the tables of their options; every other key that is left is unknown.
fn profiles(fields: &mut Fields<'_>, findings: &mut Findings, library: &mut Library<'_>) -> Used {
    let mut used = Used::default();
    let names = fields.take("profiles").and_then(|value| value.array("profile names", findings)).unwrap_or_default();
    let mut loaded = Vec::new();
    for value in &names {
        let profile = value.string(findings).and_then(|name| Some((library.find(&name, findings)?, name.span)));
        let Some((profile, at)) = profile else {
            used.unusable += 1;
            continue;
        };
        if fields.knows(&profile.name) {
            let message = format!("the profile `{}` is called like a key of groups", profile.name);
            findings.error(&at, message, "give the profile another name");
            used.unusable += 1;
            continue;
        }
        if loaded.iter().any(|(there, _): &(Rc<Profile>, _)| there.name == profile.name) {
            let remedy = "remove one of the two";
            findings.error(&at, format!("the profile `{}` is named twice", profile.name), remedy);
            continue;
        }
        used.reserved.extend(profile.reserved.iter().map(|net| Located { value: *net, span: at.clone() }));
        loaded.push((profile, at));
    }
    let mut options = BTreeMap::new();
    for key in fields.rest() {
        let Some(value) = fields.get(key.value) else { continue };
        if loaded.iter().any(|(profile, _)| profile.name == key.value) {
            options.insert(key.value, value);
        } else if used.unusable == 0 || !value.is_table() {
            // Otherwise it may be the options of a profile that could not be read.
            fields.report_unknown(&key, findings);
        }
    }
    for (profile, at) in loaded {
        let table = options.get(profile.name.as_str());
        let table = table.and_then(|value| value.table("the options of a profile", findings));
        let chosen = profile_choice::choose(&profile, &at, table, findings);
        let valid_until = library.check_dates(&profile, &chosen, findings).to_string();
        used.profiles.insert(profile.name.clone(), UsedProfile { version: profile.version.clone(), valid_until });
        used.left_out.extend(left_out(&profile, &chosen));
        used.rules.extend(profile::expand(&profile, &chosen, (&at, findings)));
    }
    used
}
