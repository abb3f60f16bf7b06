//! From a file to a [`Policy`]: reads every table, then checks what only the whole can tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use ipnet::{IpNet, Ipv4Net};

use super::{
    Policy,
    date::Date,
    diagnostic::{self, Diagnostic, PolicyErrors, Severity, Source},
    document::Fields,
    findings::Findings,
    group::{AttachMode, Interface, InterfaceName, OtherSources, Server},
    group_file::{self, Written, WrittenInterface},
    profile::Library,
    room,
    settings_file::{self, LimitPlaces},
};

/// Version of the policy format.
const FORMAT: u32 = 1;
/// Groups that a policy may have: what the kernel's tables of groups hold.
const MAX_GROUPS: usize = sphere_common::abi::MAX_GROUPS as usize;

/// Reads a policy file.
///
/// # Errors
///
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<Policy, PolicyErrors> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let directory = path.parent().unwrap_or(Path::new(""));
            let source = Source::new(path.display().to_string(), text.strip_prefix('\u{feff}').unwrap_or(&text));
            read(&source, &Library { directory: Some(directory), today: Some(Date::of(SystemTime::now())) })
        }
        Err(error) => Err(PolicyErrors::new(vec![Diagnostic {
            severity: Severity::Error,
            message: format!("cannot read {}: {error}", path.display()),
            remedy: Some("name an existing policy file".to_owned()),
            place: None,
            related: None,
        }])),
    }
}

/// Reads a policy from a text; `origin` is what the text is called. Only shipped profiles are known. Never panics.
///
/// # Errors
///
/// Everything that is wrong with it, each with its place.
pub fn parse(text: &str, origin: &str) -> Result<Policy, PolicyErrors> {
    read(&Source::new(origin, text), &Library { directory: None, today: None })
}

fn read(source: &Arc<Source>, library: &Library<'_>) -> Result<Policy, PolicyErrors> {
    let mut findings = Findings::new(Arc::clone(source));
    let table = findings.parse(source.text());
    let mut fields = Fields::new(&table.value, 0..0, "the policy");
    if let Some(value) = fields.require("version", &mut findings) {
        value.integer(FORMAT..=FORMAT, &mut findings);
    }
    let mut policy = Policy::default();
    let mut limit_places = LimitPlaces::default();
    if let Some(table) = fields.take("daemon").and_then(|value| value.table("[daemon]", &mut findings)) {
        policy.daemon = settings_file::daemon(table, &mut findings);
    }
    if let Some(table) = fields.take("resolver").and_then(|value| value.table("[resolver]", &mut findings)) {
        policy.resolver = settings_file::resolver(table, &mut findings);
    }
    if let Some(table) = fields.take("limits").and_then(|value| value.table("[limits]", &mut findings)) {
        (policy.limits, limit_places) = settings_file::limits(table, &mut findings);
    }
    if let Some(table) = fields.take("timeouts").and_then(|value| value.table("[timeouts]", &mut findings)) {
        policy.timeouts = settings_file::timeouts(table, &mut findings);
    }
    let interfaces = fields.take("interface").map(|value| value.tables("an interface", &mut findings));
    let interfaces = interfaces.unwrap_or_default().into_iter();
    let interfaces: Vec<_> = interfaces.filter_map(|fields| group_file::interface(fields, &mut findings)).collect();
    let servers = policy.resolver.servers.iter().map(|server| Server::Address(server.ip()));
    let defaults: BTreeSet<Server> = servers.chain([Server::Gateway]).collect();
    let groups = fields.take("group").map(|value| value.tables("a group", &mut findings)).unwrap_or_default();
    if groups.is_empty() {
        let remedy = "add a [[group]] with the interface and subnet of your devices";
        findings.absent(&(0..0), "the policy has no groups: nothing would be guarded", remedy);
    }
    let groups = groups.into_iter();
    let groups: Vec<Written> =
        groups.filter_map(|fields| group_file::group(fields, &mut findings, (library, &defaults))).collect();
    fields.finish(&mut findings);
    check(&groups, &mut findings);
    policy.reserved = groups.iter().flat_map(|written| &written.reserved).copied().collect();
    policy.interfaces = ports(&groups, interfaces, &mut findings);
    policy.groups = groups.into_iter().map(|written| written.group).collect();
    room::check(&policy, &limit_places, &mut findings);
    let mut diagnostics = findings.into_diagnostics();
    if diagnostics.iter().any(|found| found.severity == Severity::Error) {
        return Err(PolicyErrors::new(diagnostics));
    }
    diagnostic::sort(&mut diagnostics);
    policy.warnings = diagnostics;
    Ok(policy)
}

