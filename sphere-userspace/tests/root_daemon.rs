//! The daemon's life: start, adoption, signals, interfaces that come and go, and every way to refuse.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use sphere_userspace::datapath::{Pins, netlink, port_state, socket_of};
use support::daemon::{Daemon, allow, eventually, policy};
use support::frames::{send_frame, syn};
use support::{isolated, mount_bpffs, run, scratch, sphere_output, veth};

const ROOT: &str = "/sys/fs/bpf/sphere";

fn status() -> serde_json::Value {
    let output = sphere_output(&["status", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn is_guarded() -> bool {
    let links = netlink::links().unwrap();
    port_state(&Pins::new(Path::new(ROOT)), "lan0", &links).unwrap().unprotected().is_none()
}

/// Runs `sphere run` with a policy, which must refuse; gives back its exit code and what it said.
fn refused(policy: &str) -> (i32, String) {
    let path = scratch("refused").join("policy.toml");
    std::fs::write(&path, policy).unwrap();
    told(&sphere_output(&["run", "--config", path.to_str().unwrap()]))
}

fn told(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn enforcement_begins_before_ready_and_outlives_the_daemon() {
    isolated("enforcement_begins_before_ready_and_outlives_the_daemon", || {
        mount_bpffs();
        veth("lan0", "dev0");
        run("ip", &["addr", "add", "10.20.0.1/24", "dev", "lan0"]);
        let mut daemon = Daemon::start(&policy("lan0", &allow("203.0.113.7")));
        assert!(is_guarded());
        let now = status();
        assert_eq!(now["schema"], "sphere.status/1");
        assert_eq!(now["daemon"], "running");
        assert_eq!(now["ports"][0]["interface"], "lan0");
        assert_eq!(now["ports"][0]["ingress"], "xdp-native");
        assert_eq!(now["ports"][0]["state"], "protected");
        assert_eq!(now["groups"][0]["name"], "devices");
        assert_eq!(now["groups"][0]["mode"], "enforce");
        assert_eq!(now["groups"][0]["subnets"][0], "10.20.0.0/24");
        assert!(now["clock"]["ticks_per_second"].as_u64().unwrap() >= 24);
        assert!(now["programs"][0]["verified_instructions"].as_u64().unwrap() > 0);
        assert!(
            now["rules"].as_array().unwrap().iter().any(|rule| rule["label"].as_str().unwrap().contains("203.0.113.7"))
        );

        assert_eq!(daemon.stop(Signal::SIGTERM).code(), Some(0));
        assert_eq!(status()["daemon"], "stopped");
        assert!(is_guarded());

        let table = sphere_output(&["status"]);
        let text = String::from_utf8(table.stdout).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("protected"), "{text}");

        assert!(sphere_output(&["detach"]).status.success());
        assert!(!Path::new(ROOT).exists());
        assert!(netlink::links().unwrap().iter().all(|link| link.xdp.is_empty()));
        assert_eq!(sphere_output(&["status"]).status.code(), Some(5));
    });
}

#[test]
fn a_killed_daemon_leaves_everything_to_its_successor() {
    isolated("a_killed_daemon_leaves_everything_to_its_successor", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut first = Daemon::start(&policy("lan0", &allow("203.0.113.7")));
        let programs = status()["programs"].clone();
        first.stop(Signal::SIGKILL);
        assert!(is_guarded());
        let second = Daemon::start(&policy("lan0", &allow("203.0.113.7")));
        assert_eq!(status()["programs"], programs, "adopted, not loaded again");
        #[allow(clippy::print_stderr, reason = "a figure to look at")]
        {
            eprintln!("first start {:?}, adoption {:?}", first.ready_after, second.ready_after);
        }
    });
}

/// Packets by destination, as the files of a store have them.
fn on_disk(store: &Path) -> Vec<(String, i64)> {
    let files = std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let mut lines = Vec::new();
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "sqlite")) {
        let file = rusqlite::Connection::open(path).unwrap();
        let query = "SELECT peer, sum(packets) FROM denied WHERE grp = 'devices' AND reason = 'destination' GROUP BY 1";
        // A file that is being made has no tables yet.
        let Ok(mut query) = file.prepare(query) else { continue };
        lines.extend(query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap));
    }
    lines
}

