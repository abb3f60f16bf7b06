//! Parts of a policy file: tables that can be pasted, and comments around them.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};

use crate::policy::{Rule, Service, Step, Target, plain, wrap};

/// Columns that a line may take, behind the `# ` of a comment.
const COLUMNS: usize = 78;
/// Stands where a port is missing.
const NO_PORT: [&str; 1] = ["tcp/PORT"];

/// A `[[group.allow]]`; keys that say nothing are left out.
#[derive(Debug)]
pub(super) struct Allow<'a> {
    pub(super) target: &'a Target,
    /// Empty where the port is not known: something stands there that no policy takes.
    pub(super) services: &'a BTreeSet<Service>,
    pub(super) allow_private: bool,
    pub(super) any_type: bool,
    pub(super) step: Option<Step>,
    pub(super) comment: Option<&'a str>,
}

impl<'a> Allow<'a> {
    /// A rule about a target and its services, and nothing else.
    pub(super) const fn new(target: &'a Target, services: &'a BTreeSet<Service>) -> Self {
        Self { target, services, allow_private: false, any_type: false, step: None, comment: None }
    }

    /// Everything that a rule says.
    pub(super) fn of(rule: &'a Rule) -> Self {
        let Rule { target, services, allow_private, any_type, step, purpose, .. } = rule;
        let (allow_private, any_type, step) = (*allow_private, *any_type, *step);
        Self { target, services, allow_private, any_type, step, comment: purpose.as_deref() }
    }

    /// Its lines.
    pub(super) fn lines(&self) -> String {
        let key = match self.target {
            Target::Name(_) => "host",
            Target::Address(_) => "address",
            Target::Cidr(_) => "cidr",
        };
        let mut lines = format!("[[group.allow]]\n{key} = \"{}\"\n{}", self.target, ports(self.services));
        if self.allow_private {
            lines += "allow_private = true\n";
        }
        if self.any_type {
            lines += "any_type = true\n";
        }
        if let Some(step) = self.step {
            lines += &format!("step = \"{}\"\n", step.word());
        }
        lines + &why(self.comment)
    }
}

/// The lines of a `[[group.allow]]` about a host that is still to be named.
pub(super) fn allow_host(host: &impl Display, services: &BTreeSet<Service>) -> String {
    format!("[[group.allow]]\nhost = \"{host}\"\n{}", ports(services))
}

/// The lines of a `[[group.inbound]]`.
pub(super) fn inbound(from: &impl Display, services: &BTreeSet<Service>, comment: Option<&str>) -> String {
    format!("[[group.inbound]]\nfrom = \"{from}\"\n{}{}", ports(services), why(comment))
}

/// The key `comment`, its text as a basic string of TOML.
fn why(comment: Option<&str>) -> String {
    let Some(comment) = comment else { return String::new() };
    // No policy takes a character that acts on a terminal.
    let text = plain(comment).replace('\\', "\\\\").replace('"', "\\\"");
    format!("comment = \"{text}\"\n")
}

/// The same lines as a comment.
pub(super) fn commented(text: &str) -> String {
    text.lines().map(|line| format!("# {line}\n")).collect()
}

/// Writes words as a comment, in lines that fit.
pub(super) fn comment(output: &mut impl Write, words: &str) -> io::Result<()> {
    for (index, line) in wrap(words, 2, 4).iter().enumerate() {
        writeln!(output, "#{} {line}", if index > 0 { "  " } else { "" })?;
    }
    Ok(())
}

fn ports(services: &BTreeSet<Service>) -> String {
    if services.is_empty() { list("ports", &NO_PORT) } else { list("ports", services) }
}

/// A list of texts; over several lines when one is too narrow. What is in it needs no escapes: addresses and services.
pub(super) fn list<'a, T: Display + 'a>(key: &str, items: impl IntoIterator<Item = &'a T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| format!("\"{item}\"")).collect();
    let line = format!("{key} = [{}]\n", items.join(", "));
    if line.len() <= COLUMNS {
        return line;
    }
    let items: String = items.iter().map(|item| format!("  {item},\n")).collect();
    format!("{key} = [\n{items}]\n")
}
