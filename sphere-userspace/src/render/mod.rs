//! Writes for people and machines: the model in [`Status`], a table or JSON of it.

mod denied;
mod devices;
mod difference;
mod doctor;
mod import;
mod names;
mod policy;
mod policy_lines;
mod status;
mod store;
mod suggest;
mod table;
mod top;
mod usage;

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

pub use denied::{Format, Live};
pub use devices::write_devices;
pub use difference::write_difference;
pub use import::{import_errors_json, imported_json, write_imported};
pub use policy::{policy_errors_json, policy_fingerprint, policy_json, write_policy};
pub use status::Status;
pub use table::write_status;
pub use top::{Colours, draw as draw_top, write_page};
pub use usage::{write_flows, write_rules};

use crate::daemon::{KeptPolicy, Reloaded};
use crate::import::Imported;
use crate::ladder::DevicesReport;
use crate::names::{Explanation, NamesReport};
use crate::policy::{Difference, is_plain};
use crate::store::{Answer, StoreInfo};
use crate::suggest::Suggestions;
use crate::top::Frame;
use crate::usage::{FlowsReport, RulesReport};

/// Writes one JSON object on a line of its own.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    line(&json_text(value)?)
}

/// The JSON of a value on one line, in which nothing acts on a terminal: control characters beyond ASCII and those that
/// turn the direction of text are escaped too.
///
/// # Errors
///
/// When the value has no JSON.
pub fn json_text(value: &impl Serialize) -> io::Result<String> {
    let text = serde_json::to_string(value).map_err(io::Error::other)?;
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_plain(character) {
            escaped.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(escaped, "\\u{unit:04x}").map_err(io::Error::other)?;
            }
        }
    }
    Ok(escaped)
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

/// Writes what was denied.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn denied(answer: &Answer, format: Format) -> io::Result<()> {
    quiet(denied::write_answer(&mut io::stdout().lock(), answer, format))
}

/// Writes the files of the store.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn store(info: &StoreInfo) -> io::Result<()> {
    quiet(store::write_store(&mut io::stdout().lock(), info))
}

/// Writes what differs between two policies.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn difference(difference: &Difference) -> io::Result<()> {
    quiet(write_difference(&mut io::stdout().lock(), difference))
}

/// Writes what `sphere doctor` found.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn doctor(report: &crate::doctor::Report) -> io::Result<()> {
    quiet(doctor::write_report(&mut io::stdout().lock(), report))
}

/// Writes what came of putting another policy in force.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn reloaded(reloaded: &Reloaded) -> io::Result<()> {
    quiet(difference::write_reloaded(&mut io::stdout().lock(), reloaded))
}

/// Writes the policies that are kept.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn kept_policies(kept: &[KeptPolicy]) -> io::Result<()> {
    quiet(difference::write_kept(&mut io::stdout().lock(), kept))
}

/// Writes suggestions as parts of a policy.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn suggestions(suggestions: &Suggestions) -> io::Result<()> {
    quiet(suggest::write_policy_lines(&mut io::stdout().lock(), suggestions))
}

/// Writes suggestions as JSON, one object a line.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn suggestions_json(suggestions: &Suggestions) -> io::Result<()> {
    quiet(suggest::write_json(&mut io::stdout().lock(), suggestions))
}

/// Writes a text as it is.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn text(text: &str) -> io::Result<()> {
    quiet(io::stdout().lock().write_all(text.as_bytes()))
}

/// Writes what was imported as parts of a policy.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn imported(imported: &Imported) -> io::Result<()> {
    quiet(write_imported(&mut io::stdout().lock(), imported))
}

/// Writes every device in a line, or all that is known of one.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn devices(report: &DevicesReport, in_full: bool) -> io::Result<()> {
    quiet(devices::write_devices(&mut io::stdout().lock(), report, in_full))
}

/// Writes the flows that are open.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn flows(report: &FlowsReport) -> io::Result<()> {
    quiet(usage::write_flows(&mut io::stdout().lock(), report))
}

/// Writes the rules with their hits.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn rules(report: &RulesReport) -> io::Result<()> {
    quiet(usage::write_rules(&mut io::stdout().lock(), report))
}

/// Writes what happens now as one page.
///
/// # Errors
///
/// When standard output fails; a reader that went away is no error.
pub fn top_page(frame: &Frame) -> io::Result<()> {
    quiet(top::write_page(&mut io::stdout().lock(), frame))
}

/// Whether colours are wanted: not where `NO_COLOR` is set to anything (<https://no-color.org>).
#[must_use]
pub fn colours() -> Colours {
    Colours::wanted(std::env::var_os("NO_COLOR").as_deref())
}

fn quiet(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn json_acts_on_no_terminal_and_says_the_same() {
        let text = "a\u{1b}[2J\n\u{9b}2J\u{202e}ü\u{1f600}\\";
        let json = json_text(&text).unwrap();
        assert!(json.chars().all(is_plain), "{json:?}");
        assert!(json.contains("\\u009b2J\\u202eü\u{1f600}"), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
