//! Alert rules and the dashboard: each expression names only metrics of the table, with labels that they have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use sphere_userspace::datapath::PINNED;
use sphere_userspace::metrics::table::ALL;

use crate::page::page;

/// Labels that a collector adds.
const ADDED: [&str; 2] = ["instance", "job"];

fn packaged(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(path)).unwrap()
}

/// The expressions of the alert rules, each on one line, by the name of its alert.
fn alerts() -> Vec<(String, String)> {
    let text = packaged("prometheus/sphere.rules.yml");
    let lines = text.lines().map(str::trim);
    let mut alerts: Vec<(String, String)> = Vec::new();
    for line in lines {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alerts.push((name.to_owned(), String::new()));
        } else if let Some(expression) = line.strip_prefix("expr: ") {
            alerts.last_mut().unwrap().1 = expression.to_owned();
        }
    }
    alerts
}

/// Every `expr` of the dashboard.
fn panels(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| panels(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| panels(value, found)),
        _ => {}
    }
}

/// The words of an expression outside of quotes.
fn words(expression: &str) -> BTreeSet<String> {
    let outside: String = expression.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = outside.split(|character: char| !character.is_ascii_alphanumeric() && !"_:$".contains(character));
    words.filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic())).map(str::to_owned).collect()
}

/// Words of the query language that stand in these expressions.
const LANGUAGE: [&str; 19] = [
    "absent",
    "and",
    "by",
    "count",
    "increase",
    "m",
    "max",
    "min",
    "on",
    "or",
    "rate",
    "sum",
    "time",
    "topk",
    "vector",
    "unless",
    "group_left",
    "ignoring",
    "without",
];

#[track_caller]
fn assert_known(place: &str, expression: &str) {
    let metrics: BTreeMap<&str, &[&str]> = ALL.iter().map(|metric| (metric.name, metric.labels)).collect();
    let words = words(expression);
    let (named, rest): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.starts_with("sphere_"));
    assert!(!named.is_empty(), "{place} names no metric: {expression}");
    let mut labels: BTreeSet<&str> = ADDED.into();
    for name in named {
        let known = metrics.get(name.as_str());
        labels.extend(*known.unwrap_or_else(|| panic!("{place}: no metric is called {name}: {expression}")));
    }
    for word in rest {
        let is_known = labels.contains(word.as_str()) || LANGUAGE.contains(&word.as_str());
        assert!(is_known, "{place}: `{word}` is no label of these metrics: {expression}");
    }
}

/// Values that labels are compared with, save the dashboard's variables.
fn compared(expression: &str) -> impl Iterator<Item = &str> {
    expression.split('"').skip(1).step_by(2).flat_map(|value| value.split('|')).filter(|value| !value.starts_with('$'))
}

#[test]
fn labels_are_compared_only_with_values_that_they_have() {
    let (page, mut expressions) = (page(), Vec::new());
    panels(&serde_json::from_str(&packaged("grafana/sphere.json")).unwrap(), &mut expressions);
    expressions.extend(alerts().into_iter().map(|(_, expression)| expression));
    let values: BTreeSet<&str> = expressions.iter().flat_map(|expression| compared(expression)).collect();
    assert!(values.len() > 8, "{values:?}");
    for value in values {
        let is_known = PINNED.contains(&value) || page.contains(&format!("=\"{value}\""));
        // Verdicts begin with their first packet.
        assert!(is_known || ["pass", "audit", "deny"].contains(&value), "no label has the value {value}");
    }
}

#[test]
fn alert_rules_name_only_what_there_is() {
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), alerts.len());
    for needed in [
        "SphereInterfaceUnprotected",
        "SphereTableFilling",
        "SphereNameFailing",
        "SphereStorePaused",
        "SphereSamplesLost",
        "SphereAnswersLost",
        "SphereRecordsLost",
        "SphereDenialsUnaccounted",
    ] {
        assert!(names.contains(needed), "{needed}");
    }
    for (name, expression) in &alerts {
        assert_known(name, expression);
    }
}

#[test]
fn the_dashboard_names_only_what_there_is() {
    let dashboard: Value = serde_json::from_str(&packaged("grafana/sphere.json")).unwrap();
    let mut expressions = Vec::new();
    panels(&dashboard, &mut expressions);
    assert!(expressions.len() > 20, "{expressions:?}");
    for expression in &expressions {
        assert_known("dashboard", &expression.replace("[$__rate_interval]", "[5m]"));
    }
}

#[test]
fn what_is_not_in_the_table_is_found() {
    for expression in ["sphere_no_such_thing > 0", "sum by (device) (sphere_devices)", "sphere_devices{group=\"a\"}"] {
        assert!(std::panic::catch_unwind(|| assert_known("test", expression)).is_err(), "{expression}");
    }
}
