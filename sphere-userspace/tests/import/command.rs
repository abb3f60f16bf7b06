//! `sphere import` as it is run: exit status, and what stands on which stream.

use std::process::{Command, Output};

use serde_json::Value;

use crate::directory;

fn run(folder: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphere"));
    command.arg("import").args(arguments).current_dir(directory(folder)).env_clear().output().unwrap()
}

#[track_caller]
fn outcome(folder: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(folder, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn lines_go_to_standard_output_and_warnings_to_the_other() {
    let (code, lines, said) = outcome("manifests", &["manifest", "service-discovery.json", "dps-and-hub.json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(lines.contains("host = \"contoso.azure-devices.net\"") && !lines.contains("warning"), "{lines}");
    assert!(said.contains("warning: no rule for `_sample-service._tcp.local`") && !said.contains("ports ="), "{said}");
}

#[test]
fn nothing_is_printed_of_files_when_one_has_a_mistake() {
    let (code, lines, said) = outcome("manifests", &["manifest", "dps-and-hub.json", "change-this.json"]);
    assert_eq!((code, lines.as_str()), (Some(3), ""));
    assert!(said.contains("--> change-this.json:8:29") && said.contains("nothing is imported: 1 error"), "{said}");
    let (code, lines, said) = outcome("manifests", &["manifest", "none.json"]);
    assert_eq!((code, lines.as_str()), (Some(3), ""));
    assert!(said.contains("cannot read none.json"), "{said}");
}

#[test]
fn ports_and_prefixes_can_be_said() {
    let port = ["manifest", "dps-and-hub.json", "server-ports.json", "--port", "api.example.com=tcp/443,udp/5000"];
    let (code, lines, said) = outcome("manifests", &[port.as_slice(), &["--from", "10.30.0.0/24"]].concat());
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(
        lines.contains("ports = [\"tcp/443\", \"udp/5000\"]") && lines.contains("from = \"10.30.0.0/24\""),
        "{lines}"
    );
    assert!(lines.ends_with("0 of them incomplete\n"), "{lines}");
    let (code, _, said) = outcome("manifests", &["manifest", "dps-and-hub.json", "--port", "api.exmaple.com=tcp/1"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("no manifest names this host") && said.contains("api.example.com"), "{said}");
}

#[test]
fn wrong_usage_is_told_from_wrong_files() {
    const TAGS: &str = "ServiceTags_Public_20251124.json";
    for arguments in [
        &["manifest"][..],
        &["manifest", "a.json", "--port", "a.example"],
        &["manifest", "a.json", "--port", "a.example=443"],
        &["manifest", "a.json", "--port", "a b=tcp/443"],
        &["manifest", "a.json", "--from", "10.30.0.1/24"],
        &["service-tags", TAGS, "--tag", "AzureIoTHub"],
        &["service-tags", TAGS, "--port", "tcp/8883"],
        &["service-tags", TAGS, "--port", "8883", "--tag", "AzureIoTHub"],
        &["service-tags", TAGS, "--port", "tcp/8883", "--tag", "AzureIotHub"],
        &["service-tags", TAGS, "--port", "tcp/8883", "--tag", "Storage"],
    ] {
        let (code, lines, said) = outcome("service-tags", arguments);
        assert_eq!((code, lines.as_str()), (Some(2), ""), "{arguments:?}: {said}");
        assert!(!said.is_empty());
    }
    let wrong = outcome("service-tags", &["service-tags", "wrong.json", "--port", "tcp/8883", "--tag", "AzureSphere"]);
    assert_eq!((wrong.0, wrong.1.as_str()), (Some(3), ""), "{}", wrong.2);
}

#[test]
fn an_old_file_of_tags_is_told_by_its_name() {
    let arguments = ["--tag", "AzureIoTHub.WestEurope", "--port", "tcp/8883,tcp/443", "--family", "v4"];
    let file = ["service-tags", "ServiceTags_Public_20251124.json"];
    let (code, lines, said) = outcome("service-tags", &[file.as_slice(), &arguments].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("days old by its name"), "{said}");
    assert!(lines.contains("change 4") && lines.contains("cidr = \"13.69.192.42/31\""), "{lines}");
}

#[test]
fn json_is_one_object_either_way() {
    let object = |arguments: &[&str]| -> (Option<i32>, Value) {
        let (code, lines, said) = outcome("manifests", arguments);
        assert_eq!((lines.lines().count(), said.as_str()), (1, ""), "{lines}");
        (code, serde_json::from_str(&lines).unwrap())
    };
    let (code, valid) = object(&["manifest", "--json", "dps-and-hub.json", "server-ports.json"]);
    assert_eq!((code, &valid["schema"], &valid["valid"]), (Some(0), &"sphere.import/1".into(), &true.into()));
    assert_eq!(valid["rules"].as_array().unwrap().len(), 4);
    assert_eq!(valid["rules"][3]["services"], serde_json::json!([]));
    assert_eq!((&valid["incomplete"], valid["listeners"].as_array().unwrap().len()), (&3.into(), 2));
    let (code, invalid) = object(&["manifest", "--json", "bad-ports.json"]);
    assert_eq!((code, &invalid["valid"], &invalid["errors"]), (Some(3), &false.into(), &8.into()));
    assert_eq!(invalid["diagnostics"][0]["line"], 8);
}
