//! The deciding code over what is pinned: what would happen to a packet now.

use std::collections::BTreeSet;
use std::net::IpAddr;

use etherparse::PacketBuilder;
use sphere_common::decide::{Context, NO_GROUP, Workspace, ingress};
use sphere_common::host::HostTables;
use sphere_common::verdict::{Reason, Verdict};

use super::explain::{PortLine, VerdictLine};
use super::view::View;
use crate::datapath::Inspection;
use crate::policy::DomainName;
use crate::resolve::Special;

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
/// Services that are tried when none is asked for and none is open at the address.
const USUAL: [(u8, u16); 2] = [(TCP, 443), (TCP, 80)];
/// Source port of the packets that are tried.
const SOURCE_PORT: u16 = 49_152;
/// What becomes of a source that concerns no device.
const UNTOUCHED: &str = "passes untouched: the port lets sources in no device subnet pass";

/// The deciding code over what is pinned.
pub(super) struct Gateway<'a> {
    inspection: &'a Inspection,
    tables: HostTables,
    device: IpAddr,
    workspace: Box<Workspace>,
}

impl<'a> Gateway<'a> {
    /// With the open flows of one device.
    pub(super) fn new(inspection: &'a Inspection, device: IpAddr) -> Self {
        Self { inspection, tables: inspection.host_tables(device), device, workspace: Box::default() }
    }

    /// What happens to a first packet of the device, on the port that knows it.
    fn judge(&mut self, address: IpAddr, service: (u8, u16)) -> Option<(Verdict, Reason, u32, u32)> {
        let frame = frame(self.device, address, service)?;
        let ports: Vec<u32> = self.inspection.tables.ports.keys().copied().collect();
        let mut last = None;
        for ifindex in ports {
            let decision = self.judge_on(ifindex, &frame);
            // On the ports of others the device is a stranger.
            if decision.3 != NO_GROUP {
                return Some(decision);
            }
            last = Some(decision);
        }
        last
    }

    /// What happens to a frame that comes in on a port.
    fn judge_on(&mut self, ifindex: u32, mut frame: &[u8]) -> (Verdict, Reason, u32, u32) {
        let inspection = self.inspection;
        let now = inspection.clock.ticks_at(inspection.now);
        let context = Context { config: &inspection.tables.config, ifindex, now };
        ingress(&mut frame, &mut self.tables, &context, &mut self.workspace);
        let decision = &self.workspace.decision;
        (decision.verdict, decision.reason, decision.rule, decision.group)
    }

    /// Number of the device's group, and whether it enforces.
    pub(super) fn group(&mut self, towards: IpAddr) -> (Option<u32>, bool) {
        let towards = self.in_reach(towards);
        let group = self.judge(towards, (TCP, 443)).map(|(.., group)| group);
        let labels = &self.inspection.tables.group_labels;
        let known = group.and_then(|group| labels.get(&group).map(|label| (group, label.enforce != 0)));
        known.map_or((None, false), |(group, enforced)| (Some(group), enforced))
    }

    /// What happens to the source on every device port.
    pub(super) fn ports(&mut self, towards: IpAddr) -> Vec<PortLine> {
        let Some(frame) = frame(self.device, self.in_reach(towards), (TCP, 443)) else { return Vec::new() };
        let ports: Vec<u32> = self.inspection.tables.ports.keys().copied().collect();
        let mut lines = Vec::new();
        for ifindex in ports {
            let (verdict, reason, ..) = self.judge_on(ifindex, &frame);
            let name = self.inspection.interfaces.get(&ifindex).cloned();
            lines.push(PortLine {
                interface: name.unwrap_or_else(|| ifindex.to_string()),
                verdict: verdict.word(),
                reason: reason.word(),
                explanation: if reason == Reason::OtherSubnet { UNTOUCHED } else { reason.sentence() },
            });
        }
        lines
    }

