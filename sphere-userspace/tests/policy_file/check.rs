//! `sphere check` as it is run: exit status, what it prints, and that it needs nothing but the file.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::{Directory, GOOD, with};

fn check(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sphere")).arg("check").args(arguments).arg(file).env_clear().output().unwrap()
}

/// What it says, on whichever stream.
fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[test]
fn a_valid_policy_is_shown_expanded() {
    let directory = Directory::new("check-valid");
    let output = check(&[], &directory.write("policy.toml", GOOD));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{shown}");
    for words in ["sensors", "cameras", "10.20.0.0/24", "api.example.com", "tcp/443", "azure-sphere", "10.30.0.0/24"] {
        assert!(shown.contains(words), "`{words}` is not in:\n{shown}");
    }
    assert!(shown.contains("contoso.device.azure-devices.net") && shown.contains("prod.update.sphere.azure.net"));
    assert!(shown.contains("mode xdp · other sources: IPv4 deny, IPv6 deny"), "{shown}");
    assert!(
        shown.contains("  reserved   192.168.35.0/24\n") && shown.contains("*.devices.example.com (any record type)")
    );
    assert!(!shown.contains('\u{1b}'), "no colour where no terminal is:\n{shown}");
}

#[test]
fn an_invalid_policy_ends_in_3_and_says_all_that_is_wrong() {
    let directory = Directory::new("check-invalid");
    let text = with("\"tcp/8554\"", "\"tcp/70000\"").replace("grace = ", "grase = ");
    let output = check(&[], &directory.write("policy.toml", text));
    assert_eq!(output.status.code(), Some(3));
    let said = said(&output);
    assert!(said.contains("70000") && said.contains("grase") && said.contains("policy.toml:40:1"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[test]
fn a_missing_file_ends_in_3_and_no_file_in_2() {
    let output = check(&[], Path::new("/nonexistent/policy.toml"));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("/nonexistent/policy.toml"));
    let output = Command::new(env!("CARGO_BIN_EXE_sphere")).arg("check").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn json_is_one_object_for_valid_and_invalid_policies() {
    let directory = Directory::new("check-json");
    let output = check(&["--json"], &directory.write("good.toml", GOOD));
    assert_eq!(output.status.code(), Some(0));
    let good: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&good["schema"], &good["valid"]), (&"sphere.check/1".into(), &true.into()));
    assert_eq!(good["groups"][0]["name"], "sensors");
    let rules = good["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["target"] == "api.example.com" && rule["purpose"] == "application"));

    assert_eq!(rules.iter().find(|rule| rule["target"] == "*.devices.example.com").unwrap()["any_type"], true);
    let sensors = &good["groups"][0];
    assert_eq!(
        (&sensors["dns"], &sensors["dns_hold_ms"], &sensors["learn"]),
        (&"drop".into(), &20.into(), &2048.into())
    );
    let port = |name: &str, mode: &str, v4: &str, v6: &str| serde_json::json!({ "name": name, "mode": mode, "other_sources": v4, "other_sources_v6": v6 });
    let ports = [port("lan0", "xdp", "deny", "deny"), port("lan1", "auto", "deny", "deny")];
    assert_eq!(good["interfaces"], serde_json::json!(ports));
    assert_eq!(good["reserved"], serde_json::json!(["192.168.35.0/24"]));

    let text = with("\"tcp/8554\"", "\"tcp/70000\"");
    let output = check(&["--json"], &directory.write("bad.toml", &text));
    assert_eq!(output.status.code(), Some(3));
    let bad: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&bad["valid"], &bad["errors"]), (&false.into(), &1.into()));
    let found = &bad["diagnostics"][0];
    let (line, column) = crate::place_of("\"tcp/70000\"", &text);
    assert_eq!((&found["line"], &found["column"]), (&line.into(), &column.into()));
    assert!(found["message"].as_str().unwrap().contains("70000") && found["remedy"].is_string());
}

