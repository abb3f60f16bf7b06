//! What cannot work is refused with a clear message and the documented exit status, and nothing is changed.

mod foreign;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Scenario;
use crate::lab::Lab;
use crate::process;
use crate::report::Report;
use crate::sphere::Sphere;

const LIMIT: Duration = Duration::from_secs(8);

/// Documented exit codes of `sphere`.
mod exit {
    pub(super) const USAGE: i32 = 2;
    pub(super) const POLICY: i32 = 3;
    pub(super) const PERMISSION: i32 = 4;
    pub(super) const ENVIRONMENT: i32 = 5;
    pub(super) const CONFLICT: i32 = 6;
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct BadInput;

impl Scenario for BadInput {
    fn name(&self) -> &'static str {
        "badinput"
    }

    fn purpose(&self) -> &'static str {
        "what cannot work is refused: clear message, documented exit status, nothing changed"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        let sphere = lab.sphere()?;
        let good = sphere.policy().render();
        check_good(lab, &sphere, report)?;
        for case in policies(&good) {
            let path = lab.network.ground.path("bad.toml");
            std::fs::write(&path, &case.text)?;
            let path = path.display().to_string();
            let mut check = Command::new(sphere.binary());
            check.args(["check", &path]);
            refuse(lab, report, &Refusal { what: &case.what, code: exit::POLICY, words: &case.words }, check)?;
            let what = format!("{}, run", case.what);
            let run = sphere.command(&["run", "--config", &path]);
            refuse(lab, report, &Refusal { what: &what, code: exit::POLICY, words: &case.words }, run)?;
        }
        sphere.configure(&sphere.policy())?;
        environments(lab, &sphere, report)?;
        conflicts(lab, &sphere, report)
    }
}

/// The policy that all bad ones are made from is fine: they are refused for what is wrong with them.
fn check_good(lab: &Lab, sphere: &Sphere, report: &mut Report) -> Result<()> {
    sphere.configure(&sphere.policy())?;
    let mut check = Command::new(sphere.binary());
    check.arg("check").arg(sphere.config());
    let before = attached(lab)?;
    let done = process::run(check, LIMIT)?;
    let ok = done.succeeded() && before == attached(lab)?;
    let seen = if done.succeeded() { "exit status 0".to_owned() } else { done.stderr };
    report.check("a good policy, checked", "exit status 0, nothing changed", (seen, ok));
    Ok(())
}

/// A policy that must be refused, and what the message must name.
struct BadPolicy {
    what: String,
    text: String,
    words: Vec<String>,
}

fn policies(good: &str) -> Vec<BadPolicy> {
    let last_line = good.lines().count() + 1;
    let appended = |what: &str, line: &str, words: &[&str]| {
        let mut words: Vec<String> = words.iter().map(ToString::to_string).collect();
        words.push(format!(":{last_line}:"));
        BadPolicy { what: what.to_owned(), text: format!("{good}{line}\n"), words }
    };
    let overlapping = good.to_owned()
        + "\n[[group]]\nname = \"other\"\ninterfaces = [\"lan0\"]\nsubnets = [\"10.20.0.128/25\"]\nresolvers = [\"gateway\"]\n";
    let several = good.replace("[limits]", "[limits]\nendpoint = 5\n[limitz]");
    vec![
        appended("unknown key", "portz = [\"tcp/1\"]", &["portz"]),
        appended("wrong port", "[[group.allow]]\nhost = \"a.example\"\nports = [\"tcp/70000\"]", &["70000"]).shifted(2),
        appended("unknown mode", "[[group]]\nname = \"x\"\nmode = \"lenient\"", &["lenient"]).shifted(2),
        BadPolicy {
            what: "overlapping groups".to_owned(),
            text: overlapping,
            words: ["10.20.0.128/25", "10.20.0.0/24"].map(str::to_owned).to_vec(),
        },
        BadPolicy {
            what: "the serial link's subnet as device subnet".to_owned(),
            text: good.replace("10.20.0.0/24", "192.168.35.0/24"),
            words: vec!["192.168.35.0/24".to_owned()],
        },
        BadPolicy {
            what: "two errors at once".to_owned(),
            text: several.replace("udp/7000", "udp/0x7000"),
            words: ["limitz", "udp/0x7000"].map(str::to_owned).to_vec(),
        },
    ]
}

impl BadPolicy {
    /// The error is on a line further down.
    fn shifted(mut self, lines: usize) -> Self {
        let line = self.words.pop().and_then(|word| word.trim_matches(':').parse::<usize>().ok());
        self.words.extend(line.map(|line| format!(":{}:", line + lines)));
        self
    }
}

