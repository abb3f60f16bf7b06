//! Writing exact endpoints while the programs write them too. What a device was told a moment ago is never taken back:
//! an end that the programs raised meanwhile stays, and so does an entry that they prolonged.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use sphere_common::abi::{EndpointValue, Ticks, endpoint_flags};

use super::error::DatapathError;
use super::table::{Plain, Table};

/// More entries than this are looked up all at once.
const FEW: usize = 256;

/// Whether the programs made this of an entry that ended at `end`, for a rule that goes on.
fn is_newer(there: &EndpointValue, end: Ticks, vanished: &BTreeSet<u32>) -> bool {
    there.flags & endpoint_flags::LEARNED != 0 && there.expires > end && !vanished.contains(&there.rule)
}

/// Writes entries.
pub(super) fn put<K: Plain + Eq + Hash>(
    table: &Table<K, EndpointValue>,
    entries: impl Iterator<Item = (K, EndpointValue)>,
    vanished: &BTreeSet<u32>,
) -> Result<(), DatapathError> {
    let (keys, mut values): (Vec<K>, Vec<EndpointValue>) = entries.unzip();
    let many: Option<HashMap<K, EndpointValue>> =
        if keys.len() > FEW { Some(table.entries()?.into_iter().collect()) } else { None };
    for (key, value) in keys.iter().zip(&mut values) {
        let there = match &many {
            Some(many) => many.get(key).copied(),
            None => table.lookup(key)?,
        };
        if let Some(there) = there.filter(|there| is_newer(there, value.expires, vanished)) {
            *value = EndpointValue { flags: there.flags | value.flags, ..there };
        }
    }
    table.insert_all(&keys, &values)
}

/// Removes entries that had these ends.
pub(super) fn remove<K: Plain>(
    table: &Table<K, EndpointValue>,
    entries: impl Iterator<Item = (K, Ticks)>,
    vanished: &BTreeSet<u32>,
) -> Result<(), DatapathError> {
    for (key, end) in entries {
        if table.lookup(&key)?.is_some_and(|there| is_newer(&there, end, vanished)) {
            continue;
        }
        // It may have been prolonged since it was looked at: then it comes back at once.
        if let Some(there) = table.take(&key)?.filter(|there| is_newer(there, end, vanished)) {
            table.insert_new(&key, &there)?;
        }
    }
    Ok(())
}
