//! What was last seen of each account: the base of its next difference.
//!
//! Only a memory of what the files hold: whatever is forgotten here is found there again.

use std::collections::HashMap;
use std::mem;

use super::denial::Account;

/// Accounts that are remembered: more than the kernel has at a time.
const ROOM: usize = 98_304;

/// Totals of an account when it was last written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// What it is in the file that is being written, when it is there.
    pub(super) row: Option<Row>,
}

impl Base {
    /// Whether nothing of the account was ever written.
    pub(super) const fn is_nothing(&self) -> bool {
        self.packets == 0 && self.bytes == 0
    }

    /// The larger totals of two, with the first one's row: totals only grow, so the larger ones are the later ones.
    pub(super) fn later(self, other: Self) -> Self {
        let (packets, bytes) = (self.packets.max(other.packets), self.bytes.max(other.bytes));
        Self { packets, bytes, row: self.row }
    }
}

/// Numbers of an account in a file: what the group and the other side were called when it was entered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Which opening of a file they are good for.
    pub(super) file: u64,
    pub(super) kind: i64,
    pub(super) names: i64,
}

/// The accounts that were written of late. Two generations: what the younger has no room for becomes the older, and
/// what was not asked for meanwhile is forgotten.
#[derive(Debug)]
pub(super) struct Bases {
    young: HashMap<Account, Base>,
    old: HashMap<Account, Base>,
    room: usize,
}

impl Default for Bases {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), room: ROOM }
    }
}

impl Bases {
    /// The base of an account, if it is remembered.
    pub(super) fn recall(&self, account: &Account) -> Option<Base> {
        self.young.get(account).or_else(|| self.old.get(account)).copied()
    }

    /// Remembers the base of an account.
    pub(super) fn remember(&mut self, account: Account, base: Base) {
        self.young.insert(account, base);
        if self.young.len() >= self.room {
            self.old = mem::take(&mut self.young);
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// For tests: how many accounts a generation has.
    #[cfg(test)]
    pub(super) const fn set_room(&mut self, room: usize) {
        self.room = room;
    }
}
