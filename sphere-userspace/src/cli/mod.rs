//! The command line: what was typed becomes what is meant, one file per subcommand.

mod check;
mod denied;
mod detach;
mod devices;
mod doctor;
mod exit;
mod export;
mod filter;
mod follow;
mod import;
mod names;
mod reload;
mod run;
mod status;
mod store;
mod suggest;
mod told;
mod top;
mod usage;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

pub use exit::{Exit, exit_of};

use crate::{policy, render};

/// Pin root when neither the command line nor the policy names one.
const DEFAULT_PIN_ROOT: &str = "/sys/fs/bpf/sphere";

/// Sphere: an IoT gateway that enforces what devices may reach, in the kernel.
#[derive(Debug, Parser)]
#[command(name = "sphere", version, max_term_width = 80, after_help = exit::HELP)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enforce a policy until stopped; enforcement outlives this process
    Run {
        /// Policy file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Directory of the pins, instead of the policy's
        #[arg(long, value_name = "DIR")]
        pin_root: Option<PathBuf>,
    },
    /// Check a policy file; needs no privileges
    Check {
        /// Policy file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Find what keeps the gateway from doing its work, and what mends it
    Doctor(doctor::Doctor),
    /// Show what another policy would let pass or deny, per group; needs no privileges
    Diff {
        /// The policy as it is
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The policy as it would be
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Have the daemon read its policy again: checked, shown, then put in force
    Reload(reload::Reload),
    /// Say that a policy stays which was put in force with `reload --confirm`
    Confirm {
        /// Directory of the pins
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
        pin_root: PathBuf,
    },
    /// Go back to a policy that was in force
    Rollback(reload::Rollback),
    /// Print the JSON schema of policy files, for editors
    Schema,
    /// Show what is enforced now, from the kernel; needs no daemon
    Status {
        /// Directory of the pins
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
        pin_root: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show what is known of names: how they resolve, their addresses, who asked
    Names {
        /// Only this name, and names below it
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Directory of the pins
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
        pin_root: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Explain why a device may or may not reach something, now and before
    Explain {
        /// Address of the device
        #[arg(value_name = "DEVICE")]
        device: IpAddr,
        /// NAME or ADDRESS, with :PORT or :PORT/udp behind it
        #[arg(value_name = "TARGET")]
        target: String,
        /// Directory of the pins
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
        pin_root: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show what was denied: how often, since when and why; needs no daemon
    Denied(denied::Options),
    /// Suggest what the policy would have to say to allow what was denied
    Suggest(suggest::Options),
    /// Print policy lines of what other files ask for; needs no privileges
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Print what a policy allows in the formats of others; needs no privileges
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Show the files of the store, or write what they have to another
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Show where devices stand in their boot chain, and what stops them
    Devices {
        /// Only this device, in full
        #[arg(value_name = "ADDRESS")]
        address: Option<IpAddr>,
        /// Directory of the pins
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
        pin_root: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show what is open now
    Flows {
        /// Only flows of this device
        #[arg(long, value_name = "ADDRESS")]
        device: Option<IpAddr>,
        /// Only flows to this name (or one below it), address or prefix
        #[arg(long, value_name = "NAME|CIDR")]
        to: Option<String>,
        /// Directory of the pins
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
        pin_root: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show which rules are used, and which addresses several names share
    Rules {
        /// Only rules that were not used for so many days
        #[arg(long, value_name = "DAYS")]
        unused: Option<u32>,
        /// Directory of the pins
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
        pin_root: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Watch rates, denials, names, tables and losses in a terminal; needs no daemon
    Top {
        /// Seconds between two readings
        #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
        interval: u64,
        /// Print one page after one interval, for which no terminal is needed
        #[arg(long)]
        once: bool,
        /// Directory of the pins
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
        pin_root: PathBuf,
    },
    /// End enforcement: take the programs off every interface and remove the pins
    Detach {
        /// Directory of the pins
        #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_ROOT)]
        pin_root: PathBuf,
    },
}

impl Arguments {
    /// Does what was asked.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong; [`exit_of`] tells the exit code.
    pub fn execute(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Run { config, pin_root } => run::run(&config, pin_root.as_deref()),
            Command::Check { file, json } => check::run(&file, json),
            Command::Doctor(options) => doctor::run(options),
            Command::Diff { old, new, json } => reload::diff((&old, &new), json),
            Command::Schema => {
                render::line(&serde_json::to_string_pretty(&policy::schema())?)?;
                Ok(Exit::Done)
            }
            Command::Reload(options) => reload::reload(options),
            Command::Confirm { pin_root } => reload::confirm(&pin_root),
            Command::Rollback(options) => reload::rollback(options),
            Command::Status { pin_root, json } => status::run(&pin_root, json),
            Command::Names { name, pin_root, json } => names::names(&pin_root, name.as_deref(), json),
            Command::Explain { device, target, pin_root, json } => {
                names::explanation(&pin_root, (device, &target), json)
            }
            Command::Denied(options) => denied::run(options),
            Command::Suggest(options) => suggest::run(options),
            Command::Import(command) => import::run(command),
            Command::Export(command) => export::run(command),
            Command::Store(command) => store::run(command),
            Command::Devices { address, pin_root, json } => devices::run(&pin_root, address, json),
            Command::Flows { device, to, pin_root, json } => usage::flows(&pin_root, (device, to.as_deref()), json),
            Command::Rules { unused, pin_root, json } => usage::rules(&pin_root, unused, json),
            Command::Top { interval, once, pin_root } => top::run(&pin_root, Duration::from_secs(interval), once),
            Command::Detach { pin_root } => detach::run(&pin_root),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_of_every_command_says_what_it_says() {
        let mut sphere = Arguments::command().term_width(80);
        sphere.build();
        check_help(&mut sphere, "sphere");
    }

    /// Compares the help of a command and of those below it.
    fn check_help(command: &mut clap::Command, name: &str) {
        crate::snapshots::check(&format!("{name}-help.txt"), &command.render_long_help().to_string());
        for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
            let path =
                if name == "sphere" { below.get_name().to_owned() } else { format!("{name}-{}", below.get_name()) };
            check_help(below, &path);
        }
    }
}
