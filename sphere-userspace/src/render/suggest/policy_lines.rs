//! The lines of the policy file that make a change.

use std::collections::BTreeSet;

use crate::policy::Server;
use crate::render::policy_lines::{Allow, inbound, list};
use crate::suggest::{Change, Wider};

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
            Allow { allow_private: *allow_private, ..Allow::new(target, services) }.lines()
        }
        Change::AnyType { .. } => "any_type = true\n".to_owned(),
        Change::Inbound { from, services } => inbound(from, services, None),
    }
}

/// The lines of a rule in the place of several.
pub(super) fn wider_lines(wider: &Wider) -> String {
    Allow::new(&wider.target, &wider.services).lines()
}
