//! What the kernel tables should hold, worked out anew each time from policy, leases and the gateway as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use sphere_common::abi::{EndpointValue, NEVER, Ticks, endpoint_flags};

use super::{
    clock::{Clock, Moment},
    facts::GatewayFacts,
    lease::Leases,
    misfit::Misfit,
    numbers::{self, RuleNumbers},
    permits::Permits,
    ports,
    tables::{Installed, Tables},
};
use crate::{
    policy::{DomainName, GroupName, Limits, Policy},
    resolve::{Family, Special},
};

/// Everything that decides what the tables should hold.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What the operator wants.
    pub policy: &'a Policy,
    /// What names stand for.
    pub leases: &'a Leases,
    /// The gateway as it is.
    pub facts: &'a GatewayFacts,
    /// How moments and ticks go together.
    pub clock: &'a Clock,
    /// Now.
    pub now: Moment,
}

/// An address that a name stands for, and that its rule does not open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The name.
    pub name: DomainName,
    /// The address.
    pub address: IpAddr,
    /// The group whose rule does not open it.
    pub group: GroupName,
    /// Why not.
    pub why: Special,
}

/// What the kernel tables should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Desired {
    /// The contents.
    pub tables: Tables,
    /// Rules that everything else depends on (resolvers, DHCP servers, the gateway): written first.
    pub infrastructure: BTreeSet<u32>,
    /// Addresses that answers brought and no rule opens.
    pub refusals: BTreeSet<Refusal>,
    /// Addresses left out for want of room, those that would have ended first. More than zero is worth a warning.
    pub crowded_out: usize,
}

impl Desired {
    /// Works out what the tables should hold. What is installed gives numbers to what goes on, and keeps what the
    /// programs learned.
    ///
    /// # Errors
    ///
    /// When the policy does not fit into the tables; then nothing of it may be written.
    pub fn new(inputs: &Inputs<'_>, installed: &Installed) -> Result<Self, Misfit> {
        let limits = &inputs.policy.limits;
        ports::check(inputs.policy)?;
        let (group_numbers, group_labels) = numbers::groups(inputs.policy, installed)?;
        let mut rules = RuleNumbers::new(&installed.rule_labels, limits.rules);
        let permits = Permits::collect(inputs, &group_numbers, &mut rules);
        let rule_labels = rules.finish()?;
        check_room(&permits, limits)?;
        let names = permits.names.finish(inputs)?;
        let (needed, capacity) = (names.len(), limits.rules as usize);
        if needed > capacity {
            return Err(Misfit::Names { needed, capacity });
        }

        let mut tables = Tables {
            endpoints4: permits.endpoints4,
            endpoints6: permits.endpoints6,
            cidrs4: permits.cidrs4,
            cidrs6: permits.cidrs6,
            names,
            rule_labels,
            group_labels,
            ..Tables::default()
        };
        let now = inputs.clock.ticks_at(inputs.now);
        let known = |rule| tables.rule_labels.contains_key(&rule);
        let rate = Ticks::from(inputs.clock.ticks_per_second);
        settle(&installed.endpoints4, &mut tables.endpoints4, (now, rate, &known));
        settle(&installed.endpoints6, &mut tables.endpoints6, (now, rate, &known));
        let room = limits.endpoints as usize;
        let crowded_out = crowd_out(&mut tables.endpoints4, room) + crowd_out(&mut tables.endpoints6, room);
        ports::fill(inputs, &group_numbers, &mut tables);
        Ok(Self { tables, infrastructure: permits.infrastructure, refusals: permits.refusals, crowded_out })
    }
}

/// Whether what the policy needs fits: everything that lasts, and one address for each service of each name.
fn check_room(permits: &Permits, limits: &Limits) -> Result<(), Misfit> {
    fn lasting<K>(table: &BTreeMap<K, EndpointValue>) -> usize {
        table.values().filter(|value| value.expires == NEVER).count()
    }
    let capacity = limits.endpoints as usize;
    for (family, stated) in [(Family::V4, lasting(&permits.endpoints4)), (Family::V6, lasting(&permits.endpoints6))] {
        let needed = stated + permits.name_services;
        if needed > capacity {
            return Err(Misfit::Endpoints { family, needed, capacity });
        }
    }
    let capacity = limits.cidrs as usize;
    // Prefixes that no answer may open belong to no rule, and have room of their own.
    let ruled = |value: &&EndpointValue| value.rule != 0;
    let needed4 = permits.cidrs4.values().filter(ruled).count();
    let needed6 = permits.cidrs6.values().filter(ruled).count();
    for (family, needed) in [(Family::V4, needed4), (Family::V6, needed6)] {
        if needed > capacity {
            return Err(Misfit::Cidrs { family, needed, capacity });
        }
    }
    Ok(())
}

/// Leaves installed entries as they are where they are as good as what is wanted: an end that differs by less than a
/// second is one that was read off the clock at another time. Keeps what the programs learned for rules that go on.
fn settle<K: Ord + Copy>(
    installed: &BTreeMap<K, EndpointValue>,
    wanted: &mut BTreeMap<K, EndpointValue>,
    (now, rate, known): (Ticks, Ticks, &dyn Fn(u32) -> bool),
) {
    let mut kept = Vec::new();
    let mut rest = wanted.iter_mut().peekable();
    for (key, there) in installed {
        let is_learned = there.flags & endpoint_flags::LEARNED != 0 && there.expires > now && known(there.rule);
        // Both are in order: what comes before the key has no counterpart.
        while rest.next_if(|(wanted, _)| *wanted < key).is_some() {}
        match rest.next_if(|(wanted, _)| *wanted == key) {
            Some((_, value)) if is_learned && there.expires >= value.expires => *value = *there,
            Some((_, value))
                if value.rule == there.rule
                    && value.flags == there.flags
                    && value.expires != NEVER
                    && value.expires.abs_diff(there.expires) < rate =>
            {
                *value = *there;
            }
            Some(_) => {}
            None if is_learned => kept.push((*key, *there)),
            None => {}
        }
    }
    wanted.extend(kept);
}

/// Takes out what is too much, that which ends first. Gives back how many.
fn crowd_out<K: Ord + Copy>(table: &mut BTreeMap<K, EndpointValue>, room: usize) -> usize {
    let excess = table.len().saturating_sub(room);
    if excess > 0 {
        let mut by_end: Vec<(Ticks, K)> = table.iter().map(|(key, value)| (value.expires, *key)).collect();
        by_end.sort_unstable();
        for (_, key) in by_end.into_iter().take(excess) {
            table.remove(&key);
        }
    }
    excess
}
