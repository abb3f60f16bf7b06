//! What is open now: schema `sphere.flows/1`. The kernel counts what each flow brings its device; what a device sends is
//! counted by rule only, since an allowed TCP segment of it costs no look-up of its flow.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use sphere_common::abi::{FlowState, Ticks, flow_flags};

use crate::datapath::{Inspection, OpenFlow};
use crate::names::QueryError;
use crate::policy::{DomainName, is_at_or_below, protocol_text};
use crate::reconcile::name_of_rule;

/// Where flows are to lead to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Towards {
    /// To an address of a prefix.
    Net(IpNet),
    /// To a name, or one below it.
    Name(DomainName),
}

impl Towards {
    /// Reads an address, a prefix or a name.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        if let Ok(net) = text.parse() {
            return Ok(Self::Net(net));
        }
        DomainName::parse(text).map(Self::Name).map_err(|_name| QueryError::Peers(text.to_owned()))
    }

    fn covers(&self, peer: IpAddr, names: &[String]) -> bool {
        match self {
            Self::Net(net) => net.contains(&peer),
            Self::Name(wanted) => names.iter().any(|name| is_at_or_below(name, wanted.as_str())),
        }
    }
}

/// Every flow that is open.
#[derive(Clone, Debug, Serialize)]
pub struct FlowsReport {
    schema: &'static str,
    /// `running` or `stopped`.
    pub daemon: &'static str,
    /// The flows: by device, the latest first.
    pub flows: Vec<FlowReport>,
}

/// One flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowReport {
    /// The device.
    pub device: IpAddr,
    /// Its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The other side.
    pub peer: IpAddr,
    /// Names of the other side, that of the rule first.
    pub peer_names: Vec<String>,
    /// `tcp`, `udp`, or the number of the IP protocol.
    pub protocol: String,
    /// Port of the device; of an echo its identifier.
    pub device_port: u16,
    /// Port of the other side; of an echo its identifier.
    pub peer_port: u16,
    /// `opening`, `established`, `closing` or `refused`.
    pub state: &'static str,
    /// `from-device` or `to-device`: who opened it.
    pub direction: &'static str,
    /// The rule that allowed it; absent when no rule did, or it is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether it passes only because its group is in audit mode.
    pub audited: bool,
    /// Bytes of the frames that went to the device.
    pub received_bytes: u64,
    /// Seconds since its first packet.
    pub age_seconds: u64,
    /// Seconds since its latest packet, which is noted once a second; of TCP, since the latest to the device.
    pub idle_seconds: u64,
}

impl FlowsReport {
    /// Of all flows, or of those of a device, or towards something; `names` are those of addresses.
    #[must_use]
    pub fn new(
        inspection: &Inspection,
        names: &BTreeMap<IpAddr, Vec<String>>,
        (device, towards): (Option<IpAddr>, Option<&Towards>),
    ) -> Self {
        let of_device = inspection.flows.iter().filter(|flow| device.is_none_or(|device| device == flow.device));
        let reports = of_device.map(|flow| report(flow, inspection, names));
        let mut flows: Vec<FlowReport> =
            reports.filter(|flow| towards.is_none_or(|towards| towards.covers(flow.peer, &flow.peer_names))).collect();
        flows.sort_by_key(|flow| (flow.device, flow.age_seconds, flow.peer, flow.peer_port, flow.device_port));
        Self { schema: "sphere.flows/1", daemon: if inspection.running { "running" } else { "stopped" }, flows }
    }
}

