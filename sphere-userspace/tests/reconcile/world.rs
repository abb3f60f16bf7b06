//! A gateway in memory: policy, leases and tables, and a check of every step on the way between two tables.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use sphere_common::abi::{Endpoint4Key, Endpoint6Key, EndpointValue};
use sphere_userspace::datapath::Datapath;
use sphere_userspace::datapath::fake::Fake;
use sphere_userspace::policy::{
    AttachMode, DnsPolicy, DomainName, Group, GroupName, InboundRule, Interface, InterfaceName, Mode, NamePattern,
    Need, Origin, OtherSources, Policy, Rule, Server, Target, Unlearned,
};
use sphere_userspace::reconcile::{
    Changeset, Clock, Desired, GatewayFacts, Inputs, LeaseSource, LeaseTerms, Leases, Misfit, Moment, Step, Tables,
};
use sphere_userspace::resolve::{AddressRecord, Answer};

pub(crate) fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn origin() -> Origin {
    Origin::File { path: "policy.toml".into(), line: 1 }
}

/// A rule such as `rule("api.example.com", &["tcp/443"])`; the target may be an address or a prefix too.
pub(crate) fn rule(target: &str, services: &[&str]) -> Rule {
    let target = target
        .parse()
        .map(Target::Address)
        .or_else(|_| target.parse().map(Target::Cidr))
        .unwrap_or_else(|_| Target::Name(NamePattern::parse(target).unwrap()));
    Rule {
        target,
        services: services.iter().map(|service| service.parse().unwrap()).collect(),
        origin: origin(),
        purpose: None,
        allow_private: false,
        any_type: false,
        need: Need::Required,
        step: None,
    }
}

pub(crate) fn inbound(from: &str, services: &[&str]) -> InboundRule {
    InboundRule {
        from: from.parse().unwrap(),
        services: services.iter().map(|service| service.parse().unwrap()).collect(),
        origin: origin(),
        purpose: None,
    }
}

/// An enforcing group on `lan0` that has nothing but these rules.
pub(crate) fn group(name: &str, subnets: &[&str], rules: Vec<Rule>) -> Group {
    Group {
        name: GroupName::parse(name).unwrap(),
        mode: Mode::Enforce,
        interfaces: [InterfaceName::parse("lan0").unwrap()].into(),
        subnets: subnets.iter().map(|subnet| subnet.parse().unwrap()).collect(),
        resolvers: BTreeSet::new(),
        dns: DnsPolicy::default(),
        dns_hold: None,
        dns_unlearned: Unlearned::default(),
        learn: Group::DEFAULT_LEARN,
        dhcp_servers: BTreeSet::new(),
        gateway_access: false,
        rules,
        inbound: Vec::new(),
        left_out: Vec::new(),
        profiles: Default::default(),
    }
}

/// With resolvers, DHCP and the gateway's access.
pub(crate) fn furnished(mut group: Group) -> Group {
    group.resolvers = [Server::Gateway, Server::Address(address("20.0.0.53"))].into();
    group.dhcp_servers = [Server::Gateway].into();
    group.gateway_access = true;
    group
}

pub(crate) fn interface(name: &str) -> Interface {
    Interface {
        name: InterfaceName::parse(name).unwrap(),
        attach: AttachMode::Auto,
        other_sources_v4: OtherSources::Pass,
        other_sources_v6: OtherSources::Deny,
    }
}

pub(crate) fn policy(groups: Vec<Group>) -> Policy {
    Policy { interfaces: vec![interface("lan0")], groups, ..Policy::default() }
}

pub(crate) fn answer(records: &[(&str, u64)]) -> Answer {
    let record = |(text, ttl): &(&str, u64)| AddressRecord { address: address(text), ttl: Duration::from_secs(*ttl) };
    Answer { records: records.iter().map(record).collect(), chain: Vec::new(), chain_ttl: None }
}

pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) leases: Leases,
    pub(crate) fake: Fake,
    pub(crate) clock: Clock,
    pub(crate) now: Moment,
}

impl World {
    pub(crate) fn new(policy: Policy) -> Self {
        let fake = Fake::new(&[
            ("lan0", 2, &["10.20.0.1", "fd00:20::1", "fe80::1"]),
            ("lan1", 3, &["10.30.0.1"]),
            ("wan0", 4, &["20.41.0.2"]),
            ("lo", 1, &["127.0.0.1", "::1"]),
        ]);
        let clock = fake.clock().unwrap();
        Self { policy, leases: Leases::new(), fake, clock, now: Moment::new(Duration::from_secs(5_000)) }
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        // The kernel's clock is read anew each time, at any phase of a tick.
        let phase = Duration::from_nanos(self.now.since_zero().as_nanos() as u64 * 7_919 % 4_000_000);
        let anchor = self.now.before(phase);
        self.clock = Clock { anchor, anchor_ticks: self.fake.clock().unwrap().ticks_at(anchor), ..self.clock };
    }

