//! Changesets into the kernel tables, in their order; what follows each other in one table goes in one batch.

use std::collections::BTreeSet;

use sphere_common::abi::{Config, GroupLabel, NameValue, RuleLabel};
use zerocopy::FromZeros;

use super::config;
use super::endpoints;
use super::error::DatapathError;
use super::keys::{Cidr4Key, Cidr6Key, NameKey, SubnetTrieKey};
use super::maps::Maps;
use super::table::{Plain, Table};
use crate::reconcile::{Changeset, Installed, Step, Tables};

/// Writes the configuration into the slot that is not in force, and switches.
pub(super) type ConfigWriter<'a> = &'a mut dyn FnMut(&Config) -> Result<(), DatapathError>;

/// Takes the steps, in order.
pub(super) fn apply(maps: &Maps, changes: &Changeset, config: ConfigWriter<'_>) -> Result<(), DatapathError> {
    let mut rest = changes.steps.as_slice();
    while let Some(first) = rest.first() {
        let kind = std::mem::discriminant(first);
        let run = rest.iter().take_while(|step| std::mem::discriminant(*step) == kind).count();
        let (now, later) = rest.split_at(run);
        apply_run(maps, now, (&changes.vanished_rules, config))?;
        rest = later;
    }
    Ok(())
}

