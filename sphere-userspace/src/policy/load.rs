//! From a file to a [`Policy`]: reads every table, then checks what only the whole can tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use ipnet::IpNet;

use super::{
    Policy, across,
    date::Date,
    diagnostic::{self, PolicyErrors, Severity, Source},
    document::{Fields, Value},
    file::{Files, Texts},
    findings::Findings,
    group::Server,
    group_file::{self, Written},
    metrics_file,
    port::{AttachMode, Interface, InterfaceName, OtherSources},
    port_file::{self, WrittenInterface},
    profile::Library,
    records_file,
    reserved::Reserved,
    room,
    settings_file::{self, LimitPlaces},
    shadowed, sources, store_file,
};

/// Version of the policy format.
const FORMAT: u32 = 1;

/// Reads a policy file.
///
/// # Errors
///
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<Policy, PolicyErrors> {
    load_with_texts(path).map(|(policy, _)| policy)
}

/// Reads a policy file; gives back the texts that it was read from too, with which [`load_kept`] gives it again.
///
/// # Errors
///
/// Everything that is wrong with it, each with its place.
pub fn load_with_texts(path: &Path) -> Result<(Policy, Texts), PolicyErrors> {
    let files = Files::default();
    let policy = load_from(path, &files)?;
    Ok((policy, files.into_noted()))
}

/// Reads a policy from texts that were kept, wherever its files are now.
///
/// # Errors
///
/// As [`load`]: this program may know other keys than the one that kept them.
pub fn load_kept(path: &Path, texts: &Texts) -> Result<Policy, PolicyErrors> {
    load_from(path, &Files::kept(texts))
}

fn load_from(path: &Path, files: &Files<'_>) -> Result<Policy, PolicyErrors> {
    let source = files.read(path).map_err(|error| PolicyErrors::new(vec![error.into()]))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    read(&source, Library::new(Some((directory, files)), Some(Date::of(SystemTime::now()))))
}

/// Reads a policy from a text; `origin` is what the text is called. Only shipped profiles are known. Never panics.
///
/// # Errors
///
/// Everything that is wrong with it, each with its place.
pub fn parse(text: &str, origin: &str) -> Result<Policy, PolicyErrors> {
    read(&Source::new(origin, text), Library::new(None, None))
}

fn read(source: &Arc<Source>, mut library: Library<'_>) -> Result<Policy, PolicyErrors> {
    let mut findings = Findings::new(Arc::clone(source));
    let table = findings.parse(source.text());
    let mut fields = Fields::new(&table.value, 0..0, "the policy");
    if let Some(value) = fields.require("version", &mut findings) {
        check_version(&value, &mut findings);
    }
    let mut policy = Policy::default();
    let limit_places = settings(&mut fields, &mut policy, &mut findings);
    let interfaces = fields.take("interface").map(|value| value.tables("an interface", &mut findings));
    let interfaces = interfaces.unwrap_or_default().into_iter();
    let interfaces: Vec<_> = interfaces.filter_map(|fields| port_file::interface(fields, &mut findings)).collect();
    // What listens on loopback answers the gateway alone.
    let servers = policy.resolver.servers.iter().map(SocketAddr::ip).filter(|address| !address.is_loopback());
    let servers = servers.map(Server::Address);
    let defaults: BTreeSet<Server> = servers.chain([Server::Gateway]).collect();
    let groups = fields.take("group").map(|value| value.tables("a group", &mut findings)).unwrap_or_default();
    if groups.is_empty() {
        let remedy = "add a [[group]] with the interface and subnet of your devices";
        findings.absent(&(0..0), "the policy has no groups: nothing would be guarded", remedy);
    }
    let groups = groups.into_iter();
    let groups: Vec<Written> =
        groups.map(|fields| group_file::group(fields, &mut findings, (&mut library, &defaults))).collect();
    fields.finish(&mut findings);
    policy.reserved = groups.iter().flat_map(|written| &written.reserved).map(|net| net.value).collect();
    across::check(&groups, &Reserved::new(policy.reserved.iter().copied()), &mut findings);
    room::check_groups(&groups, &mut findings);
    policy.interfaces = ports(&groups, interfaces, &mut findings);
    let shadowed = shadowed::find(&groups);
    let ports = sources::ports(&groups);
    policy.groups = groups.into_iter().map(|written| written.group).collect();
    room::check_limits(&policy, &limit_places, &mut findings);
    if !findings.has_errors() {
        // Before that, nobody can tell what will be on which port.
        shadowed.into_iter().for_each(|found| found.warn(&mut findings));
        sources::warn(&ports, (&policy, &limit_places), &mut findings);
    }
    let mut diagnostics = findings.into_diagnostics();
    if diagnostics.iter().any(|found| found.severity == Severity::Error) {
        return Err(PolicyErrors::new(diagnostics).with_daemon(policy.daemon));
    }
    diagnostic::sort(&mut diagnostics);
    policy.warnings = diagnostics;
    Ok(policy)
}

/// The version of the format, which is not that of Sphere.
fn check_version(value: &Value<'_>, findings: &mut Findings) {
    match value.integer(0..=u32::MAX, findings) {
        None | Some(FORMAT) => {}
        Some(other) => {
            let message =
                format!("the policy says that it is of format {other}, and this Sphere reads format {FORMAT}");
            let remedy = format!("write `version = {FORMAT}`, or use a Sphere that reads format {other}");
            findings.error(value.span(), message, remedy);
        }
    }
}

/// Reads the tables about the gateway as a whole; gives back where the limits stand.
fn settings(fields: &mut Fields<'_>, policy: &mut Policy, findings: &mut Findings) -> LimitPlaces {
    let mut limit_places = LimitPlaces::default();
    if let Some(table) = fields.take("daemon").and_then(|value| value.table("[daemon]", findings)) {
        policy.daemon = settings_file::daemon(table, findings);
    }
    if let Some(table) = fields.take("store").and_then(|value| value.table("[store]", findings)) {
        policy.store = store_file::store(table, findings);
    }
    if let Some(table) = fields.take("records").and_then(|value| value.table("[records]", findings)) {
        policy.records = records_file::records(table, findings);
    }
    if let Some(table) = fields.take("metrics").and_then(|value| value.table("[metrics]", findings)) {
        policy.metrics = Some(metrics_file::metrics(table, findings));
    }
    if let Some(table) = fields.take("resolver").and_then(|value| value.table("[resolver]", findings)) {
        policy.resolver = settings_file::resolver(table, findings);
    }
    if let Some(table) = fields.take("limits").and_then(|value| value.table("[limits]", findings)) {
        (policy.limits, limit_places) = settings_file::limits(table, findings);
    }
    if let Some(table) = fields.take("timeouts").and_then(|value| value.table("[timeouts]", findings)) {
        policy.timeouts = settings_file::timeouts(table, findings);
    }
    limit_places
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
        let auto = if v6 { OtherSources::PassGlobal } else { OtherSources::Deny };
        Interface {
            attach: described.map_or(AttachMode::Auto, |described| described.attach),
            other_sources_v4: described.map_or(OtherSources::Pass, |described| described.other_sources_v4),
            other_sources_v6: described.and_then(|described| described.other_sources_v6).unwrap_or(auto),
            name,
        }
    };
    with_v6.into_iter().map(port).collect()
}
