//! Reads `[[group]]` with its rules, and `[[interface]]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Range, RangeInclusive},
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};

use super::{
    document::{Fields, Value},
    findings::{Findings, Located},
    group::{
        AttachMode, DnsPolicy, Group, GroupName, InboundRule, InterfaceName, Mode, Need, Origin, OtherSources, Rule,
        Server, Target, Unlearned,
    },
    profile::{self, Library},
    values,
};

/// A group as it was written: the group, and where its parts stand.
pub(super) struct Written {
    pub(super) group: Group,
    pub(super) name_at: Range<usize>,
    pub(super) subnets: Vec<(IpNet, Range<usize>)>,
    /// Prefixes that its profiles reserve.
    pub(super) reserved: BTreeSet<Ipv4Net>,
}

/// What `[[interface]]` says of a port; what it leaves out is decided later.
pub(super) struct WrittenInterface {
    pub(super) name: Located<InterfaceName>,
    pub(super) attach: AttachMode,
    pub(super) other_sources_v4: OtherSources,
    /// `None` is `auto`.
    pub(super) other_sources_v6: Option<OtherSources>,
}

/// Reads one `[[interface]]`.
pub(super) fn interface(mut fields: Fields<'_>, findings: &mut Findings) -> Option<WrittenInterface> {
    let name = fields.require("name", findings).and_then(|value| interface_name(&value, findings));
    let modes =
        [AttachMode::Auto, AttachMode::Xdp, AttachMode::Tc, AttachMode::Generic].map(|mode| (mode.word(), mode));
    let attach = fields.take("mode").and_then(|value| value.one_of(&modes, findings)).unwrap_or_default();
    let words = [("pass", OtherSources::Pass), ("deny", OtherSources::Deny)];
    let v4 = fields.take("other_sources").and_then(|value| value.one_of(&words, findings));
    let words = [("auto", None), ("pass", Some(OtherSources::Pass)), ("deny", Some(OtherSources::Deny))];
    let v6 = fields.take("other_sources_v6").and_then(|value| value.one_of(&words, findings));
    fields.finish(findings);
    Some(WrittenInterface {
        name: name?,
        attach,
        other_sources_v4: v4.unwrap_or(OtherSources::Pass),
        other_sources_v6: v6.flatten(),
    })
}

fn interface_name(value: &Value<'_>, findings: &mut Findings) -> Option<Located<InterfaceName>> {
    let text = value.string(findings)?;
    let name = InterfaceName::parse(text.value);
    if name.is_none() {
        let remedy = "use the name that `ip link` shows: 1 to 15 characters, no `/`, `:` or blank";
        findings.error(&text.span, format!("`{}` is no interface name", text.value), remedy);
    }
    name.map(|value| Located { value, span: text.span })
}

