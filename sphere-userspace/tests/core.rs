//! The daemon's core over a data plane in memory: what it does when something happened, and in which order.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Arc;
use std::time::Duration;

use sphere_common::abi::{Endpoint4Key, EndpointValue, Ticks, endpoint_flags};
use sphere_userspace::audit::Directory;
use sphere_userspace::daemon::{Core, Learned, Lesson};
use sphere_userspace::datapath::fake::{Call, Fake};
use sphere_userspace::datapath::{Datapath, Exchange, monotonic};
use sphere_userspace::overhear::Overheard;
use sphere_userspace::policy::{self, DomainName, Policy};
use sphere_userspace::reconcile::LeaseSource;
use sphere_userspace::resolve::{AddressRecord, Answer, Family, Outcome, Question, Resolution};

fn policy(rules: &str) -> Policy {
    let head = "version = 1\n[[group]]\nname = \"devices\"\nmode = \"enforce\"\ninterfaces = [\"lan0\"]\n\
                subnets = [\"10.20.0.0/24\"]\nresolvers = [\"gateway\"]\n";
    policy::parse(&format!("{head}{rules}"), "policy.toml").unwrap()
}

fn allow(host: &str) -> String {
    format!("[[group.allow]]\nhost = \"{host}\"\nports = [\"tcp/443\"]\n")
}

fn core(rules: &str) -> Core<Fake> {
    let fake = Fake::new(&[("lan0", 2, &["10.20.0.1"])]);
    let mut core = Core::open(fake, policy(rules), Arc::new(Directory::default())).unwrap();
    core.begin().unwrap();
    core
}

fn resolution(name: &str, outcome: Outcome) -> Resolution {
    let question = Question { name: DomainName::parse(name).unwrap(), family: Family::V4 };
    Resolution { question, outcome, at: monotonic::now() }
}

fn answer(name: &str, address: [u8; 4]) -> Resolution {
    let record = AddressRecord { address: address.into(), ttl: Duration::from_secs(60) };
    resolution(name, Outcome::Answer(Answer { records: vec![record], chain: Vec::new(), chain_ttl: None }))
}

fn endpoint(core: &Core<Fake>, address: [u8; 4]) -> Option<(Endpoint4Key, EndpointValue)> {
    let tables = &core.datapath().tables;
    let found = tables.endpoints4.iter().find(|(key, _)| key.address == address && key.port_be == [1, 187]);
    found.map(|(key, value)| (*key, *value))
}

fn ticks_in(core: &Core<Fake>, seconds: u64) -> Ticks {
    core.datapath().clock().unwrap().ticks_at(monotonic::now() + Duration::from_secs(seconds))
}

#[test]
fn the_tables_are_complete_before_a_port_is_guarded() {
    let core = core(&allow("a.example.com"));
    let calls = core.datapath().calls.as_slice();
    assert!(matches!(calls, [Call::Apply(_), Call::Shares, Call::Guard(ports)] if ports == &["lan0"]), "{calls:?}");
}

/// An answer that the programs left to the daemon.
fn overheard(core: &Core<Fake>, name: &str, addresses: &[[u8; 4]]) -> Overheard {
    let group = *core.datapath().tables.group_labels.keys().next().unwrap();
    let exchange = Exchange {
        device: [10, 20, 0, 5].into(),
        device_port: 5000,
        resolver: [10, 20, 0, 1].into(),
        is_tcp: true,
        id: 7,
        name: name.to_owned(),
        kind: 1,
    };
    let record = |address: &[u8; 4]| AddressRecord { address: (*address).into(), ttl: Duration::from_secs(60) };
    Overheard { group, exchange, is_asked: false, records: addresses.iter().map(record).collect() }
}

#[test]
fn an_answer_that_was_left_to_the_daemon_opens_its_addresses_at_once() {
    let mut core = core(&allow("a.example.com"));
    let heard = overheard(&core, "a.example.com", &[[20, 0, 0, 1], [127, 0, 0, 1], [10, 1, 1, 1]]);
    assert_eq!(core.overhear(&heard).unwrap(), Lesson::Unasked, "nobody asked");
    core.datapath_mut().asked.push(heard.exchange.clone());
    let share = *core.datapath().shares.get(&heard.group).unwrap();
    assert_eq!(core.overhear(&heard).unwrap(), Lesson::Learned(1));
    let (_, value) = endpoint(&core, [20, 0, 0, 1]).unwrap();
    assert_eq!(value.flags & endpoint_flags::LEARNED, endpoint_flags::LEARNED);
    assert_eq!(core.datapath().shares.get(&heard.group), Some(&(share - 1)));
    assert!(endpoint(&core, [127, 0, 0, 1]).is_none() && endpoint(&core, [10, 1, 1, 1]).is_none());
    assert_eq!(core.datapath().sightings.len(), 1);
    let other = Overheard { is_asked: true, ..overheard(&core, "b.example.com", &[[20, 0, 0, 2]]) };
    assert_eq!(core.overhear(&other).unwrap(), Lesson::Ignored, "no rule");
    core.reconcile().unwrap();
    assert!(endpoint(&core, [20, 0, 0, 1]).is_some(), "what was learned stays");
}

