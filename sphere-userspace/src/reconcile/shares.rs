//! What each group may still learn from the answers to its devices.

use std::collections::BTreeMap;

use sphere_common::abi::{EndpointValue, MAX_GROUPS, endpoint_flags};

use super::{label, tables::Tables};
use crate::policy::Policy;

/// For every group number, the entries that the programs may still add: the group's share without what was learned and
/// is still there. A number that no group has gets nothing.
#[must_use]
pub fn shares(policy: &Policy, tables: &Tables) -> BTreeMap<u32, u32> {
    let mut shares: BTreeMap<u32, u32> = (0..MAX_GROUPS).map(|number| (number, 0)).collect();
    for (number, label) in &tables.group_labels {
        let name = label::until_zero(&label.text);
        if let Some(group) = policy.groups.iter().find(|group| group.name.as_str() == name) {
            shares.insert(*number, group.learn);
        }
    }
    let mut take = |group: u32, value: &EndpointValue| {
        if value.flags & endpoint_flags::LEARNED != 0
            && let Some(share) = shares.get_mut(&group)
        {
            *share = share.saturating_sub(1);
        }
    };
    for (key, value) in &tables.endpoints4 {
        take(key.group, value);
    }
    for (key, value) in &tables.endpoints6 {
        take(key.group, value);
    }
    shares
}
