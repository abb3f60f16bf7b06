//! The lines of the policy file that make a change.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::policy::{Server, Target};
use crate::suggest::{Change, Wider};

/// Columns that a line may take, behind the `# ` of a comment.
const COLUMNS: usize = 78;
/// Stands where a port is missing.
const NO_PORT: [&str; 1] = ["tcp/PORT"];

/// The lines of a change.
pub(super) fn lines(change: &Change) -> String {
    match change {
        Change::Resolvers { added, there } => {
            let there = there.iter().flatten().copied();
            let all: BTreeSet<Server> = there.chain(added.iter().copied().map(Server::Address)).collect();
            list("resolvers", &all)
        }
        Change::Option { line, .. } => format!("{line}\n"),
        Change::Allow { target, services, allow_private, .. } => {
            let private = if *allow_private { "allow_private = true\n" } else { "" };
            format!("[[group.allow]]\n{}{}{private}", reached(target), ports(services))
        }
        Change::AnyType { .. } => "any_type = true\n".to_owned(),
        Change::Inbound { from, services } => {
            format!("[[group.inbound]]\nfrom = \"{from}\"\n{}", ports(services))
        }
    }
}

/// The lines of a rule in the place of several.
pub(super) fn wider_lines(wider: &Wider) -> String {
    format!("[[group.allow]]\n{}{}", reached(&wider.target), ports(&wider.services))
}

/// The same lines as a comment.
pub(super) fn commented(text: &str) -> String {
    text.lines().map(|line| format!("# {line}\n")).collect()
}

fn reached(target: &Target) -> String {
    let key = match target {
        Target::Name(_) => "host",
        Target::Address(_) => "address",
        Target::Cidr(_) => "cidr",
    };
    format!("{key} = \"{target}\"\n")
}

fn ports(services: &BTreeSet<impl Display>) -> String {
    if services.is_empty() { list("ports", &NO_PORT) } else { list("ports", services) }
}

/// A list of texts; over several lines when one is too narrow. What is in it needs no escapes: addresses and services.
fn list<'a, T: Display + 'a>(key: &str, items: impl IntoIterator<Item = &'a T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| format!("\"{item}\"")).collect();
    let line = format!("{key} = [{}]\n", items.join(", "));
    if line.len() <= COLUMNS {
        return line;
    }
    let items: String = items.iter().map(|item| format!("  {item},\n")).collect();
    format!("{key} = [\n{items}]\n")
}