/// Checks across groups: names, number, subnets that overlap or are reserved.
fn check(groups: &[Written], findings: &mut Findings) {
    if let Some(beyond) = groups.get(MAX_GROUPS) {
        let message = format!("the policy has {} groups, more than {MAX_GROUPS}", groups.len());
        findings.error(
            &beyond.name_at,
            message,
            "merge groups that have the same rules: a group may have many subnets",
        );
    }
    let mut names: BTreeMap<&str, &Range<usize>> = BTreeMap::new();
    for written in groups {
        let name = written.group.name.as_str();
        if let Some(first) = names.insert(name, &written.name_at) {
            let message = format!("two groups are called `{name}`");
            findings.error_beside(&written.name_at, (message, "rename one"), (first, "the first one"));
        }
    }
    let reserved: BTreeSet<Ipv4Net> = groups.iter().flat_map(|written| &written.reserved).copied().collect();
    let mut seen: Vec<(&Written, IpNet, &Range<usize>)> = Vec::new();
    for written in groups {
        for (net, span) in &written.subnets {
            if let IpNet::V4(net) = net
                && let Some(taken) = reserved.iter().find(|taken| overlap(IpNet::V4(**taken), IpNet::V4(*net)))
            {
                let message = format!("`{net}` overlaps {taken}, which a profile reserves");
                findings.error(span, message, "that prefix never appears on a device port: name the devices' subnet");
            }
            let shares = |other: &Written| !other.group.interfaces.is_disjoint(&written.group.interfaces);
            let clash = seen.iter().find(|(other, taken, _)| shares(other) && overlap(*taken, *net));
            if let Some((other, taken, first)) = clash {
                let message = format!("`{net}` overlaps {taken} of group `{}` on the same interface", other.group.name);
                let remedy = "give each address to one group only";
                findings.error_beside(span, (message, remedy), (first, "overlaps this one"));
            }
            seen.push((written, *net, span));
        }
    }
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// Every port that a group names, with what `[[interface]]` says of it.
fn ports(groups: &[Written], described: Vec<WrittenInterface>, findings: &mut Findings) -> Vec<Interface> {
    let mut with_v6: BTreeMap<InterfaceName, bool> = BTreeMap::new();
    for Written { group, .. } in groups {
        let v6 = group.subnets.iter().any(|net| matches!(net, IpNet::V6(_)));
        for name in &group.interfaces {
            *with_v6.entry(name.clone()).or_insert(false) |= v6;
        }
    }
    let mut known: BTreeMap<InterfaceName, WrittenInterface> = BTreeMap::new();
    for interface in described {
        let name = interface.name.clone();
        if !with_v6.contains_key(&name.value) {
            let message = format!("no group is behind the interface `{}`", name.value);
            findings.warn(&name.span, message, "name it in a group's `interfaces`, or remove this table");
        }
        if known.insert(name.value.clone(), interface).is_some() {
            findings.error(&name.span, format!("the interface `{}` is described twice", name.value), "remove one");
        }
    }
    let port = |(name, v6): (InterfaceName, bool)| {
        let described = known.get(&name);
        let auto = if v6 { OtherSources::Pass } else { OtherSources::Deny };
        Interface {
            attach: described.map_or(AttachMode::Auto, |described| described.attach),
            other_sources_v4: described.map_or(OtherSources::Pass, |described| described.other_sources_v4),
            other_sources_v6: described.and_then(|described| described.other_sources_v6).unwrap_or(auto),
            name,
        }
    };
    with_v6.into_iter().map(port).collect()
}
