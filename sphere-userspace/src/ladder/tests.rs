//! What a device does becomes where it stands.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use sphere_common::abi::{DeniedValue, DeviceValue, GroupLabel};

use super::*;
use crate::datapath::Trace;
use crate::policy;
use crate::reconcile::{Clock, Installed, Moment};

const DEVICE: [u8; 4] = [10, 20, 0, 5];
const GROUP: u32 = 3;
const POLICY: &str = r#"
version = 1
[[group]]
name = "meters"
mode = "enforce"
interfaces = ["lan0"]
subnets = ["10.20.0.0/24"]
resolvers = ["192.0.2.53"]
profiles = ["azure-sphere"]
[group.azure-sphere]
ntp = false
hubs = ["contoso"]
[[group.allow]]
host = "api.example.com"
ports = ["tcp/9000"]
step = "application"
"#;

/// A ladder, and the tables that it is fed from. A tick is a second.
struct World {
    ladder: Ladder,
    traces: Traces,
    installed: Installed,
    names: Vec<(IpAddr, String)>,
}

impl World {
    fn new(room: u32) -> Self {
        let mut label = GroupLabel { used: 1, enforce: 1, text: [0; 56] };
        label.text[..6].copy_from_slice(b"meters");
        let mut installed = Installed::default();
        installed.group_labels.insert(GROUP, label);
        for step in Step::ALL {
            let used = RuleLabel::used_by(step as u8);
            installed.rule_labels.insert(step as u32, RuleLabel { group: GROUP, used, text: [0; 248] });
        }
        let mut ladder = Ladder::new(room, Some(0));
        ladder.follow(Signposts::of_policy(&policy::parse(POLICY, "policy.toml").unwrap(), &installed), room);
        let clock = Clock { ticks_per_second: 1, anchor: Moment::default(), anchor_ticks: 0 };
        Self { ladder, traces: Traces::new(clock), installed, names: Vec::new() }
    }

    /// The ladder takes up what is in the tables at a second, and tells of it.
    fn at(&mut self, second: u64) -> DeviceReport {
        self.traces.clock = Clock {
            anchor: Moment::new(std::time::Duration::from_secs(second)),
            anchor_ticks: second,
            ..self.traces.clock
        };
        let names =
            |peer| self.names.iter().filter(|(address, _)| *address == peer).map(|(_, name)| name.clone()).collect();
        self.ladder.take(&self.traces, &self.installed.rule_labels, names);
        let report = DevicesReport::new(&self.ladder, (&self.traces, &self.installed), Some(DEVICE.into()), true);
        report.devices.into_iter().next().unwrap()
    }

    fn flow(&mut self, step: Step, trace: Trace) {
        self.traces.flows.insert((DEVICE.into(), step as u32), trace);
    }

    fn answered(&mut self, step: Step, second: u64) {
        self.flow(step, Trace { open: 1, answered: Some(second), unanswered: None, opened: second });
    }

    fn denied(&mut self, peer: [u8; 4], service: (u8, u16), reason: Reason, last: u64) {
        let key = DeniedKey {
            device: mapped(DEVICE),
            peer: mapped(peer),
            group: GROUP,
            peer_port_be: service.1.to_be_bytes(),
            protocol: service.0,
            reason: reason as u8,
            verdict: Verdict::Deny as u8,
            direction: Direction::Ingress as u8,
            pad: [0; 2],
        };
        let value = DeniedValue { packets: 2, bytes: 120, first: last, last };
        self.traces.accounts.push(Account { key, is_others: false, value });
    }

    fn refused(&mut self, name: &str, second: u64) {
        self.ladder.refuse(&Question {
            device: DEVICE.into(),
            group: GROUP,
            resolver: [192, 0, 2, 53].into(),
            protocol: UDP,
            name: name.to_owned(),
            reason: Reason::QueryName,
            verdict: Verdict::Deny,
            at_ms: second * 1_000,
        });
    }
}

