//! What is wrong with a file or worth a warning, told to people.

use std::io::{self, IsTerminal as _, Write};

use crate::policy::{Diagnostic, PolicyErrors};

/// Warnings that are shown to people.
const MOST_WARNINGS: usize = 200;

/// Writes everything that is wrong to standard error, and below it how much that is and of what.
pub(super) fn errors(errors: &PolicyErrors, what: &str) -> io::Result<()> {
    let mut messages = io::stderr().lock();
    let styled = messages.is_terminal();
    for found in errors.diagnostics() {
        let text = if styled { found.render_styled() } else { found.render() };
        writeln!(messages, "{text}\n")?;
    }
    writeln!(messages, "{what}: {}", errors.summary())
}

/// Writes warnings.
pub(super) fn warnings(output: &mut impl Write, warnings: &[Diagnostic]) -> io::Result<()> {
    for warning in warnings.iter().take(MOST_WARNINGS) {
        writeln!(output, "{}\n", warning.render())?;
    }
    if let Some(more) = warnings.len().checked_sub(MOST_WARNINGS).filter(|more| *more > 0) {
        writeln!(output, "warning: {more} more warnings are not shown\n")?;
    }
    Ok(())
}
