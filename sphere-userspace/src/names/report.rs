//! How every name stands: schema `sphere.names/1`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use serde::Serialize;

use super::view::{LeaseView, NameView, QuestionView, View, millis};
use crate::datapath::Inspection;
use crate::policy::is_at_or_below;
use crate::reconcile::Sighting;
use crate::resolve::Special;

/// Every name.
#[derive(Clone, Debug, Serialize)]
pub struct NamesReport {
    schema: &'static str,
    /// `running` or `stopped`.
    pub daemon: &'static str,
    /// The names, in order.
    pub names: Vec<NameReport>,
}

/// One name.
#[derive(Clone, Debug, Serialize)]
pub struct NameReport {
    /// The name, or a pattern such as `*.example.com`.
    pub name: String,
    /// Groups with a rule for it.
    pub groups: Vec<String>,
    /// How the daemon's question for A records stands; absent when it has not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<FamilyReport>,
    /// The same for AAAA records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<FamilyReport>,
    /// Its addresses.
    pub addresses: Vec<AddressReport>,
    /// Devices that asked for it, the latest first, as far as the kernel remembers them.
    pub asked_by: Vec<AskerReport>,
}

/// How a question stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FamilyReport {
    /// What came of it last: `answer`, `nodata`, `nxdomain`, `timeout`, …
    pub state: String,
    /// Seconds that it has come out like this.
    pub for_seconds: u64,
    /// Seconds since it was asked last.
    pub asked_seconds_ago: u64,
    /// How often in a row.
    pub times: u32,
    /// Seconds since it was last answered with addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_seconds_ago: Option<u64>,
}

/// One address of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressReport {
    /// The address.
    pub address: IpAddr,
    /// The group that it is open for; absent: every group with a rule for the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `live` while its answer holds, then `grace`; `refused`: it is of a kind that no rule for the name lets answers open.
    pub state: &'static str,
    /// With `refused`: what would have to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// `polled` by the daemon, `seen` in an answer to a device, or `restored` from the kernel at a start.
    pub source: String,
    /// The device that it was told to last, for `seen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<IpAddr>,
    /// Seconds since it was first learned.
    pub age_seconds: u64,
    /// Seconds since it was learned last.
    pub renewed_seconds_ago: u64,
    /// Seconds until it is no longer allowed.
    pub ends_in_seconds: u64,
    /// Flows that are open on it.
    pub flows: usize,
}

/// A device that asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AskerReport {
    /// The device.
    pub device: IpAddr,
    /// Its group.
    pub group: String,
    /// Seconds since it was answered last.
    pub seconds_ago: u64,
}

impl NamesReport {
    /// Puts together what the daemon knows and what is pinned; of all names, or of those that `wanted` is the end of.
    #[must_use]
    pub fn new(view: &View, inspection: &Inspection, wanted: Option<&str>) -> Self {
        let now = millis(inspection.now);
        let mut flows: HashMap<IpAddr, usize> = HashMap::new();
        for flow in &inspection.flows {
            *flows.entry(flow.peer).or_default() += 1;
        }
        let open = open_addresses(inspection);
        let mut askers = askers(inspection, now);
        let is_wanted = |name: &str| wanted.is_none_or(|wanted| is_within(name, wanted));
        let names = view.names.iter().filter(|(name, _)| is_wanted(name));
        let report = |(name, known): (&String, &NameView)| {
            let asked_by = askers.remove(name.as_str()).unwrap_or_default();
            NameReport {
                name: name.clone(),
                groups: known.groups.iter().cloned().collect(),
                ipv4: family(known, "A", now),
                ipv6: family(known, "AAAA", now),
                addresses: known.leases.iter().map(|lease| address(lease, (&open, &flows), now)).collect(),
                asked_by,
            }
        };
        Self {
            schema: "sphere.names/1",
            daemon: if inspection.running { "running" } else { "stopped" },
            names: names.map(report).collect(),
        }
    }
}

/// Whether a name is the wanted one, or ends in it at a label.
fn is_within(name: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_end_matches('.').to_ascii_lowercase();
    is_at_or_below(name, &wanted)
}

fn family(known: &NameView, family: &str, now: u64) -> Option<FamilyReport> {
    let question = known.questions.iter().find(|question| question.family == family)?;
    let QuestionView { outcome, since_ms, asked_ms, times, answered_ms, .. } = question;
    Some(FamilyReport {
        state: outcome.clone(),
        for_seconds: seconds(*since_ms, now),
        asked_seconds_ago: seconds(*asked_ms, now),
        times: *times,
        answered_seconds_ago: answered_ms.map(|at| seconds(at, now)),
    })
}

/// Addresses at which anything is open for anybody.
fn open_addresses(inspection: &Inspection) -> HashSet<IpAddr> {
    let tables = &inspection.tables;
    let of_v4 = tables.endpoints4.keys().map(|key| IpAddr::from(key.address));
    of_v4.chain(tables.endpoints6.keys().map(|key| IpAddr::from(key.address))).collect()
}

fn address(lease: &LeaseView, (open, flows): (&HashSet<IpAddr>, &HashMap<IpAddr, usize>), now: u64) -> AddressReport {
    let refused = Special::of(lease.address).filter(|_| !open.contains(&lease.address));
    AddressReport {
        address: lease.address,
        group: lease.group.clone(),
        state: match refused {
            Some(_) => "refused",
            None if now < lease.live_until_ms => "live",
            None => "grace",
        },
        remedy: refused.map(Special::remedy),
        source: lease.source.clone(),
        device: lease.device,
        age_seconds: seconds(lease.since_ms, now),
        renewed_seconds_ago: seconds(lease.renewed_ms, now),
        ends_in_seconds: seconds(now, lease.ends_ms),
        flows: flows.get(&lease.address).copied().unwrap_or_default(),
    }
}

/// Devices by the names that they asked for.
fn askers(inspection: &Inspection, now: u64) -> BTreeMap<String, Vec<AskerReport>> {
    let mut latest: BTreeMap<String, BTreeMap<IpAddr, AskerReport>> = BTreeMap::new();
    for (key, value) in &inspection.sightings {
        let Some(sighting) = Sighting::read(key, value, &inspection.clock, &inspection.tables) else { continue };
        let seconds_ago = seconds(millis(sighting.seen), now);
        let asker = AskerReport { device: sighting.device, group: sighting.group.to_string(), seconds_ago };
        let of_name = latest.entry(sighting.name.to_string()).or_default();
        let known = of_name.entry(sighting.device).or_insert_with(|| asker.clone());
        known.seconds_ago = known.seconds_ago.min(seconds_ago);
    }
    let sorted = |devices: BTreeMap<IpAddr, AskerReport>| {
        let mut devices: Vec<AskerReport> = devices.into_values().collect();
        devices.sort_by_key(|asker| asker.seconds_ago);
        devices
    };
    latest.into_iter().map(|(name, devices)| (name, sorted(devices))).collect()
}

/// Whole seconds from one moment to another; zero when it is not later.
pub(super) const fn seconds(from_ms: u64, to_ms: u64) -> u64 {
    to_ms.saturating_sub(from_ms) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_itself_and_by_what_it_ends_in() {
        assert!(is_within("a.example.com", "a.example.com"));
        assert!(is_within("a.example.com", "Example.COM."));
        assert!(!is_within("badexample.com", "example.com"));
    }
}