#[test]
fn denials_are_on_disk_when_the_daemon_stops_and_after_it_was_killed() {
    isolated("denials_are_on_disk_when_the_daemon_stops_and_after_it_was_killed", || {
        mount_bpffs();
        veth("lan0", "dev0");
        run("ip", &["addr", "add", "10.20.0.1/24", "dev", "lan0"]);
        let store = scratch("store").join("denied");
        let directory = format!("directory = \"{}\"", store.display());
        let policy = policy("lan0", &allow("203.0.113.7")).replace("enabled = false", &directory);
        let send = |count| {
            let frame = syn(Ipv4Addr::new(10, 20, 0, 5), Ipv4Addr::new(198, 51, 100, 9), 8443);
            (0..count).for_each(|_| send_frame("dev0", &frame));
        };
        let has = |packets| on_disk(&store) == [("198.51.100.9".to_owned(), packets)];
        let mut daemon = Daemon::start(&policy);
        send(3);
        assert_eq!(daemon.stop(Signal::SIGTERM).code(), Some(0));
        assert!(has(3), "{:?}", on_disk(&store));

        let mut daemon = Daemon::start(&policy);
        send(2);
        eventually("what is denied is on disk", || has(5));
        eventually("status tells so", || status()["store"]["standing"] == "written");
        assert_eq!(status()["store"]["directory"], store.to_str().unwrap());
        assert_eq!(status()["unaccounted"]["packets"], 0);
        let text = String::from_utf8(sphere_output(&["status"]).stdout).unwrap();
        assert!(text.contains("DENIALS ON DISK") && text.contains("complete at"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        daemon.stop(Signal::SIGKILL);
        send(4);
        let mut daemon = Daemon::start(&policy);
        send(1);
        assert_eq!(daemon.stop(Signal::SIGTERM).code(), Some(0));
        assert!(has(10), "{:?}", on_disk(&store));
        assert_eq!(status().get("store"), None, "nobody knows when no daemon runs");
    });
}

#[test]
fn a_store_that_cannot_be_written_changes_nothing_else() {
    isolated("a_store_that_cannot_be_written_changes_nothing_else", || {
        mount_bpffs();
        veth("lan0", "dev0");
        run("ip", &["addr", "add", "10.20.0.1/24", "dev", "lan0"]);
        let place = scratch("store");
        run("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", place.to_str().unwrap()]);
        std::fs::write(place.join("full"), vec![0; 128 << 10]).unwrap_err();
        let directory = format!("directory = \"{}\"\nwhen_full = \"pause\"", place.display());
        let mut daemon = Daemon::start(&policy("lan0", "").replace("enabled = false", &directory));
        let frame = syn(Ipv4Addr::new(10, 20, 0, 5), Ipv4Addr::new(198, 51, 100, 9), 8443);
        send_frame("dev0", &frame);
        assert_eq!(daemon.records().next()["destination.ip"], "198.51.100.9");
        eventually("status tells that there is no room", || status()["store"]["standing"] == "paused");
        assert!(is_guarded());
        std::fs::remove_file(place.join("full")).unwrap();
        run("mount", &["-o", "remount,size=16m", place.to_str().unwrap()]);
        eventually("what waited is on disk", || on_disk(&place) == [("198.51.100.9".to_owned(), 1)]);
        assert_eq!(daemon.stop(Signal::SIGTERM).code(), Some(0));
        run("umount", &[place.to_str().unwrap()]);
    });
}

#[test]
fn a_denied_packet_is_told_on_standard_output() {
    isolated("a_denied_packet_is_told_on_standard_output", || {
        mount_bpffs();
        veth("lan0", "dev0");
        run("ip", &["addr", "add", "10.20.0.1/24", "dev", "lan0"]);
        let mut daemon = Daemon::start(&policy("lan0", &allow("203.0.113.7")));
        let device = Ipv4Addr::new(10, 20, 0, 5);
        send_frame("dev0", &syn(device, Ipv4Addr::new(203, 0, 113, 7), 443));
        send_frame("dev0", &syn(device, Ipv4Addr::new(198, 51, 100, 9), 8443));
        let record = daemon.records().next();
        for (field, value) in [
            ("schema", "sphere.record/1"),
            ("sphere.group", "devices"),
            ("event.action", "deny"),
            ("event.reason", "destination"),
            ("observer.ingress.interface.name", "lan0"),
            ("source.ip", "10.20.0.5"),
            ("source.mac", "02-00-00-00-00-05"),
            ("destination.ip", "198.51.100.9"),
            ("network.transport", "tcp"),
        ] {
            assert_eq!(record[field], value, "{field} of {record}");
        }
        assert_eq!(record["destination.port"], 8443);
        let status = status();
        let subnets = status["tables"].as_array().unwrap().iter().find(|table| table["map"] == "SUBNETS").unwrap();
        let written = status["groups"][0]["subnets"].as_array().unwrap().len();
        assert_eq!(subnets["entries"], written, "subnets that stand in the configuration count too");
        let counters = status["counters"].as_array().unwrap();
        assert!(counters.iter().any(|c| c["reason"] == "endpoint" && c["verdict"] == "pass" && c["packets"] == 1));
        assert!(counters.iter().any(|c| c["reason"] == "destination" && c["verdict"] == "deny" && c["packets"] == 1));
    });
}

#[test]
fn an_interface_that_comes_back_is_guarded_within_a_tenth_of_a_second() {
    isolated("an_interface_that_comes_back_is_guarded_within_a_tenth_of_a_second", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut daemon = Daemon::start(&policy("lan0", ""));
        for _ in 0..5 {
            run("ip", &["link", "del", "lan0"]);
            eventually("status tells that the port is gone", || {
                status()["ports"][0]["state"] == "unprotected: the interface is gone"
            });
            veth("lan0", "dev0");
            let taken = eventually("the port is guarded", is_guarded);
            assert!(taken.as_millis() < 100, "{taken:?}");
            eventually("the port is in the tables", || {
                let ports = status()["tables"].as_array().unwrap().clone();
                ports.iter().any(|table| table["map"] == "PORTS" && table["entries"] == 1)
            });
        }
        run("ip", &["link", "set", "lan0", "down"]);
        run("ip", &["link", "set", "lan0", "name", "was0"]);
        eventually("status tells the new name", || {
            status()["ports"][0]["state"] == "unprotected: the interface is called was0 now"
        });
        veth("lan0", "dev1");
        eventually("another interface of the name is guarded", is_guarded);
        daemon.stop(Signal::SIGTERM);
        run("ip", &["link", "set", "lan0", "down"]);
        run("ip", &["link", "set", "lan0", "name", "new0"]);
        let state = status()["ports"][0]["state"].as_str().unwrap().to_owned();
        assert!(state.starts_with("protected, but called new0 now"), "{state}");
    });
}