    pub(crate) fn learn(&mut self, text: &str, records: &[(&str, u64)]) {
        self.learn_answer(&name(text), &answer(records));
    }

    pub(crate) fn learn_answer(&mut self, name: &DomainName, answer: &Answer) {
        let terms = LeaseTerms::from(&self.policy.resolver);
        self.leases.learn(name, answer, &terms, (self.now, LeaseSource::Polled));
    }

    /// Forgets leases that have ended, and those of names that the policy lacks.
    pub(crate) fn prune(&mut self) {
        let names = self.policy.names();
        self.leases.prune(|name, _| names.contains(name), self.now);
    }

    pub(crate) fn facts(&self) -> &GatewayFacts {
        &self.fake.gateway
    }

    pub(crate) fn desired(&self) -> Result<Desired, Misfit> {
        let (policy, leases, facts, clock) = (&self.policy, &self.leases, self.facts(), &self.clock);
        Desired::new(&Inputs { policy, leases, facts, clock, now: self.now }, &self.fake.tables)
    }

    /// Makes the tables what they should be, and checks every table on the way.
    pub(crate) fn reconcile(&mut self) {
        drop(self.changes());
    }

    /// As [`Self::reconcile`], and gives back the steps.
    pub(crate) fn changes(&mut self) -> Changeset {
        let desired = self.desired().unwrap();
        let changes = Changeset::between(&self.fake.tables, &desired, &self.policy.limits);
        let before = self.fake.tables.clone();
        for step in &changes.steps {
            self.take(step);
            assert_in_between(&self.fake.tables, &before, &desired.tables);
            assert!(self.fake.tables.endpoints4.len() <= self.policy.limits.endpoints as usize);
            let ruled = self.fake.tables.cidrs4.values().filter(|value| value.rule != 0).count();
            assert!(ruled <= self.policy.limits.cidrs as usize);
        }
        assert_eq!(self.fake.tables, desired.tables);
        let again = Changeset::between(&self.fake.tables, &self.desired().unwrap(), &self.policy.limits);
        assert!(again.is_empty(), "what was applied is not what is wanted: {again:?}");
        changes
    }

    pub(crate) fn take(&mut self, step: &Step) {
        self.fake.apply(&Changeset { steps: vec![step.clone()], ..Changeset::default() }).unwrap();
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.fake.tables
    }

    /// Addresses open for a group, protocol and port, in text.
    pub(crate) fn open(&self, group: u32, protocol: u8, port: u16) -> BTreeSet<String> {
        let port_be = port.to_be_bytes();
        let keys4 = self.tables().endpoints4.keys();
        let v4 = keys4
            .filter(|key| (key.group, key.protocol, key.port_be) == (group, protocol, port_be))
            .map(|key| IpAddr::from(key.address).to_string());
        let keys6 = self.tables().endpoints6.keys();
        let v6 = keys6
            .filter(|key| (key.group, key.protocol, key.port_be) == (group, protocol, port_be))
            .map(|key| IpAddr::from(key.address).to_string());
        v4.chain(v6).collect()
    }

    pub(crate) fn endpoint(&self, group: u32, text: &str, (protocol, port): (u8, u16)) -> Option<EndpointValue> {
        let port_be = port.to_be_bytes();
        match address(text) {
            IpAddr::V4(address) => {
                let key = Endpoint4Key { group, address: address.octets(), port_be, protocol, pad: 0 };
                self.tables().endpoints4.get(&key).copied()
            }
            IpAddr::V6(address) => {
                let key = Endpoint6Key { group, address: address.octets(), port_be, protocol, pad: 0 };
                self.tables().endpoints6.get(&key).copied()
            }
        }
    }

    /// Number of the rule of this label.
    pub(crate) fn number(&self, group: u32, label: &str) -> Option<u32> {
        let mut text = [0; 248];
        text[..label.len()].copy_from_slice(label.as_bytes());
        let found = self.tables().rule_labels.iter().find(|(_, known)| known.group == group && known.text == text);
        found.map(|(number, _)| *number)
    }
}

/// What is in both tables is never missing on the way, and nothing is there that is in neither.
fn assert_in_between(now: &Tables, before: &Tables, after: &Tables) {
    for key in before.endpoints4.keys().filter(|key| after.endpoints4.contains_key(key)) {
        assert!(now.endpoints4.contains_key(key), "{key:?} was cut");
    }
    for key in before.cidrs4.keys().filter(|key| after.cidrs4.contains_key(key)) {
        assert!(now.cidrs4.contains_key(key), "{key:?} was cut");
    }
    for (key, value) in &now.endpoints4 {
        assert!([before, after].iter().any(|tables| tables.endpoints4.get(key) == Some(value)), "{key:?}");
    }
    for (number, label) in &now.rule_labels {
        assert!([before, after].iter().any(|tables| tables.rule_labels.get(number) == Some(label)), "{number}");
    }
}
