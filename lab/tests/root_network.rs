//! The lab's networks come and go without a trace.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sphere_lab::net::{Leftovers, Namespace, Network, reap};
use sphere_lab::{process, wait};

/// Names in `/run/netns` with this prefix.
fn namespaces(prefix: &str) -> usize {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).count()
}

/// The id of a process that has ended.
fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
#[ignore = "needs root"]
fn a_dropped_network_leaves_nothing_behind() {
    let network = Network::raise().unwrap();
    let prefix = network.ground.prefix().to_owned();
    let directory = network.ground.path("");
    assert_eq!(namespaces(&prefix), 7);
    assert!(directory.exists());
    drop(network);
    assert_eq!(namespaces(&prefix), 0);
    assert!(!directory.exists());
    assert!(!Path::new("/etc/netns").join(format!("{prefix}-gateway")).exists());
}

#[test]
#[ignore = "needs root"]
fn devices_reach_the_gateway_and_nothing_outside_the_lab() {
    let network = Network::raise().unwrap();
    let device = &network.devices[0];
    device.namespace.ip(&format!("address add {}/24 dev eth0", device.ipv4)).unwrap();
    let ping = |target: &str| {
        let arguments = ["ping", "-c", "1", "-W", "1", target];
        device.run("busybox", &arguments, Duration::from_secs(3)).unwrap().succeeded()
    };
    assert!(ping("10.20.0.1"));
    assert!(!ping("192.0.2.1"));
}

#[test]
#[ignore = "needs root"]
fn what_a_dead_run_left_is_reaped_and_what_lives_is_not() {
    let network = Network::raise().unwrap();
    let dead = format!("sl{}-0", dead_pid());
    let mut leftover = Namespace::create(&format!("{dead}-gateway")).unwrap();
    leftover.keep();
    let mut command = leftover.command("sh");
    command.args(["-c", "echo inside; exec sleep 60"]);
    let log = network.ground.path("sleep.log");
    let mut sleeper = process::Process::start("sleep", command, &log).unwrap();
    // On its way into the namespace it is not one of it yet.
    let inside = || fs::read_to_string(&log).is_ok_and(|said| said.contains("inside")).then_some(());
    wait::until("the process to be in its namespace", Duration::from_secs(10), inside).unwrap();

    let reaped = reap(Leftovers::Dead);

    assert!(reaped.contains(&dead), "{reaped:?}");
    assert_eq!(namespaces(&dead), 0);
    let ended = wait::until("the process to end", Duration::from_secs(5), || (!sleeper.runs()).then_some(()));
    assert!(ended.is_ok(), "a process of the dead run goes on");
    assert!(!reaped.contains(&network.ground.prefix().to_owned()));
    assert_eq!(namespaces(network.ground.prefix()), 7);
}