fn mapped(address: [u8; 4]) -> [u8; 16] {
    std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets()
}

fn blocked(report: &DeviceReport) -> Option<(Step, &str, Option<&str>)> {
    report.blocked.as_ref().map(|blocked| (blocked.step, blocked.by, blocked.reason))
}

fn state(report: &DeviceReport, step: Step) -> &str {
    report.ladder.iter().find(|rung| rung.step == step).unwrap().state
}

#[test]
fn a_refused_name_stops_its_step_and_the_remedy_is_the_option_that_leaves_it_out() {
    let mut world = World::new(8);
    for step in [Step::Dns, Step::ConnectionCheck, Step::Attestation, Step::Application] {
        world.answered(step, 100);
    }
    world.refused("prod.time.sphere.azure.net", 99);
    let report = world.at(110);
    assert_eq!(blocked(&report), Some((Step::Time, "gateway", Some("query-name"))));
    let told = report.blocked.as_ref().unwrap();
    assert!(told.remedy.starts_with("write `ntp = true` in [group.azure-sphere]"), "{}", told.remedy);
    assert!(told.why.ends_with("prod.time.sphere.azure.net"), "{}", told.why);
    assert_eq!((state(&report, Step::Dhcp), state(&report, Step::Update)), ("implied", "unseen"));

    world.answered(Step::Time, 120);
    assert_eq!(blocked(&world.at(121)), None, "a later success");
    world.refused("other.azure-devices.net", 130);
    let report = world.at(131);
    assert_eq!(blocked(&report), Some((Step::Application, "gateway", Some("query-name"))));
    assert!(report.blocked.unwrap().remedy.contains("`hubs`"));
}

#[test]
fn the_first_of_several_steps_is_named() {
    let mut world = World::new(8);
    world.refused("contoso.azure-devices.net", 10);
    world.refused("time.sphere.azure.net", 11);
    assert_eq!(blocked(&world.at(12)).map(|(step, ..)| step), Some(Step::Time));
}

#[test]
fn success_outlives_its_flow_and_a_name_of_no_step_stops_none() {
    let mut world = World::new(8);
    world.answered(Step::Dns, 10);
    world.at(11);
    world.traces.flows.clear();
    world.refused("ads.example.org", 20);
    let report = world.at(21);
    assert_eq!((state(&report, Step::Dns), blocked(&report)), ("done", None));
    assert_eq!(report.dns.refused_names, ["ads.example.org"]);
    assert_eq!(report.dns.answered_seconds_ago, Some(11));
}

#[test]
fn another_resolver_stops_dns_unless_ours_answers_as_well() {
    let mut world = World::new(8);
    world.denied([198, 51, 100, 53], (UDP, 53), Reason::Resolver, 10);
    let report = world.at(11);
    assert_eq!(blocked(&report), Some((Step::Dns, "gateway", Some("resolver"))));
    assert_eq!((report.dns.state, report.denied_packets), ("foreign-resolver", 2));
    world.answered(Step::Dns, 9);
    assert_eq!(blocked(&world.at(12)), None, "both were asked at a time");
    world.denied([198, 51, 100, 53], (UDP, 53), Reason::Resolver, 15);
    assert_eq!(blocked(&world.at(16)).map(|(step, ..)| step), Some(Step::Dns));
}

#[test]
fn packets_are_told_by_names_of_their_address_and_by_their_service() {
    let mut world = World::new(8);
    world.denied([203, 0, 113, 1], (UDP, 123), Reason::Destination, 10);
    assert_eq!(blocked(&world.at(11)).map(|(step, ..)| step), Some(Step::Time));
    let mut world = World::new(8);
    world.names.push(([203, 0, 113, 2].into(), "api.example.com".to_owned()));
    world.denied([203, 0, 113, 2], (6, 9443), Reason::Destination, 10);
    let report = world.at(11);
    assert_eq!(blocked(&report).map(|(step, ..)| step), Some(Step::Application));
    assert!(report.blocked.unwrap().remedy.contains("allow \"tcp/9443\" at api.example.com"));
    let mut world = World::new(8);
    world.denied([203, 0, 113, 2], (6, 22), Reason::Destination, 10);
    assert_eq!(blocked(&world.at(11)), None, "of no step");
}