#[test]
fn a_policy_is_read_again_on_hang_up_and_a_bad_one_changes_nothing() {
    isolated("a_policy_is_read_again_on_hang_up_and_a_bad_one_changes_nothing", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let daemon = Daemon::start(&policy("lan0", &allow("203.0.113.7")));
        let file = daemon.directory.join("policy.toml");
        let has = |text: &str| {
            status()["rules"].as_array().unwrap().iter().any(|rule| rule["label"].as_str().unwrap().contains(text))
        };
        std::fs::write(&file, policy("lan0", &allow("203.0.113.8"))).unwrap();
        daemon.signal(Signal::SIGHUP);
        daemon.wait_for("READY=1");
        assert!(has("203.0.113.8") && !has("203.0.113.7"));

        for bad in [policy("lan0", "nonsense = 1"), policy("gone0", &allow("203.0.113.9"))] {
            std::fs::write(&file, bad).unwrap();
            daemon.signal(Signal::SIGHUP);
            daemon.wait_for("READY=1");
            assert!(has("203.0.113.8") && is_guarded());
        }
    });
}

#[test]
fn a_second_daemon_is_refused() {
    isolated("a_second_daemon_is_refused", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut daemon = Daemon::start(&policy("lan0", ""));
        let (code, said) = refused(&policy("lan0", ""));
        assert_eq!(code, 6, "{said}");
        assert!(said.contains("another sphere daemon is running"), "{said}");
        let output = sphere_output(&["detach"]);
        assert_eq!(output.status.code(), Some(6));
        assert!(is_guarded());
        let socket = socket_of(Path::new(ROOT));
        let lock = socket.with_extension("lock");
        assert!(lock.exists());
        daemon.stop(Signal::SIGTERM);
        assert!(!lock.exists() && !socket.exists(), "what nobody holds is removed");
    });
}

