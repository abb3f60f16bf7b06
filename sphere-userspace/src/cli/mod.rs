//! The command line: what was typed becomes what is meant, one file per subcommand.

mod check;
mod denied;
mod detach;
mod exit;
mod follow;
mod names;
mod run;
mod status;
mod store;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use exit::{Exit, exit_of};

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
    /// Show the files of the store, or write what they have to another
    #[command(subcommand)]
    Store(store::StoreCommand),
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
            Command::Status { pin_root, json } => status::run(&pin_root, json),
            Command::Names { name, pin_root, json } => names::names(&pin_root, name.as_deref(), json),
            Command::Explain { device, target, pin_root, json } => {
                names::explanation(&pin_root, (device, &target), json)
            }
            Command::Denied(options) => denied::run(options),
            Command::Store(command) => store::run(command),
            Command::Detach { pin_root } => detach::run(&pin_root),
        }
    }
}