/// Reads one `[[group]]`. `None` when it has no usable name; what else is wrong is in the findings.
pub(super) fn group(
    mut fields: Fields<'_>,
    findings: &mut Findings,
    (library, defaults): (&Library<'_>, &BTreeSet<Server>),
) -> Option<Written> {
    let name = fields.require("name", findings).and_then(|value| group_name(&value, findings));
    let modes = [Mode::Enforce, Mode::Audit].map(|mode| (mode.word(), mode));
    let mode = fields.require("mode", findings).and_then(|value| value.one_of(&modes, findings));
    let interfaces = fields.require("interfaces", findings).map(|value| interfaces(&value, findings));
    let subnets = fields.require("subnets", findings).map(|value| subnets(&value, findings)).unwrap_or_default();
    let resolvers = fields.take("resolvers").map(|value| {
        let servers = values::servers(&value, findings);
        if servers.is_empty() {
            findings.warn(value.span(), "devices may ask no resolver", "name one, or \"gateway\"");
        }
        servers
    });
    let words = [DnsPolicy::Refuse, DnsPolicy::Drop, DnsPolicy::Any].map(|dns| (dns.word(), dns));
    let dns = fields.take("dns").and_then(|value| value.one_of(&words, findings));
    let (dns_hold, dns_unlearned) = holding(&mut fields, findings);
    let learn = fields.take("learn").and_then(|value| value.integer(LEARN, findings));
    let dhcp_servers = fields.take("dhcp_servers").map(|value| values::servers(&value, findings));
    let gateway_access = fields.take("gateway_access").and_then(|value| value.boolean(findings));
    let allow = fields.take("allow").map(|value| value.tables("a rule", findings)).unwrap_or_default();
    let mut rules: Vec<Rule> = allow.into_iter().filter_map(|fields| rule(fields, findings)).collect();
    let inbound = fields.take("inbound").map(|value| value.tables("an inbound rule", findings)).unwrap_or_default();
    let inbound: Vec<_> = inbound.into_iter().filter_map(|fields| inbound_rule(fields, findings)).collect();
    let used = profiles(&mut fields, findings, library);
    if rules.is_empty() && used.rules.is_empty() {
        let message = "the group has no rules: its devices may reach nothing but resolvers and DHCP servers";
        findings.warn(fields.span(), message, "add [[group.allow]] or a profile, if that is not meant");
    }
    rules.extend(used.rules);
    let name = name?;
    let group = Group {
        name: name.value,
        mode: mode.unwrap_or(Mode::Enforce),
        interfaces: interfaces.unwrap_or_default(),
        subnets: subnets.iter().map(|(net, _)| *net).collect(),
        resolvers: resolvers.unwrap_or_else(|| defaults.clone()),
        dns: dns.unwrap_or_default(),
        dns_hold,
        dns_unlearned,
        learn: learn.unwrap_or(Group::DEFAULT_LEARN),
        dhcp_servers: dhcp_servers.unwrap_or_else(|| BTreeSet::from([Server::Gateway])),
        gateway_access: gateway_access.unwrap_or(true),
        rules,
        inbound,
        profiles: used.versions,
    };
    Some(Written { group, name_at: name.span, subnets, reserved: used.reserved })
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

fn interfaces(value: &Value<'_>, findings: &mut Findings) -> BTreeSet<InterfaceName> {
    let list = value.array("interface names", findings).unwrap_or_default();
    if list.is_empty() {
        findings.error(value.span(), "the group is behind no interface", "name the device port, such as \"lan0\"");
    }
    list.iter().filter_map(|name| interface_name(name, findings)).map(|name| name.value).collect()
}

fn subnets(value: &Value<'_>, findings: &mut Findings) -> Vec<(IpNet, Range<usize>)> {
    let list = value.array("prefixes", findings).unwrap_or_default();
    if list.is_empty() {
        findings.error(value.span(), "the group has no subnets", "name the subnet of its devices");
    }
    let read = |value: &Value<'_>, findings: &mut Findings| {
        let net = values::prefix(value, findings)?;
        let network = net.network();
        let link_local = matches!(network, std::net::IpAddr::V6(address) if address.is_unicast_link_local());
        if net.prefix_len() == 0 || network.is_multicast() || network.is_loopback() || link_local {
            let remedy = "name the addresses that your devices have";
            findings.error(value.span(), format!("`{net}` is no subnet of devices"), remedy);
            return None;
        }
        Some((net, value.span().clone()))
    };
    list.iter().filter_map(|value| read(value, findings)).collect()
}

/// Reads one `[[group.allow]]`.
fn rule(mut fields: Fields<'_>, findings: &mut Findings) -> Option<Rule> {
    let line = findings.line(fields.span());
    let (host, address, cidr) = (fields.take("host"), fields.take("address"), fields.take("cidr"));
    let named = [&host, &address, &cidr].into_iter().flatten().count();
    if named != 1 {
        let message =
            if named == 0 { "the rule says nothing to reach" } else { "the rule says several things to reach" };
        findings.absent(fields.span(), message, "write exactly one of `host`, `address` and `cidr`");
    }
    let target = match (&host, &address, &cidr) {
        (Some(value), _, _) => values::host(value, findings).map(Target::Name),
        (_, Some(value), _) => values::address(value, findings).map(Target::Address),
        (_, _, Some(value)) => values::prefix(value, findings).map(Target::Cidr),
        (None, None, None) => None,
    };
    let services = fields.require("ports", findings).map(|value| values::services(&value, findings));
    let allow_private = fields.take("allow_private").and_then(|value| value.boolean(findings)).unwrap_or(false);
    let any_type = fields.take("any_type");
    if let (Some(value), None) = (&any_type, &host) {
        findings.error(value.span(), "`any_type` is about names", "remove it, or name a `host`");
    }
    let any_type = any_type.and_then(|value| value.boolean(findings)).unwrap_or(false);
    let purpose = comment(&mut fields, findings);
    fields.finish(findings);
    let services = services.filter(|services| !services.is_empty())?;
    if named != 1 {
        return None;
    }
    let origin = Origin::File { path: findings.source().path().to_owned(), line };
    Some(Rule { target: target?, services, origin, purpose, allow_private, any_type, need: Need::Required })
}

/// Reads one `[[group.inbound]]`.
fn inbound_rule(mut fields: Fields<'_>, findings: &mut Findings) -> Option<InboundRule> {
    let line = findings.line(fields.span());
    let from = fields.require("from", findings).and_then(|value| values::prefix(&value, findings));
    let services = fields.require("ports", findings).map(|value| values::services(&value, findings));
    let purpose = comment(&mut fields, findings);
    fields.finish(findings);
    let services = services.filter(|services| !services.is_empty())?;
    let origin = Origin::File { path: findings.source().path().to_owned(), line };
    Some(InboundRule { from: from?, services, origin, purpose })
}

fn comment(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<String> {
    fields.take("comment").and_then(|value| value.string(findings)).map(|text| text.value.to_owned())
}

/// What the profiles of a group add to it.
#[derive(Default)]
struct Used {
    rules: Vec<Rule>,
    versions: BTreeMap<String, String>,
    reserved: BTreeSet<Ipv4Net>,
}

/// Reads `profiles` and the tables of their options; every other key that is left is unknown.
fn profiles(fields: &mut Fields<'_>, findings: &mut Findings, library: &Library<'_>) -> Used {
    let mut used = Used::default();
    let names = fields.take("profiles").and_then(|value| value.array("profile names", findings)).unwrap_or_default();
    let mut loaded = Vec::new();
    for value in &names {
        let Some(text) = value.string(findings) else { continue };
        let Some(profile) = library.find(&text, findings) else { continue };
        if used.versions.insert(profile.name.clone(), profile.version.clone()).is_some() {
            let remedy = "remove one of the two";
            findings.error(&text.span, format!("the profile `{}` is named twice", profile.name), remedy);
            continue;
        }
        used.reserved.extend(profile.reserved.iter().copied());
        loaded.push(profile);
    }
    let mut options = BTreeMap::new();
    for key in fields.rest() {
        if !loaded.iter().any(|profile| profile.name == key.value) {
            fields.report_unknown(&key, findings);
        } else if let Some(value) = fields.take(key.value) {
            options.insert(key.value.to_owned(), value);
        }
    }
    for profile in loaded {
        let chosen = options.get(&profile.name).and_then(|value| value.table("the options of a profile", findings));
        used.rules.extend(profile::expand(&profile, chosen, findings));
    }
    used
}
