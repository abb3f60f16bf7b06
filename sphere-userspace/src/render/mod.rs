//! Writes for people and machines: the model in [`Status`], a table or JSON of it.

mod names;
mod policy;
mod status;
mod table;

use std::io::{self, Write};

use serde::Serialize;

pub use policy::{policy_errors_json, policy_json, write_policy};
pub use status::Status;
pub use table::write_status;

use crate::names::{Explanation, NamesReport};

/// Writes one JSON object on a line of its own.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(value).map_err(io::Error::other)?;
    line(&text)
}

/// Writes a line.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn line(text: &str) -> io::Result<()> {
    quiet(writeln!(io::stdout().lock(), "{text}"))
}

/// Writes the status as tables.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn status_table(status: &Status) -> io::Result<()> {
    quiet(write_status(&mut io::stdout().lock(), status))
}

/// Writes every name.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn names(report: &NamesReport) -> io::Result<()> {
    quiet(names::write_names(&mut io::stdout().lock(), report))
}

/// Writes an explanation.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn explanation(explanation: &Explanation) -> io::Result<()> {
    quiet(names::write_explanation(&mut io::stdout().lock(), explanation))
}

fn quiet(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