fn report(flow: &OpenFlow, inspection: &Inspection, names: &BTreeMap<IpAddr, Vec<String>>) -> FlowReport {
    let value = &flow.value;
    let now = inspection.clock.ticks_at(inspection.now);
    let seconds = |since: Ticks| now.saturating_sub(since) / u64::from(inspection.clock.ticks_per_second.max(1));
    let is_inbound = value.flags & flow_flags::INBOUND != 0;
    let mut peer_names = names.get(&flow.peer).cloned().unwrap_or_default();
    let of_rule = inspection.tables.rule_labels.get(&value.rule).map(name_of_rule).filter(|_| !is_inbound);
    if let Some(at) = peer_names.iter().position(|name| Some(name.as_str()) == of_rule) {
        peer_names.swap(0, at);
    }
    FlowReport {
        device: flow.device,
        group: inspection.group(value.group),
        peer: flow.peer,
        peer_names,
        protocol: protocol_text(flow.protocol),
        device_port: flow.device_port,
        peer_port: flow.peer_port,
        state: FlowState::from_byte(value.state).word(),
        direction: if is_inbound { "to-device" } else { "from-device" },
        rule: inspection.rule(value.rule),
        audited: value.flags & flow_flags::AUDITED != 0,
        received_bytes: value.received,
        age_seconds: seconds(value.created),
        idle_seconds: seconds(value.last_seen),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
    use sphere_common::abi::{FlowValue, GroupLabel, RuleLabel};

    use super::*;
    use crate::reconcile::{Clock, Installed, Moment};

    #[test]
    fn flows_are_chosen_by_prefix_and_by_name() {
        let peer: IpAddr = "192.0.2.7".parse().unwrap();
        let names = ["api.example.com".to_owned()];
        for (text, covers) in [
            ("192.0.2.7", true),
            ("192.0.2.0/24", true),
            ("192.0.3.0/24", false),
            ("2001:db8::/32", false),
            ("API.example.com", true),
            ("example.com", true),
            ("ample.com", false),
        ] {
            assert_eq!(Towards::parse(text).unwrap().covers(peer, &names), covers, "{text}");
        }
        assert!(matches!(Towards::parse("no name"), Err(QueryError::Peers(_))));
    }

    #[test]
    fn flows_are_told_as_they_always_were() {
        let flow = |device: [u8; 4], (protocol, port), flags, rule| OpenFlow {
            device: device.into(),
            peer: [192, 0, 2, 7].into(),
            device_port: 40_000,
            peer_port: port,
            protocol,
            value: FlowValue {
                state: FlowState::Established as u8,
                flags,
                rule,
                group: 3,
                created: 100,
                last_seen: 190,
                received: 1_048_576 * u64::from(port % 7),
                ..FlowValue::default()
            },
        };
        let flows = vec![
            flow([10, 20, 0, 6], (17, 123), flow_flags::AUDITED, 0),
            flow([10, 20, 0, 5], (6, 443), 0, 1),
            flow([10, 20, 0, 5], (6, 50_000), flow_flags::INBOUND, 2),
        ];
        let mut tables = Installed::default();
        for (number, text) in [(1, "api.example.com tcp/443"), (2, "inbound 192.0.2.0/24 tcp/40000")] {
            let mut label = RuleLabel { group: 3, used: 1, text: [0; 248] };
            label.text[..text.len()].copy_from_slice(text.as_bytes());
            tables.rule_labels.insert(number, label);
        }
        let mut label = GroupLabel { used: 1, enforce: 1, text: [0; 56] };
        label.text[..6].copy_from_slice(b"meters");
        tables.group_labels.insert(3, label);
        let now = Moment::default();
        let clock = Clock { ticks_per_second: 1, anchor: now, anchor_ticks: 200 };
        let (sightings, interfaces) = (Vec::new(), BTreeMap::new());
        let inspection = Inspection { running: true, now, clock, tables, sightings, flows, interfaces };
        let names = ["cdn.example.net", "api.example.com"].map(str::to_owned);
        let names = BTreeMap::from([(IpAddr::from([192, 0, 2, 7]), names.to_vec())]);
        let report = FlowsReport::new(&inspection, &names, (None, None));
        let mut text = Vec::new();
        crate::render::write_flows(&mut text, &report).unwrap();
        crate::snapshots::check("flows.txt", std::str::from_utf8(&text).unwrap());
        crate::snapshots::check("flows.json", &crate::render::json_text(&report).unwrap());
        let one = FlowsReport::new(&inspection, &names, (Some([10, 20, 0, 6].into()), None));
        assert_eq!(one.flows.len(), 1);
    }
}
