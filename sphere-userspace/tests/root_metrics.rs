//! The metrics of a running daemon, read as a collector reads them.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::daemon::{Daemon, allow, eventually, policy};
use support::frames::{Sender, send_frame, syn};
use support::{isolated, mount_bpffs, run, scratch, sphere_output, veth};

/// Packets that a device sends, none of which is allowed.
const SENT: u64 = 25;
/// Pages that are read while a device floods.
const PAGES: usize = 8;
/// A page is good for a second: after so long it is read anew.
const STALE: Duration = Duration::from_millis(1_010);

/// The samples of a page: each line that is no comment, cut before its value.
fn scrape(socket: &Path) -> BTreeMap<String, f64> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(&format!("Content-Length: {}", page.len())),
        "{head}"
    );
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
        let store = format!("[store]\ndirectory = \"{}\"", scratch("metrics").join("store").display());
        let policy = policy("lan0", &(allow("203.0.113.7") + &metrics)).replace("[store]\nenabled = false", &store);
        let mut daemon = Daemon::start(&policy);
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
        // A policy that is refused stays visible until one is taken.
        assert_eq!(before["sphere_policy_current"], 1.0);
        std::fs::write(daemon.directory.join("policy.toml"), "nothing").unwrap();
        daemon.signal(Signal::SIGHUP);
        eventually("the refusal is told", || scrape(&socket)["sphere_policy_current"] == 0.0);
        eventually("the store tells who was denied", || {
            let series = "sphere_group_denied_packets_total{group=\"devices\",verdict=\"deny\",reason=\"destination\"}";
            scrape(&socket).get(series).is_some_and(|packets| *packets >= SENT as f64)
        });
        assert_eq!(daemon.stop(Signal::SIGTERM).code(), Some(0));
        assert!(!socket.exists());
    });
}

/// Rules that come to a hundred thousand endpoints, in a policy of less than a mebibyte.
fn many_endpoints() -> String {
    let ports = (1..1000).map(|port| format!("\"tcp/{port}\"")).collect::<Vec<_>>().join(",");
    (0..101).map(|host| format!("[[group.allow]]\naddress = \"203.0.113.{host}\"\nports = [{ports}]\n")).collect()
}

/// Sends denied packets, to ever other destinations, until told to stop; gives back how many.
fn flood(stop: &AtomicBool) -> u64 {
    let sender = Sender::open("dev0");
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..100 {
            let [.., high, low] = (sent as u32 % 50_000).to_be_bytes();
            sender.send(&syn(Ipv4Addr::new(10, 20, 0, 5), Ipv4Addr::new(198, 51, high, low), 8443));
            sent += 1;
        }
    }
    sent
}

#[test]
fn a_page_over_a_hundred_thousand_endpoints_is_read_while_a_device_floods() {
    isolated("a_page_over_a_hundred_thousand_endpoints_is_read_while_a_device_floods", || {
        mount_bpffs();
        veth("lan0", "dev0");
        run("ip", &["addr", "add", "10.20.0.1/24", "dev", "lan0"]);
        let socket = scratch("metrics").join("metrics.sock");
        let more = format!(
            "{}[limits]\nendpoints = 131072\n[metrics]\nlisten = \"unix:{}\"\n",
            many_endpoints(),
            socket.display()
        );
        let mut daemon = Daemon::start(&policy("lan0", &more));
        eventually("the socket is there", || socket.exists());
        let stop = AtomicBool::new(false);
        let (sent, took) = std::thread::scope(|scope| {
            let flooding = scope.spawn(|| flood(&stop));
            let mut took = Vec::new();
            for _ in 0..PAGES {
                // What is measured is a page that is read, not one that is there still.
                std::thread::sleep(STALE);
                let begun = Instant::now();
                let page = scrape(&socket);
                took.push(begun.elapsed());
                assert!(page["sphere_table_entries{table=\"ENDPOINTS4\"}"] >= 100_000.0);
                assert_eq!(page["sphere_scrape_part_ok{part=\"kernel\"}"], 1.0);
                assert_eq!(page["sphere_scrape_part_ok{part=\"daemon\"}"], 1.0);
            }
            stop.store(true, Ordering::Relaxed);
            (flooding.join().unwrap(), took)
        });
        eventually("every packet is counted", || denied_by_status() == sent as f64);
        let slowest = took.iter().max().unwrap();
        assert!(*slowest < Duration::from_secs(5), "{took:?}: shorter than a collector waits");
        #[allow(clippy::print_stderr, reason = "a figure to look at")]
        {
            eprintln!("{sent} packets denied, pages read meanwhile in {took:?}");
        }
        assert_eq!(daemon.stop(Signal::SIGTERM).code(), Some(0));
    });
}