#[test]
fn warnings_are_shown_and_the_policy_is_valid() {
    let directory = Directory::new("check-warning");
    let text = format!("{GOOD}\n[[interface]]\nname = \"lan7\"\n");
    let output = check(&[], &directory.write("policy.toml", text));
    assert_eq!(output.status.code(), Some(0));
    let said = said(&output);
    assert!(said.contains("warning") && said.contains("lan7"), "{said}");
}

#[test]
fn names_that_may_lead_to_private_addresses_are_marked() {
    let directory = Directory::new("check-private");
    let options = "ntp = [\"ntp.example.net\", \"10.20.0.123\"]";
    let output = check(&[], &directory.write("policy.toml", with("ntp = true", options)));
    let shown = String::from_utf8(output.stdout).unwrap();
    for name in ["ntp.example.net", "nas.example.com"] {
        assert!(shown.contains(&format!("    {name} (private addresses too)\n")), "{shown}");
    }
    assert_eq!(shown.matches("private addresses").count(), 2, "an address is what it is:\n{shown}");
}

/// Columns of a line of a report.
const COLUMNS: usize = 80;

/// Lines wider than a report may be, apart from words that cannot be broken.
fn too_wide(said: &str) -> Vec<&str> {
    let wide = said.lines().filter(|line| line.chars().count() > COLUMNS);
    wide.filter(|line| line.split_whitespace().count() > 1).collect()
}

#[test]
fn reports_fit_80_columns_where_no_terminal_is() {
    let directory = Directory::new("check-width");
    let many: Vec<String> = (1..60).map(|number| format!("\"192.0.2.{number}\"")).collect();
    let text = with("[\"gateway\", \"198.51.100.53\"]", &format!("[{}]", many.join(", ")))
        .replace("\"maintenance\"", &format!("\"{}\"", "the words of the operator ".repeat(12)))
        .replace(
            "\"lan0\", \"lan1\"",
            "\"lan0\", \"a-long-name-of1\", \"a-long-name-of2\", \"a-long-name-of3\", \"lan1\"",
        );
    let output = check(&[], &directory.write("policy.toml", &text));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(too_wide(&said), Vec::<&str>::new(), "{said}");
    assert!(said.contains("192.0.2.59") && said.contains("a-long-name-of3"), "{said}");
}

#[test]
fn errors_fit_80_columns_where_no_terminal_is() {
    let directory = Directory::new("check-width-errors");
    let text = with("grace = ", "grase_of_a_very_long_name_that_nobody_would_ever_write_in_a_policy = ")
        .replace("\"10.21.0.0/24\"", "\"10.20.0.0/16\", \"fd00:20:0000:0000:0000:0000:0000:0001/64\"")
        .replace("devices = 512", "devices = 999999999999999999999999999999999999999999999999999999999999")
        .replace(
            "ports = [\"tcp/8554\"]",
            &format!("ports = [\"tcp/8554\"{}, \"tcp/70000\"]", ", \"tcp/8555\"".repeat(20)),
        );
    let output = check(&[], &directory.write("policy.toml", &text));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(too_wide(&said), Vec::<&str>::new(), "{said}");
    assert!(said.contains("70000"), "{said}");
}

#[test]
fn of_very_long_lines_the_place_is_named() {
    let directory = Directory::new("check-long-line");
    let rules = |count| vec!["{ host = \"printer.local\", ports = [\"tcp/1\", \"tcp/0\"] }"; count].join(", ");
    let text = |count| with("interfaces = [\"lan0\"]", &format!("interfaces = [\"lan0\"]\nallow = [{}]", rules(count)));
    let long = text(10_000).replace("[[group.allow]]", "[[group.deny]]");
    let line = 1 + long.lines().position(|line| line.starts_with("allow = [")).unwrap();
    let said = said(&check(&[], &directory.write("policy.toml", long)));
    let widest = said.lines().map(str::len).max().unwrap();
    assert!(widest <= 4096, "{widest}");
    assert!(said.contains("`tcp/0`") && said.contains(&format!("policy.toml:{line}:")), "{}", &said[..1000]);
}