fn environments(lab: &Lab, sphere: &Sphere, report: &mut Report) -> Result<()> {
    let config = sphere.config().display().to_string();
    let refusal = Refusal { what: "no --config", code: exit::USAGE, words: &words(&["--config"]) };
    refuse(lab, report, &refusal, with(sphere.bare(), &["run"]))?;

    let elsewhere = lab.network.ground.path("no-interface.toml");
    std::fs::write(&elsewhere, sphere.policy().render().replace("lan0", "lan9"))?;
    let run = sphere.command(&["run", "--config", &elsewhere.display().to_string()]);
    let refusal = Refusal { what: "no such interface", code: exit::ENVIRONMENT, words: &words(&["lan9"]) };
    refuse(lab, report, &refusal, run)?;

    let mut run = lab.network.gateway.command("setpriv");
    run.args(["--bounding-set=-bpf,-net_admin,-perfmon,-sys_admin"]).arg(sphere.binary());
    run.args(["run", "--config", &config, "--pin-root"]).arg(sphere.pin_root());
    let refusal = Refusal { what: "no capability", code: exit::PERMISSION, words: &words(&["CAP_"]) };
    refuse(lab, report, &refusal, run)?;

    let plain = lab.network.ground.path("no-bpffs");
    std::fs::create_dir_all(&plain)?;
    let plain = plain.join("sphere").display().to_string();
    let run = with(sphere.bare(), &["run", "--config", &config, "--pin-root", &plain]);
    let refusal = Refusal { what: "no BPF file system", code: exit::ENVIRONMENT, words: &words(&["mount -t bpf"]) };
    refuse(lab, report, &refusal, run)
}

fn conflicts(lab: &mut Lab, sphere: &Sphere, report: &mut Report) -> Result<()> {
    let config = sphere.config().display().to_string();
    foreign::attach(&lab.network).context("cannot attach a foreign program")?;
    let run = sphere.command(&["run", "--config", &config]);
    let refusal =
        Refusal { what: "foreign XDP program", code: exit::CONFLICT, words: &words(&["lan0", "someone_elses"]) };
    refuse(lab, report, &refusal, run)?;
    foreign::detach(&lab.network.gateway)?;

    lab.daemon = Some(sphere.start()?);
    let run = sphere.command(&["run", "--config", &config]);
    let refusal = Refusal { what: "another daemon", code: exit::CONFLICT, words: &words(&["another sphere daemon"]) };
    refuse(lab, report, &refusal, run)
}

/// What must be refused, with which status and message.
struct Refusal<'a> {
    what: &'a str,
    code: i32,
    words: &'a [String],
}

fn refuse(lab: &Lab, report: &mut Report, refusal: &Refusal<'_>, command: Command) -> Result<()> {
    let before = attached(lab)?;
    let done = process::run(command, LIMIT)?;
    let after = attached(lab)?;
    let missing: Vec<&String> = refusal.words.iter().filter(|word| !done.stderr.contains(word.as_str())).collect();
    let mut seen = match done.code {
        Some(code) => format!("exit status {code}: {}", done.stderr.lines().next_back().unwrap_or("no message")),
        None => "had to be killed".to_owned(),
    };
    if !missing.is_empty() {
        seen += &format!(" (the message does not name {missing:?})");
    }
    if before != after {
        seen += &format!(" (changed: {before:?} to {after:?})");
    }
    let ok = done.code == Some(refusal.code) && missing.is_empty() && before == after;
    report.check(refusal.what, format!("exit status {}, nothing changed", refusal.code), (seen, ok));
    Ok(())
}

/// What is attached to the device port, and what is pinned.
fn attached(lab: &Lab) -> Result<(Vec<String>, Vec<String>)> {
    let text = process::must(with(lab.network.gateway.command("ip"), &["-d", "link", "show", "lan0"]), LIMIT)?;
    let programs = text.lines().filter(|line| line.contains("prog/xdp")).map(|line| line.trim().to_owned());
    let filters = with(lab.network.gateway.command("tc"), &["qdisc", "show", "dev", "lan0"]);
    let filters = process::must(filters, LIMIT)?;
    let attached = programs.chain(filters.lines().map(str::to_owned)).collect();
    let mut list = Command::new("find");
    list.arg(lab.network.ground.bpffs());
    let mut pins: Vec<String> = process::must(list, LIMIT)?.lines().map(str::to_owned).collect();
    pins.sort();
    Ok((attached, pins))
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
