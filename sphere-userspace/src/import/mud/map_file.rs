//! The map: a TOML file that says who belongs to the classes that MUD files name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::class::Map;
use crate::policy::{Fields, Findings, NamePattern, PolicyErrors, Severity, Source, Target, TomlValue, values};

/// Reads a map. Never panics.
///
/// # Errors
///
/// Everything that is wrong with it, each with its place.
pub fn parse(source: &Arc<Source>) -> Result<Map, PolicyErrors> {
    let mut findings = Findings::new(Arc::clone(source));
    let table = findings.parse(source.text());
    let mut fields = Fields::new(&table.value, table.span.clone(), "a map");
    let mut by_name = |key: &str, findings: &mut Findings| {
        let table = fields.take(key).and_then(|value| value.table(key, findings));
        table.map(|table| hosts_by_name(&table, findings)).unwrap_or_default()
    };
    let controllers = by_name("controllers", &mut findings);
    let manufacturers = by_name("manufacturers", &mut findings);
    let models = by_name("models", &mut findings);
    let mut list = |key: &str, findings: &mut Findings| fields.take(key).and_then(|value| hosts(&value, findings));
    let my_controller = list("my_controller", &mut findings);
    let local_networks = list("local_networks", &mut findings);
    let same_manufacturer = list("same_manufacturer", &mut findings);
    let ntp = list("ntp", &mut findings);
    fields.finish(&mut findings);
    let manufacturers = manufacturers.into_iter().map(|(host, hosts)| (host.to_ascii_lowercase(), hosts)).collect();
    let map = Map { controllers, manufacturers, models, my_controller, local_networks, same_manufacturer, ntp };
    let found = findings.into_diagnostics();
    if found.iter().any(|found| found.severity == Severity::Error) { Err(PolicyErrors::new(found)) } else { Ok(map) }
}

/// Lists of hosts by what files call them.
fn hosts_by_name(table: &Fields<'_>, findings: &mut Findings) -> BTreeMap<String, Vec<Target>> {
    let list = |key: &str, findings: &mut Findings| Some((key.to_owned(), hosts(&table.get(key)?, findings)?));
    table.rest().iter().filter_map(|key| list(key.value, findings)).collect()
}

fn hosts(value: &TomlValue<'_>, findings: &mut Findings) -> Option<Vec<Target>> {
    let list = value.array("names, addresses or prefixes", findings)?;
    Some(list.iter().filter_map(|host| target(host, findings)).collect())
}

/// A name, an address or a prefix.
fn target(value: &TomlValue<'_>, findings: &mut Findings) -> Option<Target> {
    let text = value.string(findings)?.value;
    if text.contains('/') {
        values::hosts(value, findings).map(Target::Cidr)
    } else if text.parse::<IpAddr>().is_ok() {
        values::address(value, findings).map(Target::Address)
    } else {
        values::name(value, findings).map(|name| Target::Name(NamePattern::Exact(name)))
    }
}
