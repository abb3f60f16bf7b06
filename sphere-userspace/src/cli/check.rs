//! `sphere check`: reads a policy file and shows what it means, without privileges.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use super::Exit;
use crate::policy::{self, Policy};
use crate::render;

/// Warnings that are shown to people.
const WARNINGS: usize = 200;

/// Reads the policy and writes it out, expanded; or everything that is wrong with it, to standard error.
pub(super) fn run(file: &Path, json: bool) -> anyhow::Result<Exit> {
    let mut output = io::stdout().lock();
    match policy::load(file) {
        Ok(policy) => {
            show(&mut output, &policy, json)?;
            Ok(Exit::Done)
        }
        Err(errors) if json => {
            writeln!(output, "{}", render::json_text(&render::policy_errors_json(&errors))?)?;
            Ok(Exit::Policy)
        }
        Err(errors) => {
            let mut messages = io::stderr().lock();
            let styled = messages.is_terminal();
            for found in errors.diagnostics() {
                let text = if styled { found.render_styled() } else { found.render() };
                writeln!(messages, "{text}\n")?;
            }
            writeln!(messages, "{}: {}", policy::plain(&file.display().to_string()), errors.summary())?;
            Ok(Exit::Policy)
        }
    }
}

fn show(output: &mut impl Write, policy: &Policy, json: bool) -> io::Result<()> {
    if json {
        return writeln!(output, "{}", render::json_text(&render::policy_json(policy))?);
    }
    for warning in policy.warnings.iter().take(WARNINGS) {
        writeln!(output, "{}\n", warning.render())?;
    }
    if let Some(more) = policy.warnings.len().checked_sub(WARNINGS).filter(|more| *more > 0) {
        writeln!(output, "warning: {more} more warnings are not shown\n")?;
    }
    render::write_policy(output, policy)
}
