//! `sphere top` over what is pinned: its figures next to those of the status, and what it leaves of a terminal.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::daemon::{Daemon, allow, policy};
use support::frames::{send_frame, syn};
use support::{isolated, mount_bpffs, run, sphere_output, veth};

/// Packets that a device sends, none of which is allowed.
const SENT: u64 = 25;
/// What a terminal is told when it goes back to the screen that it had.
const LEAVES: &str = "\u{1b}[?1049l";

/// A gateway that has denied [`SENT`] packets.
fn gateway() -> Daemon {
    mount_bpffs();
    veth("lan0", "dev0");
    run("ip", &["addr", "add", "10.20.0.1/24", "dev", "lan0"]);
    let daemon = Daemon::start(&policy("lan0", &allow("203.0.113.7")));
    let frame = syn(Ipv4Addr::new(10, 20, 0, 5), Ipv4Addr::new(198, 51, 100, 9), 8443);
    (0..SENT).for_each(|_| send_frame("dev0", &frame));
    daemon
}

#[test]
fn a_page_has_the_totals_that_status_tells() {
    isolated("a_page_has_the_totals_that_status_tells", || {
        let mut daemon = gateway();
        let page = || {
            let output = sphere_output(&["top", "--once"]);
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let running = page();
        let status: serde_json::Value = serde_json::from_slice(&sphere_output(&["status", "--json"]).stdout).unwrap();
        let counters = status["counters"].as_array().unwrap().iter();
        let denied: u64 = counters
            .filter(|counter| counter["verdict"] == "deny")
            .map(|counter| counter["packets"].as_u64().unwrap())
            .sum();
        assert!(denied >= SENT);
        let line = |page: &str, begins: &str| {
            let found = page.lines().find(|line| line.starts_with(begins)).map(str::to_owned);
            found.unwrap_or_else(|| panic!("no line begins with {begins:?} in:\n{page}"))
        };
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&line(&running, "denied"))[5], denied.to_string());
        let denial = words(&line(&running, "10.20.0.5 -> 198.51.100.9"));
        assert_eq!(denial[3..=7], ["tcp/8443", "destination", "deny", "0", &SENT.to_string()].map(str::to_owned));
        // Without a daemon the same is told, and that there is none.
        daemon.stop(Signal::SIGTERM);
        let stopped = page();
        assert_eq!(words(&line(&stopped, "denied"))[5], denied.to_string());
        assert!(stopped.contains("\n! no daemon runs"), "{stopped}");
        assert!(stopped.lines().all(|line| line.chars().count() <= 80), "{stopped}");
    });
}

/// `sphere top` in a terminal of its own, in a shell that says how the terminal is set before and after.
struct Session {
    child: Child,
    written: String,
}

impl Session {
    fn start() -> Self {
        let top = format!("echo process $$ .; exec {} top", env!("CARGO_BIN_EXE_sphere"));
        let shell = format!("stty rows 24 columns 80; stty -g; sh -c '{top}'; echo ended $? .; stty -g");
        let child = Command::new("script")
            .args(["--quiet", "--command", &shell, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, written: String::new() }
    }

    /// Reads until a text was written; gives back what stands between it and the next full stop.
    fn after(&mut self, text: &str) -> String {
        let output = self.child.stdout.as_mut().unwrap();
        let mut bytes = [0; 4096];
        loop {
            if let Some((_, rest)) = self.written.rsplit_once(text)
                && let Some((found, _)) = rest.split_once('.')
            {
                return found.trim().to_owned();
            }
            let length = output.read(&mut bytes).unwrap();
            assert!(length > 0, "{text:?} was not written: {:?}", self.written);
            self.written.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    }

    /// Reads to the end. The terminal must be as it was, and the command must have ended well.
    fn end(mut self) {
        assert_eq!(self.after("ended "), "0", "{:?}", self.written);
        self.child.stdout.take().unwrap().read_to_string(&mut self.written).unwrap();
        self.child.wait().unwrap();
        assert!(self.written.contains(LEAVES), "{:?}", self.written);
        // Lines as stty writes them, whose parts colons separate.
        let is_setting = |line: &&str| line.matches(':').count() > 20;
        let settings: Vec<&str> = self.written.lines().map(str::trim).filter(is_setting).collect();
        assert_eq!(settings.len(), 2, "{:?}", self.written);
        assert_eq!(settings[0], settings[1]);
    }
}

#[test]
fn the_terminal_is_left_as_it_was_found_by_a_key_and_by_a_signal() {
    isolated("the_terminal_is_left_as_it_was_found_by_a_key_and_by_a_signal", || {
        let _daemon = gateway();
        for key in ["q", "\u{1b}", "\u{3}", "?\tpsq"] {
            let mut session = Session::start();
            session.after("10.20.0");
            session.child.stdin.as_mut().unwrap().write_all(key.as_bytes()).unwrap();
            session.end();
        }
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let mut session = Session::start();
            let process = session.after("process ").parse().unwrap();
            session.after("10.20.0");
            kill(Pid::from_raw(process), signal).unwrap();
            session.end();
        }
    });
}

#[test]
fn without_a_terminal_the_way_out_is_said() {
    let output = sphere_output(&["top"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("sphere top --once") && told.contains("sphere status"), "{told}");
    assert_eq!(sphere_output(&["top", "--interval", "0"]).status.code(), Some(2));
}