    /// The address, or the device itself where that is of the other family.
    fn in_reach(&self, address: IpAddr) -> IpAddr {
        if address.is_ipv4() == self.device.is_ipv4() { address } else { self.device }
    }

    /// Addresses of a name, in the family of the device.
    pub(super) fn addresses_of(&self, view: &View, name: &DomainName) -> BTreeSet<IpAddr> {
        let known = view.names.get(name.as_str()).map(|known| known.leases.as_slice()).unwrap_or_default();
        let past = view.past.iter().filter(|(past, _)| past == name.as_str()).map(|(_, lease)| lease);
        let all = known.iter().chain(past).map(|lease| lease.address);
        all.filter(|address| address.is_ipv4() == self.device.is_ipv4()).collect()
    }

    /// Verdicts at an address, to which names lead or not: of the service that is asked for, or of those that are open there, or of the usual ones.
    pub(super) fn verdicts(
        &mut self,
        (address, is_named): (IpAddr, bool),
        service: Option<(u8, u16)>,
    ) -> Vec<VerdictLine> {
        let services = service.map_or_else(|| self.services(address), |service| BTreeSet::from([service]));
        let mut lines = Vec::new();
        for service in services {
            let Some((verdict, reason, rule, _)) = self.judge(address, service) else { continue };
            lines.push(VerdictLine {
                address,
                service: shown(service),
                verdict: verdict.word(),
                reason: reason.word(),
                explanation: reason.sentence(),
                rule: if verdict == Verdict::Pass { self.inspection.rule(rule) } else { None },
                remedy: Special::of(address).filter(|_| is_named && reason == Reason::Destination).map(Special::remedy),
            });
        }
        lines
    }

    fn services(&self, address: IpAddr) -> BTreeSet<(u8, u16)> {
        let tables = &self.inspection.tables;
        let of_v4 = tables.endpoints4.keys().map(|key| (IpAddr::from(key.address), key.protocol, key.port_be));
        let of_v6 = tables.endpoints6.keys().map(|key| (IpAddr::from(key.address), key.protocol, key.port_be));
        let open = of_v4.chain(of_v6).filter(|(open, ..)| *open == address);
        let open = open.map(|(_, protocol, port_be)| (protocol, u16::from_be_bytes(port_be)));
        let open = open.filter(|(protocol, port)| matches!(*protocol, TCP | UDP) && *port != 0);
        let open: BTreeSet<(u8, u16)> = open.collect();
        if open.is_empty() { USUAL.into() } else { open }
    }
}

/// A first packet.
fn frame(device: IpAddr, address: IpAddr, (protocol, port): (u8, u16)) -> Option<Vec<u8>> {
    let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let ip = match (device, address) {
        (IpAddr::V4(device), IpAddr::V4(address)) => link.ipv4(device.octets(), address.octets(), 64),
        (IpAddr::V6(device), IpAddr::V6(address)) => link.ipv6(device.octets(), address.octets(), 64),
        _ => return None,
    };
    let mut frame = Vec::new();
    let written = if protocol == UDP {
        ip.udp(SOURCE_PORT, port).write(&mut frame, &[])
    } else {
        ip.tcp(SOURCE_PORT, port, 1, 1024).syn().write(&mut frame, &[])
    };
    written.is_ok().then_some(frame)
}