/// Steps of one kind.
fn apply_run(
    maps: &Maps,
    run: &[Step],
    (vanished, config): (&BTreeSet<u32>, ConfigWriter<'_>),
) -> Result<(), DatapathError> {
    /// Hands the keys and values of one kind of step to a table.
    macro_rules! put {
        ($table:ident, $kind:ident, $key:expr, $value:expr) => {{
            let entry = |step: &Step| if let Step::$kind(k, v) = step { Some(($key(k), $value(v))) } else { None };
            put(&maps.$table, run.iter().filter_map(entry))
        }};
    }
    macro_rules! remove {
        ($table:ident, $kind:ident, $key:expr) => {{
            let key = |step: &Step| if let Step::$kind(k) = step { Some($key(k)) } else { None };
            remove(&maps.$table, run.iter().filter_map(key))
        }};
    }
    /// Hands the exact endpoints of one kind of step to their table.
    macro_rules! endpoints {
        ($what:ident, $table:ident, $kind:ident) => {{
            let entry = |step: &Step| if let Step::$kind(k, v) = step { Some((*k, *v)) } else { None };
            endpoints::$what(&maps.$table, run.iter().filter_map(entry), vanished)
        }};
    }
    let Some(first) = run.first() else { return Ok(()) };
    match first {
        Step::PutEndpoint4(..) => endpoints!(put, endpoints4, PutEndpoint4),
        Step::PutEndpoint6(..) => endpoints!(put, endpoints6, PutEndpoint6),
        Step::PutCidr4(..) => put!(cidrs4, PutCidr4, Cidr4Key::from, same),
        Step::PutCidr6(..) => put!(cidrs6, PutCidr6, Cidr6Key::from, same),
        Step::PutSubnet(..) => put!(subnets, PutSubnet, SubnetTrieKey::from, same),
        Step::PutName(..) => put!(names, PutName, NameKey::from, |value: &NameValue| *value),
        Step::PutRuleLabel(..) => put!(rule_labels, PutRuleLabel, same, |label: &RuleLabel| *label),
        Step::RemoveEndpoint4(..) => endpoints!(remove, endpoints4, RemoveEndpoint4),
        Step::RemoveEndpoint6(..) => endpoints!(remove, endpoints6, RemoveEndpoint6),
        Step::RemoveCidr4(..) => remove!(cidrs4, RemoveCidr4, Cidr4Key::from),
        Step::RemoveCidr6(..) => remove!(cidrs6, RemoveCidr6, Cidr6Key::from),
        Step::RemoveSubnet(..) => remove!(subnets, RemoveSubnet, SubnetTrieKey::from),
        Step::RemoveName(..) => remove!(names, RemoveName, NameKey::from),
        _ => run.iter().try_for_each(|step| apply_one(maps, step, (vanished, &mut *config))),
    }
}

/// Steps that come one at a time.
fn apply_one(
    maps: &Maps,
    step: &Step,
    (vanished, write): (&BTreeSet<u32>, ConfigWriter<'_>),
) -> Result<(), DatapathError> {
    match step {
        Step::ClearRuleCounter(rule) => maps.rule_counters.clear(*rule),
        Step::PutGroupLabel(group, label) => maps.group_labels.insert(group, label),
        Step::RemoveGroupLabel(group) => {
            forget_sightings(maps, *group)?;
            maps.group_labels.insert(group, &GroupLabel::new_zeroed())
        }
        Step::RemoveRuleLabel(rule) => maps.rule_labels.insert(rule, &RuleLabel::new_zeroed()),
        Step::PutConfig(config) => write(config),
        Step::PutPort(ifindex, port) => maps.ports.insert(ifindex, port),
        Step::RemovePort(ifindex) => maps.ports.remove(ifindex).map(drop),
        Step::CutFlows(rules) => cut_flows(maps, rules),
        Step::PutEndpoint4(..)
        | Step::PutEndpoint6(..)
        | Step::PutCidr4(..)
        | Step::PutCidr6(..)
        | Step::PutSubnet(..)
        | Step::PutName(..)
        | Step::RemoveName(..)
        | Step::RemoveEndpoint4(..)
        | Step::RemoveEndpoint6(..)
        | Step::RemoveCidr4(..)
        | Step::RemoveCidr6(..)
        | Step::RemoveSubnet(..)
        | Step::PutRuleLabel(..) => apply_run(maps, std::slice::from_ref(step), (vanished, write)),
    }
}

/// Ends every flow that one of these rules allowed.
fn cut_flows(maps: &Maps, rules: &BTreeSet<u32>) -> Result<(), DatapathError> {
    if rules.is_empty() {
        return Ok(());
    }
    let (mut flows4, mut flows6) = (Vec::new(), Vec::new());
    maps.flows4.visit(|key, flow| flows4.extend(rules.contains(&flow.rule).then_some(*key)))?;
    maps.flows6.visit(|key, flow| flows6.extend(rules.contains(&flow.rule).then_some(*key)))?;
    maps.flows4.remove_all(&flows4)?;
    maps.flows6.remove_all(&flows6)
}

/// What a group saw is no history of the next one with its number.
fn forget_sightings(maps: &Maps, group: u32) -> Result<(), DatapathError> {
    let mut gone = Vec::new();
    maps.sightings.visit(|key, _| gone.extend((key.group == group).then_some(*key)))?;
    maps.sightings.remove_all(&gone)
}

/// What the tables hold.
pub(super) fn installed(maps: &Maps) -> Result<Installed, DatapathError> {
    let mut tables = Tables { config: config::in_force(maps)?, ..Tables::default() };
    tables.endpoints4 = maps.endpoints4.entries()?.into_iter().collect();
    tables.endpoints6 = maps.endpoints6.entries()?.into_iter().collect();
    tables.cidrs4 = maps.cidrs4.entries()?.into_iter().map(|(key, value)| (key.into(), value)).collect();
    tables.cidrs6 = maps.cidrs6.entries()?.into_iter().map(|(key, value)| (key.into(), value)).collect();
    tables.subnets = maps.subnets.entries()?.into_iter().map(|(key, value)| (key.into(), value)).collect();
    tables.names = maps.names.entries()?.into_iter().map(|(key, value)| (key.into(), value)).collect();
    tables.ports = maps.ports.entries()?.into_iter().collect();
    maps.rule_labels.visit(|rule, label| {
        if label.used != 0 {
            tables.rule_labels.insert(*rule, *label);
        }
    })?;
    maps.group_labels.visit(|group, label| {
        if label.used != 0 {
            tables.group_labels.insert(*group, *label);
        }
    })?;
    Ok(tables)
}

fn put<K: Plain, V: Plain>(table: &Table<K, V>, entries: impl Iterator<Item = (K, V)>) -> Result<(), DatapathError> {
    let (keys, values): (Vec<K>, Vec<V>) = entries.unzip();
    table.insert_all(&keys, &values)
}

fn remove<K: Plain, V: Plain>(table: &Table<K, V>, keys: impl Iterator<Item = K>) -> Result<(), DatapathError> {
    table.remove_all(&keys.collect::<Vec<K>>())
}

fn same<T: Copy>(value: &T) -> T {
    *value
}
