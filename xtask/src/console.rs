//! Everything that xtask says to people. Progress goes to standard error, so that `cargo xtask lab --json` leaves
//! standard output to the records; only the report of `cargo xtask test` goes to standard output.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the one module that prints")]

use std::io::Write;

/// One line of progress.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// An error with its chain of causes, once.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// One line of the test report. A closed pipe is no reason to stop the tests.
pub(crate) fn report(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        eprintln!("{text}");
    }
}
