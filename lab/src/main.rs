//! `sphere-lab`: raises a network of namespaces and runs scenarios in it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use sphere_lab::clients::websocket;
use sphere_lab::lab::Lab;
use sphere_lab::net::{self, Leftovers, Network};
use sphere_lab::packages::PACKAGES;
use sphere_lab::render;
use sphere_lab::report::Report;
use sphere_lab::scenario::{self, Scenario};

/// Isolated networks – devices, gateway, internet – with real servers and clients, to see the gateway at work.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Scenarios to run, one after the other.
    #[arg(value_name = "NAME", default_value = "fleet")]
    scenarios: Vec<String>,
    /// List the scenarios.
    #[arg(long)]
    list: bool,
    /// Print one JSON object per scenario, on a line of its own.
    #[arg(long)]
    json: bool,
    /// Leave the network running afterwards, for a look with ordinary tools.
    #[arg(long)]
    keep: bool,
    /// Remove networks left by --keep, or by runs that were killed.
    #[arg(long)]
    clean: bool,
    /// Print the Debian packages the lab needs, one a line.
    #[arg(long)]
    packages: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
            say(&format!("sphere-lab: {}", chain.join(": ")));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    if let Some(word) = client(&std::env::args().collect::<Vec<_>>())? {
        writeln!(io::stdout(), "{word}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    if arguments.packages {
        return print(&PACKAGES.join("\n"));
    }
    if arguments.list {
        let lines = scenario::all().iter().map(|scenario| format!("{:<10} {}", scenario.name(), scenario.purpose()));
        return print(&lines.collect::<Vec<_>>().join("\n"));
    }
    ensure!(nix::unistd::geteuid().is_root(), "root is needed to make network namespaces");
    if arguments.clean {
        let reaped = net::reap(Leftovers::DeadAndKept);
        return print(&removed(&reaped));
    }
    let scenarios = arguments
        .scenarios
        .iter()
        .map(|name| scenario::named(name).with_context(|| format!("no scenario {name}; --list lists them")));
    let scenarios: Vec<_> = scenarios.collect::<Result<_>>()?;
    clean_up_on_signals()?;
    net::reap(Leftovers::Dead);
    run_all(&arguments, &scenarios)
}

/// What was removed, in words.
fn removed(networks: &[String]) -> String {
    match networks {
        [] => "nothing to remove".to_owned(),
        [one] => format!("removed the network {one}"),
        many => format!("removed {} networks: {}", many.len(), many.join(" ")),
    }
}

fn run_all(arguments: &Arguments, scenarios: &[&'static dyn Scenario]) -> Result<ExitCode> {
    let mut all_passed = true;
    for scenario in scenarios {
        say(&format!("{}: {}", scenario.name(), scenario.purpose()));
        let (report, lab) = carry_through(*scenario)?;
        all_passed &= report.passed;
        let mut stdout = io::stdout().lock();
        if arguments.json {
            writeln!(stdout, "{}", serde_json::to_string(&report)?)?;
        } else {
            render::report(&mut stdout, &report)?;
        }
        if arguments.keep {
            say(&directions(&lab.keep()?));
        }
    }
    Ok(if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a scenario on a lab of its own; where it cannot be carried through, the report says so.
fn carry_through(scenario: &dyn Scenario) -> Result<(Report, Lab)> {
    let started = Instant::now();
    let mut lab = Lab::raise()?;
    let mut report = Report::default();
    report.figure("raised_ms", milliseconds(started));
    if let Err(error) = scenario.run(&mut lab, &mut report) {
        let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
        report.error = Some(chain.join(": "));
    }
    report.figure("took_ms", milliseconds(started));
    Ok((report.conclude(scenario.name()), lab))
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The lab's own clients, started inside a namespace by the lab itself.
fn client(arguments: &[String]) -> Result<Option<&'static str>> {
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["client", "websocket", host, port, root] => {
            websocket::run(host, port.parse().context("port")?, &PathBuf::from(root)).map(Some)
        }
        ["client", ..] => bail!("unknown client"),
        _ => Ok(None),
    }
}

/// Ctrl-C must not leave namespaces behind.
fn clean_up_on_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            say("stopped: removing the network");
            net::remove_own();
            std::process::exit(128 + signal);
        }
    })?;
    Ok(())
}

fn directions(network: &Network) -> String {
    let mut text = String::from("\nThe network is still up:\n");
    for namespace in network.namespaces() {
        text += &format!("  {}\n", namespace.name());
    }
    let (gateway, prefix) = (network.gateway.name(), network.ground.prefix());
    text + &format!(
        "Look around:\n  \
         ip netns exec {gateway} tcpdump -ni wan0\n  \
         ip netns exec {prefix}-dev1 curl --cacert {root} https://prod.deviceauth.sphere.azure.net/\n  \
         ip netns exec {gateway} sphere status --pin-root {pins}\n  \
         tail -f {denied}\n\
         Remove it:\n  sphere-lab --clean",
        root = network.ground.path("pki/ca.pem").display(),
        pins = network.ground.bpffs().join("sphere").display(),
        denied = network.ground.path("denied.jsonl").display(),
    )
}

fn print(text: &str) -> Result<ExitCode> {
    writeln!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

fn say(text: &str) {
    // Nobody to tell is no reason to fail.
    writeln!(io::stderr(), "{text}").ok();
}
