//! The programs' accounts of what they denied: read as they stand, and closed when nothing is entered any more.
//!
//! An account that is closed is read by its removal, so nothing is lost between the two. A program that found the account
//! just before and enters a packet just after would be: only accounts that have been idle for long are closed.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use sphere_common::abi::{DeniedDevice, DeniedKey, DeniedValue};

use super::clock;
use super::error::DatapathError;
use super::maps::Maps;
use super::table::Table;
use crate::reconcile::Clock;

/// One account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What was denied.
    pub key: DeniedKey,
    /// Whether it is one of "other destinations".
    pub is_others: bool,
    /// Totals since it was opened.
    pub value: DeniedValue,
}

/// The accounts, wherever they are read.
#[derive(Debug)]
pub struct Accounts {
    maps: Arc<Maps>,
    program: OwnedFd,
    rate: u32,
}

impl Accounts {
    pub(super) fn new(maps: Arc<Maps>, program: OwnedFd, rate: u32) -> Self {
        Self { maps, program, rate }
    }

    /// The kernel's ticks next to the monotonic clock.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn clock(&self) -> Result<Clock, DatapathError> {
        clock::now(self.program.as_fd(), &self.maps, self.rate)
    }

    /// Denied packets in all: while this stays, so do the accounts.
    ///
    /// # Errors
    ///
    /// When a table cannot be read.
    pub fn denied(&self) -> Result<u64, DatapathError> {
        let rows = super::snapshot::counters(&self.maps.counters)?;
        let denied = rows.iter().filter(|row| row.verdict != sphere_common::verdict::Verdict::Pass);
        Ok(denied.map(|row| row.count.packets).sum())
    }

    /// Shows every account.
    ///
    /// # Errors
    ///
    /// When a table cannot be read.
    pub fn visit(&self, mut show: impl FnMut(&Account)) -> Result<(), DatapathError> {
        for (table, is_others) in self.tables() {
            table.visit(|key, value| show(&Account { key: *key, is_others, value: *value }))?;
        }
        Ok(())
    }

    /// Closes accounts, and gives back what they held in the end.
    ///
    /// # Errors
    ///
    /// When a table cannot be written; what was closed until then is given back with the error.
    pub fn close(&self, idle: &[Account]) -> (Vec<Account>, Result<(), DatapathError>) {
        let mut closed = Vec::new();
        let mut by_device: BTreeMap<DeniedDevice, u64> = BTreeMap::new();
        let mut result = Ok(());
        for account in idle {
            let table = if account.is_others { &self.maps.denied_others } else { &self.maps.denied };
            match table.take(&account.key) {
                Ok(Some(value)) => {
                    closed.push(Account { value, ..*account });
                    if !account.is_others {
                        let device = DeniedDevice { device: account.key.device, group: account.key.group };
                        *by_device.entry(device).or_default() += 1;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let noted = by_device.iter().try_for_each(|(device, count)| self.note_closed(device, *count));
        (closed, result.and(noted))
    }

    /// Gives a device its room back.
    fn note_closed(&self, device: &DeniedDevice, count: u64) -> Result<(), DatapathError> {
        let closed = self.maps.denied_closed.lookup(device)?.unwrap_or_default() + count;
        if self.maps.denied_opened.lookup(device)? == Some(closed) {
            // It has none left. Without the first entry it has no room until the second one is gone too, and then all.
            self.maps.denied_closed.remove(device)?;
            self.maps.denied_opened.remove(device)?;
            return Ok(());
        }
        self.maps.denied_closed.insert(device, &closed)
    }

    /// Counts anew what each device has open. A process that died between closing accounts and noting it left its
    /// devices with less room.
    ///
    /// # Errors
    ///
    /// When a table cannot be read or written.
    pub fn recount(&self) -> Result<(), DatapathError> {
        let opened = self.maps.denied_opened.entries()?;
        let mut open: HashMap<DeniedDevice, u64> = HashMap::new();
        self.maps.denied.visit(|key, _| {
            *open.entry(DeniedDevice { device: key.device, group: key.group }).or_default() += 1;
        })?;
        for (device, opened) in opened {
            // Accounts that were opened meanwhile are among those that are open: their device has less room for now.
            let closed = opened.wrapping_sub(open.get(&device).copied().unwrap_or_default());
            if closed == opened {
                self.maps.denied_closed.remove(&device)?;
                self.maps.denied_opened.remove(&device)?;
            } else if self.maps.denied_closed.lookup(&device)?.unwrap_or_default() != closed {
                self.maps.denied_closed.insert(&device, &closed)?;
            }
        }
        Ok(())
    }

    fn tables(&self) -> [(&Table<DeniedKey, DeniedValue>, bool); 2] {
        [(&self.maps.denied, false), (&self.maps.denied_others, true)]
    }
}