#[test]
fn a_group_that_learns_much_is_swept_before_its_share_is_used_up() {
    let mut core = core(&allow("a.example.com"));
    assert!(!core.is_share_short().unwrap());
    let (group, given) =
        core.datapath().shares.iter().map(|(group, given)| (*group, *given)).find(|(_, n)| *n > 0).unwrap();
    core.datapath_mut().shares.insert(group, given / 2);
    assert!(!core.is_share_short().unwrap());
    core.datapath_mut().shares.insert(group, given / 2 - 1);
    assert!(core.is_share_short().unwrap());
    core.sweep().unwrap();
    assert!(!core.is_share_short().unwrap());
}

#[test]
fn the_next_daemon_knows_what_devices_were_told() {
    let mut first = core(&allow("a.example.com"));
    let heard = Overheard { is_asked: true, ..overheard(&first, "a.example.com", &[[20, 0, 0, 1]]) };
    first.overhear(&heard).unwrap();
    let directory = Arc::new(Directory::default());
    let next = Core::open(first.datapath().clone(), policy(&allow("a.example.com")), Arc::clone(&directory)).unwrap();
    assert_eq!(
        directory.names([20, 0, 0, 1].into()).iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["a.example.com"]
    );
    let entry = next.leases().entries().next().unwrap();
    assert_eq!(entry.lease.source, LeaseSource::Sighted([10, 20, 0, 5].into()));
    assert_eq!(entry.group.map(ToString::to_string).as_deref(), Some("devices"));
}

#[test]
fn new_addresses_are_urgent_and_failures_change_no_table() {
    let mut core = core(&allow("a.example.com"));
    assert_eq!(core.learn(&resolution("a.example.com", Outcome::Timeout)), Learned::News);
    assert_eq!(core.learn(&resolution("a.example.com", Outcome::Timeout)), Learned::Nothing);
    assert_eq!(core.learn(&answer("a.example.com", [20, 0, 0, 1])), Learned::Addresses);
    assert_eq!(core.learn(&answer("a.example.com", [20, 0, 0, 1])), Learned::Ends);
    assert!(endpoint(&core, [20, 0, 0, 1]).is_none(), "nothing is written before it is asked for");
    core.reconcile().unwrap();
    let before = core.datapath().tables.clone();
    assert!(endpoint(&core, [20, 0, 0, 1]).is_some());
    assert_eq!(core.learn(&resolution("a.example.com", Outcome::NoSuchName)), Learned::News);
    core.reconcile().unwrap();
    assert_eq!(core.datapath().tables, before);
}

#[test]
fn a_sweep_puts_right_what_somebody_changed() {
    let mut core = core(&allow("a.example.com"));
    core.learn(&answer("a.example.com", [20, 0, 0, 1]));
    core.reconcile().unwrap();
    let wanted = core.datapath().tables.clone();
    let (key, value) = endpoint(&core, [20, 0, 0, 1]).unwrap();
    let tables = &mut core.datapath_mut().tables;
    tables.endpoints4.remove(&key);
    tables.endpoints4.insert(Endpoint4Key { address: [66, 6, 6, 6], ..key }, value);
    core.sweep().unwrap();
    assert_eq!(core.datapath().tables, wanted);
}

#[test]
fn what_the_programs_learned_stays_until_it_ends() {
    let mut core = core(&allow("a.example.com"));
    core.learn(&answer("a.example.com", [20, 0, 0, 1]));
    core.reconcile().unwrap();
    let (key, value) = endpoint(&core, [20, 0, 0, 1]).unwrap();
    let learned = |expires| EndpointValue { expires, flags: endpoint_flags::LEARNED, ..value };
    let (live, ended) = (learned(ticks_in(&core, 600)), learned(ticks_in(&core, 0)));
    let tables = &mut core.datapath_mut().tables;
    tables.endpoints4.insert(Endpoint4Key { address: [20, 0, 0, 8], ..key }, live);
    tables.endpoints4.insert(Endpoint4Key { address: [20, 0, 0, 9], ..key }, ended);
    std::thread::sleep(Duration::from_millis(10));
    core.sweep().unwrap();
    assert_eq!(endpoint(&core, [20, 0, 0, 8]).map(|(_, value)| value), Some(live));
    assert_eq!(endpoint(&core, [20, 0, 0, 9]), None);
    core.reload(policy(&allow("b.example.com"))).unwrap();
    assert_eq!(endpoint(&core, [20, 0, 0, 8]), None, "its rule is no more");
}

#[test]
fn a_policy_that_cannot_be_put_in_force_leaves_the_old_one() {
    let mut core = core(&allow("a.example.com"));
    core.learn(&answer("a.example.com", [20, 0, 0, 1]));
    core.reconcile().unwrap();
    let before = core.datapath().tables.clone();
    let mut missing = policy(&allow("b.example.com"));
    missing.interfaces[0].name = policy::InterfaceName::parse("gone0").unwrap();
    core.reload(missing).unwrap_err();
    assert_eq!(core.datapath().tables, before);
    assert!(core.policy().names().contains(&DomainName::parse("a.example.com").unwrap()));
}
