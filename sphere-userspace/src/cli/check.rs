//! `sphere check`: reads a policy file and shows what it means, without privileges.

use std::io::{self, Write};
use std::path::Path;

use super::{Exit, told};
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
            writeln!(output, "{}", render::json_text(&render::policy_errors_json(&errors))?)?;
            Ok(Exit::Policy)
        }
        Err(errors) => {
            told::errors(&errors, &policy::plain(&file.display().to_string()))?;
            Ok(Exit::Policy)
        }
    }
}

fn show(output: &mut impl Write, policy: &Policy, json: bool) -> io::Result<()> {
    if json {
        return writeln!(output, "{}", render::json_text(&render::policy_json(policy))?);
    }
    told::warnings(output, &policy.warnings)?;
    render::write_policy(output, policy)
}
