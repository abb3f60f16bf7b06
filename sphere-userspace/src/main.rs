//! The binary `sphere`: command line, logging, exit code.

use std::io::{self, IsTerminal};

use clap::Parser;
use sphere_userspace::cli::{Arguments, Exit, exit_of};
use sphere_userspace::policy::{PolicyErrors, plain};
use tracing_subscriber::EnvFilter;

fn main() -> Exit {
    let arguments = Arguments::parse();
    // Records own standard output; what is said to people goes to standard error.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(filter)
        .init();
    match arguments.execute() {
        Ok(exit) => exit,
        // A reader that went away, such as `head`, has read enough.
        Err(error) if is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            tell(&error);
            exit_of(&error)
        }
    }
}

/// Only of standard output: a daemon that went away is another matter, and told with what led to it.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The error and what led to it, once.
#[allow(clippy::print_stderr, reason = "the one place where an error is printed")]
fn tell(error: &anyhow::Error) {
    if let Some(errors) = error.downcast_ref::<PolicyErrors>() {
        // Snippets of the file, which stand on lines of their own.
        return eprintln!("{errors}");
    }
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    eprintln!("sphere: {}", plain(&chain.join(": ")));
}
