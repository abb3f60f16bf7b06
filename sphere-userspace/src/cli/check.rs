//! `sphere check`: reads a policy file and shows what it means, without privileges.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use super::Exit;
use crate::policy::{self, Policy};
use crate::render;

/// Reads the policy and writes it out, expanded; or everything that is wrong with it, to standard error.
pub(super) fn run(file: &Path, json: bool) -> anyhow::Result<Exit> {
    let mut output = io::stdout().lock();
    match policy::load(file) {
        Ok(policy) => {
            show(&mut output, &policy, json)?;
            Ok(Exit::Done)
        }
        Err(errors) if json => {
            writeln!(output, "{}", render::policy_errors_json(&errors))?;
            Ok(Exit::Policy)
        }
        Err(errors) => {
            let mut messages = io::stderr().lock();
            let styled = messages.is_terminal();
            for found in errors.diagnostics() {
                let text = if styled { found.render_styled() } else { found.render() };
                writeln!(messages, "{text}\n")?;
            }
            let count = errors.error_count();
            writeln!(messages, "{}: {count} error{}", file.display(), if count == 1 { "" } else { "s" })?;
            Ok(Exit::Policy)
        }
    }
}

fn show(output: &mut impl Write, policy: &Policy, json: bool) -> io::Result<()> {
    if json {
        return writeln!(output, "{}", render::policy_json(policy));
    }
    for warning in &policy.warnings {
        writeln!(output, "{}\n", warning.render())?;
    }
    render::write_policy(output, policy)
}
