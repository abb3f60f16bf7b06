//! What the operator is told of names and tables: each change once, however often it is found again.

use std::collections::BTreeSet;

use crate::reconcile::{Changeset, Desired, Refusal, Turn};
use crate::resolve::{Outcome, Resolution};

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct News {
    refusals: BTreeSet<Refusal>,
    is_crowded: bool,
}

impl News {
    /// Tells that a name resolves otherwise than before.
    pub(super) fn tell_turn(resolution: &Resolution, turn: &Turn) {
        let (name, family) = (&resolution.question.name, resolution.question.family);
        let (outcome, before) = (turn.to, turn.from.unwrap_or("never asked"));
        match &resolution.outcome {
            Outcome::Answer(_) if turn.from.is_some() => tracing::info!(%name, %family, before, "name resolves again"),
            Outcome::Answer(_) => tracing::debug!(%name, %family, "name resolves"),
            _ if turn.is_loss => {
                tracing::warn!(%name, %family, outcome, "name no longer resolves; its addresses stay for their grace");
            }
            // Most names have addresses of one family only.
            Outcome::NoData => tracing::debug!(%name, %family, outcome, before, "name has no address"),
            _ => tracing::warn!(%name, %family, outcome, before, "name does not resolve"),
        }
    }

    /// Tells what of the desired tables deserves a word.
    pub(super) fn tell(&mut self, desired: &Desired, changes: &Changeset) {
        for Refusal { name, address, group, why } in desired.refusals.difference(&self.refusals) {
            tracing::warn!(%name, %address, %group, why = why.word(), "address of an answer refused");
        }
        self.refusals.clone_from(&desired.refusals);
        let is_crowded = desired.crowded_out > 0;
        if is_crowded && !self.is_crowded {
            let addresses = desired.crowded_out;
            tracing::warn!(addresses, "no room for every address: raise `endpoints` in [limits]");
        }
        self.is_crowded = is_crowded;
        if changes.early_removals > 0 {
            let removals = changes.early_removals;
            tracing::warn!(removals, "a table has no room for old and new at once: raise its limit in [limits]");
        }
    }
}
