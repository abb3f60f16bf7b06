//! What each kind of rule becomes in the tables.

use std::collections::BTreeSet;
use std::time::Duration;

use sphere_common::abi::{Cidr4Data, Cidr6Data, INBOUND, NEVER, Port, config_flags, endpoint_flags, port_flags};
use sphere_userspace::policy::{InterfaceName, Mode, OtherSources};
use sphere_userspace::reconcile::Misfit;
use sphere_userspace::resolve::Special;

use crate::world::{World, address, furnished, group, inbound, interface, policy, rule};

const TCP: u8 = 6;
const UDP: u8 = 17;

#[test]
fn services_become_protocols_and_ports_of_their_family() {
    let services = ["tcp/443", "udp/5000", "tcp/*", "icmp"];
    let rules = vec![rule("20.0.0.1", &services), rule("2a01:1::1", &services)];
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], rules)]));
    world.reconcile();
    for (text, icmp) in [("20.0.0.1", 1), ("2a01:1::1", 58)] {
        for service in [(TCP, 443), (UDP, 5000), (TCP, 0), (icmp, 0)] {
            let value = world.endpoint(0, text, service).unwrap();
            assert_eq!((value.expires, value.flags), (NEVER, 0), "{text} {service:?}");
            assert_ne!(value.rule, 0);
        }
    }
    assert_eq!((world.tables().endpoints4.len(), world.tables().endpoints6.len()), (4, 4));
    assert_eq!(world.tables().config.flags, config_flags::WILDCARD_PORTS | config_flags::NAMES);
}

#[test]
fn prefixes_hold_their_bits_behind_group_protocol_and_port() {
    let rules = vec![rule("20.5.0.0/16", &["tcp/80", "icmp"]), rule("2a01:1::/32", &["udp/*"])];
    let mut one = group("one", &["10.20.0.0/24"], rules);
    one.inbound = vec![inbound("10.30.0.0/24", &["tcp/8080"])];
    let mut world = World::new(policy(vec![group("zero", &["10.21.0.0/24"], Vec::new()), one]));
    world.reconcile();
    let ruled = world.tables().cidrs4.iter().filter(|(_, value)| value.rule != 0);
    let keys: BTreeSet<_> = ruled.map(|(key, _)| (key.prefix_len, key.data)).collect();
    let data = |group: u32, (protocol, port): (u8, u16), address| Cidr4Data {
        group_be: group.to_be_bytes(),
        protocol,
        pad: 0,
        port_be: port.to_be_bytes(),
        address,
    };
    let expected = [
        (80, data(1, (TCP, 80), [20, 5, 0, 0])),
        (80, data(1, (1, 0), [20, 5, 0, 0])),
        (88, data(1 | INBOUND, (TCP, 8080), [10, 30, 0, 0])),
    ];
    assert_eq!(keys, expected.into());
    let (key, value) = world.tables().cidrs6.iter().find(|(_, value)| value.rule != 0).unwrap();
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&[0x2a, 1, 0, 1]);
    let expected = Cidr6Data { group_be: 1_u32.to_be_bytes(), protocol: UDP, pad: 0, port_be: [0, 0], address: bytes };
    assert_eq!((key.prefix_len, key.data, value.expires), (96, expected, NEVER));
    let prefixes = config_flags::CIDRS4 | config_flags::CIDRS6 | config_flags::INBOUND4;
    assert_eq!(world.tables().config.flags, prefixes | config_flags::NAMES);
}