#[test]
fn what_nobody_answers_is_not_the_gateways_doing() {
    let mut world = World::new(8);
    world.flow(Step::Dns, Trace { open: 1, answered: None, unanswered: Some(10), opened: 14 });
    assert_eq!(blocked(&world.at(12)), None, "the answer may still come");
    let report = world.at(16);
    assert_eq!(blocked(&report), Some((Step::Dns, "beyond", None)));
    assert_eq!(report.dns.says, "asked, 0 DNS answers seen");
}

#[test]
fn what_is_only_recorded_stops_nothing() {
    let mut world = World::new(8);
    world.denied([203, 0, 113, 1], (UDP, 123), Reason::Destination, 10);
    world.traces.accounts[0].key.verdict = Verdict::Audit as u8;
    let report = world.at(11);
    assert_eq!((state(&report, Step::Time), blocked(&report)), ("would-block", None));
}

#[test]
fn records_are_bounded_and_who_got_somewhere_stays() {
    let mut world = World::new(2);
    world.answered(Step::Dns, 1);
    for last in 0..50 {
        let value = DeviceValue { last_seen: 100, group: GROUP, ..DeviceValue::default() };
        world.traces.devices.push(([10, 20, 1, last].into(), value));
    }
    world.at(101);
    assert_eq!((world.ladder.trails.len(), world.ladder.crowded_out), (2, 49));
    assert!(world.ladder.trails.contains_key(&DEVICE.into()));
    for last in 0..50 {
        let device = [10, 20, 2, last].into();
        world.ladder.refuse(&Question { device, ..question() });
    }
    assert_eq!(world.ladder.trails.len(), 2);
}

fn question() -> Question {
    Question {
        device: DEVICE.into(),
        group: GROUP,
        resolver: [192, 0, 2, 53].into(),
        protocol: UDP,
        name: "time.sphere.azure.net".to_owned(),
        reason: Reason::QueryName,
        verdict: Verdict::Deny,
        at_ms: 0,
    }
}

#[test]
fn it_goes_through_the_control_socket() {
    let mut world = World::new(8);
    world.answered(Step::Dns, 10);
    world.refused("time.sphere.azure.net", 20);
    world.denied([198, 51, 100, 53], (UDP, 53), Reason::Resolver, 30);
    world.at(31);
    let text = serde_json::to_string(&world.ladder).unwrap();
    assert_eq!(serde_json::from_str::<Ladder>(&text).unwrap(), world.ladder);
}

#[test]
fn devices_are_told_as_they_always_were() {
    let mut world = World::new(8);
    let value = DeviceValue { last_seen: 90, group: GROUP, mac: [2, 0, 0, 32, 0, 1], ..DeviceValue::default() };
    world.traces.devices.push((DEVICE.into(), value));
    for step in [Step::Dns, Step::ConnectionCheck] {
        world.answered(step, 100);
    }
    world.refused("prod.time.sphere.azure.net", 110);
    world.refused("ads.example.org", 111);
    world.names.push(([203, 0, 113, 2].into(), "api.example.com".to_owned()));
    world.denied([203, 0, 113, 2], (6, 9443), Reason::Destination, 112);
    world.at(240);
    for (name, wanted) in [("devices", None), ("device", Some(IpAddr::from(DEVICE)))] {
        let report = DevicesReport::new(&world.ladder, (&world.traces, &world.installed), wanted, true);
        let mut text = Vec::new();
        crate::render::write_devices(&mut text, &report, wanted.is_some()).unwrap();
        crate::snapshots::check(&format!("{name}.txt"), std::str::from_utf8(&text).unwrap());
        crate::snapshots::check("devices.json", &crate::render::json_text(&report).unwrap());
    }
}
