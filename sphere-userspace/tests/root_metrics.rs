//! The metrics of a running daemon, read as a collector reads them.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use support::daemon::{Daemon, allow, eventually, policy};
use support::frames::{send_frame, syn};
use support::{isolated, mount_bpffs, run, scratch, sphere_output, veth};

/// Packets that a device sends, none of which is allowed.
const SENT: u64 = 25;

/// The samples of a page: each line that is no comment, cut before its value.
fn scrape(socket: &Path) -> BTreeMap<String, f64> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--unix-socket"])
        .arg(socket)
        .arg("http://localhost/metrics")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = String::from_utf8(output.stdout).unwrap();
    let samples = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    samples.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

fn denied(samples: &BTreeMap<String, f64>) -> f64 {
    let is_denial = |series: &str| series.starts_with("sphere_packets_total{") && series.contains("verdict=\"deny\"");
    samples.iter().filter(|(series, _)| is_denial(series)).map(|(_, packets)| packets).sum()
}

/// Denied packets as `sphere status --json` has them.
fn denied_by_status() -> f64 {
    let output = sphere_output(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let counters = status["counters"].as_array().unwrap().iter();
    counters.filter(|counter| counter["verdict"] == "deny").map(|counter| counter["packets"].as_f64().unwrap()).sum()
}

#[test]
fn a_collector_reads_the_totals_that_status_tells() {
    isolated("a_collector_reads_the_totals_that_status_tells", || {
        mount_bpffs();
        veth("lan0", "dev0");
        run("ip", &["addr", "add", "10.20.0.1/24", "dev", "lan0"]);
        let socket = scratch("metrics").join("metrics.sock");
        let metrics = format!("[metrics]\nlisten = \"unix:{}\"\n", socket.display());
        let mut daemon = Daemon::start(&policy("lan0", &(allow("203.0.113.7") + &metrics)));
        eventually("the socket is there", || socket.exists());
        let before = scrape(&socket);
        assert_eq!(before["sphere_port_protected{interface=\"lan0\"}"], 1.0);
        assert_eq!(before["sphere_scrape_part_ok{part=\"kernel\"}"], 1.0);
        assert_eq!(before["sphere_scrape_part_ok{part=\"daemon\"}"], 1.0);
        assert_eq!(before["sphere_group_info{group=\"devices\",mode=\"enforce\"}"], 1.0);
        assert!(before["sphere_table_entries{table=\"ENDPOINTS4\"}"] >= 1.0);
        assert!(
            before
                .keys()
                .any(|series| series.starts_with("sphere_rule_packets_total{") && series.contains("203.0.113.7"))
        );

        let frame = syn(Ipv4Addr::new(10, 20, 0, 5), Ipv4Addr::new(198, 51, 100, 9), 8443);
        (0..SENT).for_each(|_| send_frame("dev0", &frame));
        // A page is good for a second.
        eventually("the page has what status has", || {
            let (low, page, high) = (denied_by_status(), denied(&scrape(&socket)), denied_by_status());
            low >= SENT as f64 && low <= page && page <= high
        });
        assert_eq!(daemon.stop(Signal::SIGTERM).code(), Some(0));
        assert!(!socket.exists());
    });
}
