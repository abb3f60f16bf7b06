//! What the tests that need root share: namespaces of their own, a BPF file system of their own, and a way to say why
//! they did not run.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::let_underscore_must_use,
    reason = "a test that panics has failed"
)]

pub(crate) mod daemon;
pub(crate) mod frames;

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Set in the process that runs inside the namespaces.
const INSIDE: &str = "SPHERE_TEST_INSIDE";

/// Runs the body of the test of this name in network, mount and process namespaces that end with it: this binary is run again,
/// inside, for this test only.
pub(crate) fn isolated(name: &str, body: impl FnOnce()) {
    if env::var(INSIDE).as_deref() == Ok(name) {
        return body();
    }
    if !nix::unistd::geteuid().is_root() {
        assert!(env::var("CI").as_deref() != Ok("true"), "{name} needs root, and CI must not skip it");
        eprintln!("skipped {name}: it makes network namespaces and loads BPF programs, which needs root");
        return;
    }
    let inside = Command::new("unshare")
        // The process namespace takes whatever the test started with it to its end.
        .args(["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, name)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    // Set off from the left: its result is part of this one, and must not count as another.
    for line in String::from_utf8_lossy(&inside.stdout).lines() {
        println!("  {line}");
    }
    assert!(inside.status.success(), "{name} failed inside its namespaces: {}", inside.status);
}

/// The kernel's release: its first two numbers.
pub(crate) fn kernel_release() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|part| part.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// A BPF file system at its usual place, in this mount namespace only.
pub(crate) fn mount_bpffs() {
    run("mount", &["-t", "bpf", "bpf", "/sys/fs/bpf"]);
}

/// A pair of virtual interfaces, both up: a device port and the device's end.
pub(crate) fn veth(port: &str, device: &str) {
    run("ip", &["link", "add", port, "type", "veth", "peer", "name", device]);
    run("ip", &["link", "set", port, "up"]);
    run("ip", &["link", "set", device, "up"]);
}

/// Runs a program that must succeed; gives back what it wrote.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The binary under test.
pub(crate) fn sphere() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sphere"))
}

/// Runs `sphere` to its end.
pub(crate) fn sphere_output(arguments: &[&str]) -> Output {
    sphere().args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A directory of this test's own.
pub(crate) fn scratch(name: &str) -> PathBuf {
    nix::unistd::mkdtemp(&env::temp_dir().join(format!("sphere-{name}-XXXXXX"))).unwrap()
}