#[test]
fn a_foreign_xdp_program_is_named_and_nothing_changes() {
    isolated("a_foreign_xdp_program_is_named_and_nothing_changes", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let directory = scratch("other");
        std::fs::write(directory.join("policy.toml"), policy("lan0", "")).unwrap();
        let config = directory.join("policy.toml");
        let other = Command::new(env!("CARGO_BIN_EXE_sphere"))
            .args(["run", "--pin-root", "/sys/fs/bpf/other", "--config"])
            .arg(&config)
            .spawn();
        let mut other = other.unwrap();
        eventually("the other is attached", || netlink::links().unwrap().iter().any(|link| !link.xdp.is_empty()));
        let before = netlink::links().unwrap();
        let (code, said) = refused(&policy("lan0", ""));
        assert_eq!(code, 6, "{said}");
        assert!(said.contains("sphere_ingress") && said.contains("id "), "{said}");
        assert!(said.contains("sphere detach --pin-root DIR"), "{said}");
        assert_eq!(netlink::links().unwrap(), before);
        assert!(!Path::new(ROOT).exists(), "nothing is left behind");
        other.kill().unwrap();
        other.wait().unwrap();
    });
}

#[test]
fn what_the_environment_lacks_is_said_with_its_remedy() {
    isolated("what_the_environment_lacks_is_said_with_its_remedy", || {
        veth("lan0", "dev0");
        if Path::new("/sys/fs/bpf/progs.debug").exists() {
            run("umount", &["-l", "/sys/fs/bpf"]);
        }
        let (code, said) = refused(&policy("lan0", ""));
        assert_eq!(code, 5, "{said}");
        assert!(said.contains("mount -t bpf bpf /sys/fs/bpf"), "{said}");

        mount_bpffs();
        let (code, said) = refused(&policy("gone0", ""));
        assert_eq!(code, 5, "{said}");
        assert!(said.contains("interface gone0 does not exist"), "{said}");
        let warning = said.lines().find(|line| line.contains("pass on `gone0`")).expect("a warning of the port");
        assert!(warning.contains("WARN") && warning.contains("other_sources = \"deny\""), "{said}");
        assert!(!Path::new(ROOT).exists(), "nothing is left behind");

        let path = scratch("capability").join("policy.toml");
        std::fs::write(&path, policy("lan0", "")).unwrap();
        for (dropped, named) in [("-bpf,-sys_admin", "CAP_BPF"), ("-net_admin", "CAP_NET_ADMIN")] {
            let output = Command::new("setpriv")
                .args([
                    "--bounding-set",
                    dropped,
                    "--inh-caps",
                    dropped,
                    env!("CARGO_BIN_EXE_sphere"),
                    "run",
                    "--config",
                ])
                .arg(&path)
                .output()
                .unwrap();
            let (code, said) = told(&output);
            assert_eq!(code, 4, "{said}");
            assert!(said.contains(&format!("missing {named}")), "{said}");
        }
        assert!(!Path::new(ROOT).exists(), "nothing is left behind");
        assert_eq!(netlink::links().unwrap().iter().filter(|link| !link.xdp.is_empty()).count(), 0);
    });
}

#[test]
fn an_invalid_policy_and_wrong_usage_have_their_exit_codes() {
    isolated("an_invalid_policy_and_wrong_usage_have_their_exit_codes", || {
        let (code, said) = refused("version = 1\nnonsense = 2\n");
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("policy.toml:2:1"), "{said}");
        assert_eq!(sphere_output(&["run"]).status.code(), Some(2));
        let help = String::from_utf8(sphere_output(&["--help"]).stdout).unwrap();
        assert!(help.contains("Exit codes:") && help.contains("conflict"), "{help}");
    });
}
