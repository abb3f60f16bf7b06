//! Numbers of groups and rules. What is installed under a label keeps its number, across policies and restarts;
//! what is new gets the lowest number that nothing installed has, so that no flow of an old rule counts for it.

use std::collections::{BTreeMap, HashMap};

use sphere_common::abi::{GroupLabel, MAX_GROUPS, RuleLabel};

use super::{label, misfit::Misfit, tables::Installed};
use crate::policy::{Policy, Step};

/// The number of each group, in the order of the policy, and the labels to go with them.
pub(super) fn groups(policy: &Policy, installed: &Installed) -> Result<(Vec<u32>, BTreeMap<u32, GroupLabel>), Misfit> {
    let capacity = MAX_GROUPS as usize;
    if policy.groups.len() > capacity {
        return Err(Misfit::Groups { needed: policy.groups.len(), capacity });
    }
    let known: HashMap<[u8; 56], u32> =
        installed.group_labels.iter().rev().map(|(number, label)| (label.text, *number)).collect();
    let mut free = (0..MAX_GROUPS).filter(|number| !installed.group_labels.contains_key(number));
    let (mut numbers, mut labels) = (Vec::new(), BTreeMap::new());
    for group in &policy.groups {
        let label = label::group(group);
        let Some(number) = known.get(&label.text).copied().or_else(|| free.next()) else {
            let is_new = |group| !known.contains_key(&label::group(group).text);
            let new = policy.groups.iter().filter(|group| is_new(group)).count();
            return Err(Misfit::GroupsAtOnce { new, free: capacity.saturating_sub(installed.group_labels.len()) });
        };
        numbers.push(number);
        labels.insert(number, label);
    }
    Ok((numbers, labels))
}

/// Gives numbers to rules.
pub(super) struct RuleNumbers<'a> {
    installed: &'a BTreeMap<u32, RuleLabel>,
    known: HashMap<(u32, [u8; 248]), u32>,
    given: BTreeMap<u32, RuleLabel>,
    new: usize,
    next: u32,
    limit: u32,
}

impl<'a> RuleNumbers<'a> {
    /// Numbers from 1 to below `limit`.
    pub(super) fn new(installed: &'a BTreeMap<u32, RuleLabel>, limit: u32) -> Self {
        let usable = installed.iter().rev().filter(|(number, _)| (1..limit).contains(*number));
        let known = usable.map(|(number, label)| ((label.group, label.text), *number)).collect();
        Self { installed, known, given: BTreeMap::new(), new: 0, next: 1, limit }
    }

    /// The number of the rule of this text; a text that was asked for before has the same.
    pub(super) fn number(&mut self, group: u32, text: &str, step: Option<Step>) -> u32 {
        let label = label::rule(group, text, step);
        let key = (group, label.text);
        let number = match self.known.get(&key) {
            Some(number) => *number,
            None => {
                self.new += 1;
                while self.installed.contains_key(&self.next) {
                    self.next += 1;
                }
                let number = self.next;
                self.next += 1;
                self.known.insert(key, number);
                number
            }
        };
        // One rule may be written twice, at an endpoint of a profile and without a step.
        let given = self.given.entry(number).or_insert(label);
        if step.is_some() {
            *given = label;
        }
        number
    }

    /// The labels of every rule that was asked for.
    pub(super) fn finish(self) -> Result<BTreeMap<u32, RuleLabel>, Misfit> {
        let capacity = self.limit.saturating_sub(1) as usize;
        if self.given.len() > capacity {
            return Err(Misfit::Rules { needed: self.given.len(), capacity });
        }
        if self.given.last_key_value().is_some_and(|(number, _)| *number >= self.limit) {
            let taken = self.installed.range(1..self.limit).count();
            return Err(Misfit::RulesAtOnce { new: self.new, free: capacity.saturating_sub(taken) });
        }
        Ok(self.given)
    }
}
