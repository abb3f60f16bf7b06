//! What the store has written since it was opened, by group, verdict and reason: the only totals of denials by group.

use std::collections::HashMap;

use sphere_common::abi::Counter;
use sphere_common::verdict::{Reason, Verdict};

use super::denial::Denial;

/// What the packets of a total have in common: name of the group (empty: the frame led to none), verdict, reason.
pub type DeniedKind = (String, Verdict, Reason);

/// Totals by group. As many as there are names of groups, verdicts and reasons at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeniedByGroup {
    totals: HashMap<DeniedKind, Counter>,
}

impl DeniedByGroup {
    /// Each total that is not zero.
    pub fn iter(&self) -> impl Iterator<Item = (&DeniedKind, Counter)> {
        self.totals.iter().map(|(kind, count)| (kind, *count))
    }

    /// Adds packets and bytes that are new in an account.
    pub(super) fn add(&mut self, denial: &Denial, (packets, bytes): (u64, u64)) {
        if packets > 0 {
            self.count((denial.group.clone(), denial.verdict, denial.reason), Counter { packets, bytes });
        }
    }

    /// Adds other totals.
    pub(super) fn merge(&mut self, other: Self) {
        for (kind, count) in other.totals {
            self.count(kind, count);
        }
    }

    fn count(&mut self, kind: DeniedKind, Counter { packets, bytes }: Counter) {
        let total = self.totals.entry(kind).or_default();
        total.packets = total.packets.saturating_add(packets);
        total.bytes = total.bytes.saturating_add(bytes);
    }
}
