//! Rules and their hits: schema `sphere.rules/1`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::datapath::Traces;
use crate::datapath::snapshot::Snapshot;
use crate::ladder::Ladder;

/// Rules that were not used for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused(pub Duration);

/// Every rule.
#[derive(Clone, Debug, Serialize)]
pub struct RulesReport {
    schema: &'static str,
    /// `running` or `stopped`.
    pub daemon: &'static str,
    /// Seconds for which the daemon has watched; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watched_seconds: Option<u64>,
    /// The rules, those used most first.
    pub rules: Vec<RuleReport>,
    /// Addresses that several names stand for: whoever may reach one may reach all.
    pub shared: Vec<SharedAddress>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleReport {
    /// Its number.
    pub number: u32,
    /// Its group.
    pub group: String,
    /// What it allows.
    pub rule: String,
    /// Packets that it allowed since its counter began.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Seconds since a flow by it was last seen; absent when none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_seconds_ago: Option<u64>,
    /// Whether it was never used since its counter began.
    pub never_used: bool,
}

/// An address with several names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedAddress {
    /// The address.
    pub address: IpAddr,
    /// The names.
    pub names: Vec<String>,
}

impl RulesReport {
    /// Of all rules, or of those that are not used; `ladder` has taken up the traces.
    #[must_use]
    pub fn new(
        snapshot: &Snapshot,
        (ladder, traces): (&Ladder, &Traces),
        names: &BTreeMap<IpAddr, Vec<String>>,
        unused: Option<Unused>,
    ) -> Self {
        let now_ms = u64::try_from(traces.clock.anchor.since_zero().as_millis()).unwrap_or(u64::MAX);
        let watched_seconds = ladder.since_ms().map(|since| now_ms.saturating_sub(since) / 1000);
        let group = |number: u32| {
            let found = snapshot.groups.iter().find(|group| group.number == number);
            found.map_or_else(|| number.to_string(), |group| group.name.clone())
        };
        let rules = snapshot.rules.iter().map(|rule| RuleReport {
            number: rule.rule,
            group: group(rule.group),
            rule: rule.label.clone(),
            packets: rule.count.packets,
            bytes: rule.count.bytes,
            used_seconds_ago: ladder.last_use(rule.rule).map(|at| now_ms.saturating_sub(at) / 1000),
            never_used: rule.count.packets == 0,
        });
        let mut rules: Vec<RuleReport> =
            rules.filter(|rule| unused.is_none_or(|unused| rule.is_unused(unused, watched_seconds))).collect();
        rules.sort_by(|a, b| (b.packets, &a.group, &a.rule).cmp(&(a.packets, &b.group, &b.rule)));
        let shared = names.iter().filter(|(_, names)| names.len() > 1);
        let shared = shared.map(|(address, names)| SharedAddress { address: *address, names: names.clone() });
        Self {
            schema: "sphere.rules/1",
            daemon: if snapshot.running { "running" } else { "stopped" },
            watched_seconds,
            rules,
            shared: shared.collect(),
        }
    }
}

impl RuleReport {
    /// Whether it was not used for so long. Of a rule with hits and no flow that was seen, that is known only when the
    /// daemon has watched for so long.
    fn is_unused(&self, unused: Unused, watched_seconds: Option<u64>) -> bool {
        let limit = unused.0.as_secs();
        match self.used_seconds_ago {
            Some(ago) => ago >= limit,
            None => self.never_used || watched_seconds.is_some_and(|watched| watched >= limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_unused_only_when_that_is_known() {
        let rule = |packets, used_seconds_ago| RuleReport {
            number: 1,
            group: "g".to_owned(),
            rule: "api.example.com tcp/443".to_owned(),
            packets,
            bytes: packets * 60,
            used_seconds_ago,
            never_used: packets == 0,
        };
        let week = Unused(Duration::from_secs(7 * 86_400));
        assert!(rule(0, None).is_unused(week, None), "never");
        assert!(rule(5, Some(8 * 86_400)).is_unused(week, Some(9 * 86_400)));
        assert!(!rule(5, Some(86_400)).is_unused(week, Some(9 * 86_400)));
        assert!(!rule(5, None).is_unused(week, Some(86_400)), "nobody has watched for a week");
        assert!(rule(5, None).is_unused(week, Some(8 * 86_400)));
    }

    #[test]
    fn rules_are_told_as_they_always_were() -> std::io::Result<()> {
        let rule = |number, rule: &str, packets, used_seconds_ago| RuleReport {
            number,
            group: "meters".to_owned(),
            rule: rule.to_owned(),
            packets,
            bytes: packets * 60,
            used_seconds_ago,
            never_used: packets == 0,
        };
        let report = RulesReport {
            schema: "sphere.rules/1",
            daemon: "running",
            watched_seconds: Some(90_000),
            rules: vec![
                rule(1, "prodmsimg-secondary.blob.core.windows.net tcp/443", 12_345_678, Some(5)),
                rule(2, "api.example.com tcp/443", 7, None),
                rule(3, "time.example.com udp/123", 0, None),
            ],
            shared: vec![SharedAddress {
                address: IpAddr::from([192, 0, 2, 7]),
                names: ["a.example.com", "b.example.com"].map(str::to_owned).to_vec(),
            }],
        };
        let mut text = Vec::new();
        crate::render::write_rules(&mut text, &report)?;
        crate::snapshots::check("rules.txt", &String::from_utf8_lossy(&text));
        crate::snapshots::check("rules.json", &crate::render::json_text(&report)?);
        Ok(())
    }
}