fn shown((protocol, port): (u8, u16)) -> String {
    format!("{}/{port}", if protocol == UDP { "udp" } else { "tcp" })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::collections::BTreeMap;

    use sphere_common::abi::{GroupLabel, Port, Subnet4, SubnetValue, port_flags};

    use super::*;
    use crate::names::view::{LeaseView, NameView};
    use crate::names::{Query, explain};
    use crate::reconcile::{Clock, Installed, Moment};

    /// Port 2 is lan0 and lets others pass, port 3 is lan1 and does not; 10.20.0.0/24 is behind lan1.
    fn gateway() -> Inspection {
        let mut tables = Installed::default();
        let subnet = Subnet4 {
            network: [10, 20, 0, 0],
            mask: [255, 255, 255, 0],
            ifindex: 3,
            group: SubnetValue { group: 4, enforce: 1, ..SubnetValue::default() },
        };
        tables.config.subnets4[0] = subnet;
        tables.config.subnets4_len = 1;
        (tables.config.ticks_per_second, tables.config.flows_per_device) = (250, 16);
        tables.ports.insert(2, Port { enforce: 1, ..Port::default() });
        tables.ports.insert(3, Port { enforce: 1, flags: port_flags::DENY_FOREIGN4, ..Port::default() });
        let mut label = GroupLabel { used: 1, enforce: 1, text: [0; 56] };
        label.text[..5].copy_from_slice(b"meter");
        tables.group_labels.insert(4, label);
        Inspection {
            running: false,
            now: Moment::default(),
            clock: Clock { ticks_per_second: 250, anchor: Moment::default(), anchor_ticks: 1 << 32 },
            tables,
            sightings: Vec::new(),
            flows: Vec::new(),
            interfaces: BTreeMap::from([(2, "lan0".to_owned()), (3, "lan1".to_owned())]),
        }
    }

    #[test]
    fn of_a_source_in_no_device_subnet_each_port_says_what_happens_to_it() {
        for target in ["192.0.2.7:443", "api.example.com", "2001:db8::7"] {
            let query = Query::parse("10.99.0.5".parse().unwrap(), target).unwrap();
            let explanation = explain(&query, &View::default(), &gateway());
            assert_eq!((explanation.group.as_deref(), explanation.may_ask), (None, None), "{target}");
            assert!(explanation.verdicts.is_empty(), "{target}: {:?}", explanation.verdicts);
            let ports = explanation.ports.iter().map(|line| (line.interface.as_str(), line.verdict, line.reason));
            let expected = [("lan0", "pass", "other-subnet"), ("lan1", "deny", "foreign-source")];
            assert_eq!(ports.collect::<Vec<_>>(), expected, "{target}");
        }
    }

    #[test]
    fn of_an_address_that_answers_do_not_open_it_says_what_would_have_to_change() {
        let lease = |address: &str| LeaseView {
            address: address.parse().unwrap(),
            group: None,
            source: "polled".to_owned(),
            device: None,
            since_ms: 0,
            renewed_ms: 0,
            live_until_ms: 1_000,
            ends_ms: 1_000,
        };
        let leases = ["192.168.7.1", "240.0.0.1", "20.0.0.1"].map(lease).to_vec();
        let known = NameView { leases, ..NameView::default() };
        let view = View { names: BTreeMap::from([("a.example".to_owned(), known)]), ..View::default() };
        let remedy = |target: &str| {
            let query = Query::parse("10.20.0.5".parse().unwrap(), target).unwrap();
            explain(&query, &view, &gateway()).verdicts[0].remedy.clone().unwrap_or_default()
        };
        assert!(remedy("192.168.7.1:443").contains("`allow_private = true`"), "{}", remedy("192.168.7.1:443"));
        assert!(remedy("240.0.0.1:443").contains("no answer opens a reserved address"), "{}", remedy("240.0.0.1:443"));
        assert_eq!(remedy("20.0.0.1:443"), "");
        assert_eq!(remedy("192.168.7.2:443"), "", "no name leads there");
    }

    #[test]
    fn a_device_is_judged_on_its_own_port_whatever_others_say() {
        let query = Query::parse("10.20.0.5".parse().unwrap(), "192.0.2.7:443").unwrap();
        let explanation = explain(&query, &View::default(), &gateway());
        assert_eq!((explanation.group.as_deref(), explanation.ports.len()), (Some("meter"), 0));
        let [verdict] = explanation.verdicts.as_slice() else { panic!("{:?}", explanation.verdicts) };
        assert_eq!((verdict.verdict, verdict.reason), ("deny", "destination"));
    }
}
