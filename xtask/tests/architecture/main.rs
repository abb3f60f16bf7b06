//! Holds what ARCHITECTURE.md promises about the crates: who depends on whom, where `unsafe` and aya may be, and what
//! the pure code never does. Each failure names the file and the line.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::Source;

/// Dependencies of each crate, its tests' apart. `Ours` lists crates of the workspace only, `All` lists every crate.
enum Allowed {
    All(&'static [&'static str]),
    Ours(&'static [&'static str]),
}

const DEPENDENCIES: [(&str, Allowed); 6] = [
    ("sphere-common", Allowed::All(&["zerocopy"])),
    ("sphere-ebpf", Allowed::All(&["aya-ebpf", "aya-log-ebpf", "sphere-common"])),
    ("sphere-userspace", Allowed::Ours(&["sphere-common"])),
    ("sphere-lab", Allowed::Ours(&["sphere-common", "sphere-userspace"])),
    ("sphere-benches", Allowed::Ours(&["sphere-common", "sphere-lab", "sphere-userspace"])),
    ("xtask", Allowed::Ours(&[])),
];
const CRATES: [&str; 6] = ["sphere-common", "sphere-ebpf", "sphere-userspace", "lab", "benches", "xtask"];
const UNSAFE: [&str; 4] =
    ["sphere-ebpf/", "sphere-common/src/abi/", "sphere-userspace/src/datapath/", "sphere-userspace/tests/kernel/"];
const AYA: [&str; 2] = ["sphere-userspace/src/datapath/", "sphere-userspace/tests/kernel/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every source file of the workspace, with its path from the root.
fn sources() -> Vec<Source> {
    let root = root();
    let sources: Vec<Source> = CRATES.iter().flat_map(|name| source::below(&root, &root.join(name))).collect();
    assert!(sources.len() > 20, "only {} source files found below {}", sources.len(), root.display());
    sources
}

/// Fails with every line that offends.
fn assert_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn crates_depend_in_one_direction() {
    let metadata = metadata();
    let manifests: BTreeMap<&str, Vec<&str>> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let shipped = dependencies.filter(|dependency| dependency["kind"] != "dev");
            (package["name"].as_str().unwrap(), shipped.map(|found| found["name"].as_str().unwrap()).collect())
        })
        .collect();
    let mut offences = Vec::new();
    for (name, dependencies) in &manifests {
        let Some((_, allowed)) = DEPENDENCIES.iter().find(|(known, _)| known == name) else {
            offences.push(format!("{name}: a new crate has no rule yet"));
            continue;
        };
        for dependency in dependencies {
            let fine = match allowed {
                Allowed::All(all) => all.contains(dependency),
                Allowed::Ours(ours) => ours.contains(dependency) || !manifests.contains_key(dependency),
            };
            if !fine {
                offences.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    assert_eq!(manifests.len(), DEPENDENCIES.len());
    assert_none("a crate depends on what it must not know", &offences);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let without = CRATES.iter().filter(|name| {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        !manifest.contains("[lints]\nworkspace = true")
    });
    let without: Vec<String> = without.map(|name| (*name).to_owned()).collect();
    assert_none("no `[lints] workspace = true`", &without);
}

#[test]
fn unsafe_code_stays_at_the_kernel_boundary() {
    let sources = sources();
    let elsewhere = sources.iter().filter(|source| !source.is_below(&UNSAFE));
    let offences: Vec<String> = elsewhere.flat_map(|source| source.lines_with_word("unsafe")).collect();
    assert_none("`unsafe` outside sphere-ebpf, abi and datapath", &offences);
}

#[test]
fn only_the_datapath_knows_aya() {
    let sources = sources();
    let elsewhere = sources.iter().filter(|source| !source.is_below(&AYA) && !source.is_below(&["sphere-ebpf/"]));
    let offences: Vec<String> = elsewhere.flat_map(|source| source.lines_with_word("aya")).collect();
    assert_none("aya outside datapath", &offences);
}

#[test]
fn nothing_unwraps_outside_tests() {
    let sources = sources();
    let shipped = sources.iter().filter(|source| !source.is_test());
    let offences: Vec<String> = shipped.flat_map(|source| source.shipped().lines_with(".unwrap()")).collect();
    assert_none("`unwrap()` outside tests", &offences);
}

#[test]
fn common_reads_no_clock_and_does_no_input_or_output() {
    let sources = sources();
    let common = sources.iter().filter(|source| source.is_below(&["sphere-common/src/"]));
    let forbidden =
        ["std::time", "Instant", "SystemTime", "std::fs", "std::io", "std::env", "std::thread", "std::process"];
    let offences: Vec<String> = common
        .flat_map(|source| forbidden.iter().flat_map(|word| source.shipped().lines_with(word)).collect::<Vec<_>>())
        .collect();
    assert_none("a clock, input or output in sphere-common", &offences);
}

/// They build a packet for the deciding code, or read what it has handed over.
const NO_JUDGES: [&str; 2] = ["sphere-userspace/src/names/gateway.rs", "sphere-userspace/src/overhear/"];

#[test]
fn userspace_decides_no_packet_by_other_code() {
    let sources = sources();
    let shipped = sources.iter().filter(|source| source.is_below(&["sphere-userspace/src/", "sphere-ebpf/src/"]));
    let shipped = shipped.filter(|source| !source.is_below(&NO_JUDGES));
    let offences: Vec<String> = shipped.flat_map(|source| source.shipped().lines_with("etherparse")).collect();
    assert_none("a second parser", &offences);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let sources = sources();
    let silent: Vec<String> =
        sources.iter().filter(|source| !source.has_module_doc()).map(|source| source.path().to_owned()).collect();
    assert_none("no `//!` on the first line", &silent);
}