#[test]
fn infrastructure_is_resolvers_dhcp_and_the_gateway_itself() {
    let mut world = World::new(policy(vec![furnished(group("one", &["10.20.0.0/24"], Vec::new()))]));
    let desired = world.desired().unwrap();
    world.reconcile();
    for text in ["10.20.0.1", "20.0.0.53", "fd00:20::1", "fe80::1"] {
        for protocol in [UDP, TCP] {
            let value = world.endpoint(0, text, (protocol, 53)).unwrap();
            assert_eq!((value.expires, value.flags), (NEVER, endpoint_flags::RESOLVER), "{text}");
            assert!(desired.infrastructure.contains(&value.rule));
        }
    }
    assert!(world.endpoint(0, "10.30.0.1", (UDP, 53)).is_none(), "not on an interface of the group");
    assert!(world.endpoint(0, "10.20.0.1", (UDP, 67)).is_some());
    assert!(world.endpoint(0, "fd00:20::1", (UDP, 547)).is_some());
    assert!(world.endpoint(0, "20.0.0.53", (UDP, 67)).is_none());
    let own = |bits: u32, address: [u8; 4]| {
        let keys = world.tables().cidrs4.keys();
        keys.filter(|key| key.prefix_len == 64 + bits && key.data.address == address)
            .filter(|key| key.data.group_be == INBOUND.to_be_bytes())
            .filter(|key| (key.data.protocol, key.data.port_be) == (0, [0, 0]))
            .count()
    };
    assert_eq!((own(32, [10, 20, 0, 1]), own(32, [10, 30, 0, 1]), own(32, [20, 41, 0, 2])), (1, 1, 1));
    assert_eq!(own(32, [127, 0, 0, 1]), 0);
    let ruled4 = world.tables().cidrs4.values().filter(|value| value.rule != 0).count();
    let ruled6 = world.tables().cidrs6.values().filter(|value| value.rule != 0).count();
    assert_eq!((ruled4, ruled6), (3, 2));
    assert_eq!(world.tables().rule_labels.len(), desired.infrastructure.len());
}

#[test]
fn special_purpose_answers_open_nothing_and_are_told() {
    let mut private = rule("b.x.com", &["tcp/443"]);
    private.allow_private = true;
    let rules = vec![rule("a.x.com", &["tcp/443"]), private];
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], rules)]));
    let records: Vec<(&str, u64)> = [
        "20.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "10.1.1.1",
        "::ffff:10.0.0.1",
        "224.0.0.1",
        "0.0.0.0",
        "20.41.0.2",
        "10.20.0.1",
        "fe80::1",
    ]
    .map(|text| (text, 60))
    .into();
    world.learn("a.x.com", &records);
    world.learn("b.x.com", &records);
    let desired = world.desired().unwrap();
    let refused = |name: &str| -> BTreeSet<(String, Special)> {
        let of_name = desired.refusals.iter().filter(|refusal| refusal.name.as_str() == name);
        of_name.map(|refusal| (refusal.address.to_string(), refusal.why)).collect()
    };
    assert_eq!(refused("a.x.com").len(), 9);
    assert!(refused("a.x.com").contains(&("20.41.0.2".into(), Special::Gateway)));
    assert!(refused("a.x.com").contains(&("169.254.169.254".into(), Special::LinkLocal)));
    let never: BTreeSet<Special> = refused("b.x.com").into_iter().map(|(_, why)| why).collect();
    assert_eq!(never, [Special::Loopback, Special::Mapped, Special::Multicast, Special::Unspecified].into());
    world.policy.groups[0].rules.pop();
    world.reconcile();
    assert_eq!(world.open(0, 6, 443), ["20.0.0.1".to_owned()].into());
    let wan = world.fake.gateway.interfaces.get_mut(&InterfaceName::parse("wan0").unwrap()).unwrap();
    wan.addresses.insert(address("20.0.0.1"));
    world.reconcile();
    assert!(world.open(0, 6, 443).is_empty(), "the gateway took the address over");
}

#[test]
fn subnets_stand_longest_first_and_go_on_in_the_trie() {
    let subnets: Vec<String> = (0..10_u8).map(|n| format!("10.{n}.0.0/{}", 16 + n)).collect();
    let subnets: Vec<&str> = subnets.iter().map(String::as_str).chain(["fd00::/64", "fd01::/48"]).collect();
    let mut world = World::new(policy(vec![group("one", &subnets, Vec::new())]));
    world.policy.groups[0].mode = Mode::Audit;
    world.reconcile();
    let config = &world.tables().config;
    assert_eq!((config.subnets4_len, config.subnets6_len), (8, 2));
    assert_eq!(config.flags, config_flags::SUBNETS_IN_TRIE | config_flags::NAMES);
    let bits: Vec<u32> = config.subnets4.iter().map(|subnet| u32::from_be_bytes(subnet.mask).count_ones()).collect();
    assert_eq!(bits, [25, 24, 23, 22, 21, 20, 19, 18]);
    assert_eq!(config.subnets6[0].mask, [[255; 8], [0; 8]].concat()[..]);
    assert_eq!((config.subnets4[0].ifindex, config.subnets4[0].group.enforce), (2, 0));
    let trie: Vec<_> = world.tables().subnets.keys().map(|key| (key.prefix_len, key.ifindex_be)).collect();
    assert_eq!(trie, [(32 + 96 + 16, [0, 0, 0, 2]), (32 + 96 + 17, [0, 0, 0, 2])]);
    let last = world.tables().subnets.keys().last().unwrap();
    assert_eq!(last.address, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 0, 0]);
}

#[test]
fn link_local_sources_pass_only_where_all_others_do() {
    for (sources, flags) in [
        (OtherSources::Pass, 0),
        (OtherSources::PassGlobal, port_flags::DENY_LINK_LOCAL6),
        (OtherSources::Deny, port_flags::DENY_FOREIGN6 | port_flags::DENY_LINK_LOCAL6),
    ] {
        let mut policy = policy(vec![group("one", &["10.20.0.0/24"], Vec::new())]);
        policy.interfaces[0].other_sources_v6 = sources;
        let mut world = World::new(policy);
        world.reconcile();
        assert_eq!(world.tables().ports.values().map(|port| port.flags).collect::<Vec<_>>(), [flags]);
    }
}

#[test]
fn ports_enforce_when_any_of_their_groups_does() {
    let mut two = group("two", &["10.21.0.0/24"], Vec::new());
    two.mode = Mode::Audit;
    two.interfaces = ["lan0", "lan1", "gone0"].map(|name| InterfaceName::parse(name).unwrap()).into();
    let mut policy = policy(vec![group("one", &["10.20.0.0/24"], Vec::new()), two]);
    policy.interfaces.extend(["lan1", "gone0"].map(interface));
    policy.interfaces[1].other_sources_v4 = OtherSources::Deny;
    let mut world = World::new(policy);
    world.reconcile();
    let port = |enforce, flags| Port { enforce, flags, ..Port::default() };
    let all_v6 = port_flags::DENY_FOREIGN6 | port_flags::DENY_LINK_LOCAL6;
    let both = port_flags::DENY_FOREIGN4 | all_v6;
    assert_eq!(world.tables().ports, [(2, port(1, all_v6)), (3, port(0, both))].into());
    assert_eq!(world.tables().config.subnets4_len, 3, "an interface that is not there has no subnets");

    let lan0 = InterfaceName::parse("lan0").unwrap();
    let facts = world.fake.gateway.interfaces.remove(&lan0).unwrap();
    world.reconcile();
    assert_eq!(world.tables().ports.len(), 1);
    world.fake.gateway.interfaces.insert(lan0, sphere_userspace::reconcile::InterfaceFacts { ifindex: 9, ..facts });
    world.reconcile();
    assert_eq!(world.tables().ports.keys().copied().collect::<Vec<_>>(), [3, 9]);
}

#[test]
fn the_configuration_carries_limits_time_outs_and_reserved_prefixes() {
    let mut world = World::new(policy(vec![group("one", &["10.20.0.0/24"], Vec::new())]));
    world.policy.limits.flows_per_device = 77;
    world.policy.limits.events_per_second = 99;
    world.policy.timeouts.udp = Duration::from_secs(2);
    world.policy.reserved = ["192.168.35.0/24".parse().unwrap()].into();
    world.reconcile();
    let config = &world.tables().config;
    assert_eq!((config.flows_per_device, config.events_per_second, config.timeouts.udp), (77, 99, 500));
    assert_eq!(config.timeouts.tcp_established, 12 * 60 * 60 * 250);
    assert_eq!((config.reserved4_len, config.reserved4[0].network), (1, [192, 168, 35, 0]));
    assert_eq!(config.reserved4[0].mask, [255, 255, 255, 0]);
    let config = *config;
    world.fake.tables.config.clock_offset = 12_345;
    assert!(world.desired().is_ok_and(|desired| desired.tables.config == config));
    world.policy.reserved = (0..5_u8).map(|n| format!("192.168.{n}.0/24").parse().unwrap()).collect();
    assert_eq!(world.desired(), Err(Misfit::Reserved { needed: 5, capacity: 4 }));
}
