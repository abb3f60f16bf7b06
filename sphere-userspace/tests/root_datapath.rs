//! The data plane in the kernel: loading, adopting, carrying over, attaching in every way, taking away.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use std::net::Ipv4Addr;
use std::path::Path;

use sphere_common::abi::{
    Config, DeniedDevice, DeniedKey, DeniedValue, DeviceKey, DeviceValue, Endpoint4Key, EndpointValue, Flow4Key,
    FlowState, FlowValue, LessonCount, NEVER, NameKeyData, NameValue, RuleLabel, SightingKey, SightingValue, Timeouts,
    VERSION, flow_kind,
};
use sphere_userspace::datapath::{
    Datapath, DatapathError, Kernel, NameKey, Object, Origin, PortSpec, Side, TcHook, detach, monotonic, netlink,
    snapshot,
};
use sphere_userspace::policy::{AttachMode, Limits};
use sphere_userspace::reconcile::{Changeset, Step};
use support::{isolated, kernel_release, mount_bpffs, run, veth};
use zerocopy::FromZeros;

const ROOT: &str = "/sys/fs/bpf/sphere";
/// The first kernel with links to tc; filters take their place before it.
const TCX_SINCE: (u32, u32) = (6, 6);

fn open(limits: &Limits) -> Kernel {
    Kernel::open(Path::new(ROOT), limits, &Object::embedded().unwrap()).unwrap()
}

fn port(mode: AttachMode) -> PortSpec {
    PortSpec { interface: "lan0".to_owned(), mode }
}

fn endpoint(number: u32) -> (Endpoint4Key, EndpointValue) {
    let address = (0x0a00_0000 + number).to_be_bytes();
    let key = Endpoint4Key { group: 1, address, port_be: 443_u16.to_be_bytes(), protocol: 6, pad: 0 };
    (key, EndpointValue { expires: NEVER, rule: 1, flags: 0 })
}

fn link_programs() -> Vec<u32> {
    let links = run("bpftool", &["link", "show", "pinned", &format!("{ROOT}/v{VERSION}/links/lan0-ingress")]);
    links.split("prog ").skip(1).filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect()
}

#[test]
fn a_fresh_data_plane_is_pinned_and_the_next_one_adopts_it() {
    isolated("a_fresh_data_plane_is_pinned_and_the_next_one_adopts_it", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut first = open(&Limits::default());
        assert_eq!(first.origin(), Origin::Fresh);
        first.guard(&[port(AttachMode::Auto)]).unwrap();
        let state = first.ports(&["lan0".to_owned()]).unwrap().remove(0);
        assert_eq!(state.unprotected(), None);
        assert_eq!(state.ingress.unwrap().ingress_word(), "xdp-native");
        let programs = link_programs();
        drop(first);

        let mut second = open(&Limits::default());
        assert_eq!(second.origin(), Origin::Adopted);
        second.guard(&[port(AttachMode::Auto)]).unwrap();
        assert_eq!(link_programs(), programs, "the program must not be replaced by itself");
        drop(second);

        assert_eq!(detach(Path::new(ROOT)).unwrap(), ["lan0"]);
        assert!(!Path::new(ROOT).exists());
        assert!(netlink::links().unwrap().iter().all(|link| link.xdp.is_empty()));
    });
}

#[test]
fn changed_limits_carry_the_contents_over_and_keep_the_link() {
    isolated("changed_limits_carry_the_contents_over_and_keep_the_link", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut first = open(&Limits::default());
        first.guard(&[port(AttachMode::Auto)]).unwrap();
        let steps = (0..5_000).map(endpoint).map(|(k, v)| Step::PutEndpoint4(k, v)).collect();
        first.apply(&Changeset { steps, ..Changeset::default() }).unwrap();
        let device = DeviceKey { address: Ipv4Addr::new(10, 20, 0, 5).to_ipv6_mapped().octets() };
        let value = DeviceValue { last_seen: 7, index: 900, ..DeviceValue::default() };
        first.maps().devices.insert(&device, &value).unwrap();
        let flow = Flow4Key { device: [10, 20, 0, 5], peer: [10, 0, 0, 1], protocol: 6, ..Flow4Key::default() };
        first.maps().flows4.insert(&flow, &FlowValue { rule: 1, ..FlowValue::default() }).unwrap();
        first.maps().slots4.insert(&(900 * 256 + 3), &flow).unwrap();
        let mut label = RuleLabel { group: 1, used: 1, text: [0; 248] };
        label.text[..4].copy_from_slice(b"rule");
        first.maps().rule_labels.insert(&1, &label).unwrap();
        let link = run("bpftool", &["link", "show", "pinned", &format!("{ROOT}/v{VERSION}/links/lan0-ingress")]);
        drop(first);

        let limits = Limits { endpoints: 100_000, devices: 512, flows_per_device: 16, rules: 16, ..Limits::default() };
        let mut second = open(&limits);
        assert_eq!(second.origin(), Origin::Carried);
        second.guard(&[port(AttachMode::Auto)]).unwrap();
        let after = run("bpftool", &["link", "show", "pinned", &format!("{ROOT}/v{VERSION}/links/lan0-ingress")]);
        assert_eq!(link.split(':').next(), after.split(':').next(), "the link must be the same one");

        let tables = second.installed().unwrap();
        assert_eq!(tables.endpoints4.len(), 5_000);
        assert_eq!(tables.rule_labels.get(&1), Some(&label));
        let moved = second.maps().devices.lookup(&device).unwrap().unwrap();
        assert!(moved.index < 512);
        assert_eq!(second.maps().flows4.lookup(&flow).unwrap().unwrap().rule, 1);
        assert_eq!(second.maps().slots4.lookup(&(moved.index * 16)).unwrap(), Some(flow));
        let mut free = 0;
        let mut index = [0; 4];
        while second.maps().free_devices.pop(&mut index).unwrap() {
            assert_ne!(u32::from_ne_bytes(index), moved.index);
            free += 1;
        }
        assert_eq!(free, 511);
        drop(second);
        assert_eq!(open(&limits).origin(), Origin::Adopted);
    });
}

#[test]
fn what_was_learned_and_the_seed_are_carried_over() {
    isolated("what_was_learned_and_the_seed_are_carried_over", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut first = open(&Limits::default());
        let configure = |kernel: &mut Kernel| {
            let steps = vec![Step::PutConfig(Box::default())];
            kernel.apply(&Changeset { steps, ..Changeset::default() }).unwrap();
            kernel.installed().unwrap().config.seed
        };
        let seed = configure(&mut first);
        assert_ne!(seed, 0);
        assert_eq!(configure(&mut first), seed, "what is in flight must still be told apart");
        let mut name = NameKey { prefix_len: 72, data: NameKeyData::new_zeroed() };
        name.data.name[..5].copy_from_slice(b"moc.x");
        let opens = NameValue { services_len: 1, floor: 250, ..NameValue::default() };
        first.maps().names.insert(&name, &opens).unwrap();
        let sighting = SightingKey { address: [7; 16], group: 1, rule: 2 };
        let seen = SightingValue { ttl: 30, ..SightingValue::new_zeroed() };
        first.maps().sightings.insert(&sighting, &seen).unwrap();
        first.maps().learn_quota.insert(&1, &99).unwrap();
        let lessons = first.maps().lesson_counters.raw();
        let counts: Vec<u8> = std::iter::repeat_n(3_u64.to_ne_bytes(), lessons.value_stride() / 8).flatten().collect();
        lessons.update(&(LessonCount::Query as u32).to_ne_bytes(), &counts, 0).unwrap();
        first.guard(&[port(AttachMode::Auto)]).unwrap();
        drop(first);

        let limits = Limits { endpoints: 100_000, rules: 16, ..Limits::default() };
        let mut second = open(&limits);
        assert_eq!(second.origin(), Origin::Carried);
        second.guard(&[port(AttachMode::Auto)]).unwrap();
        let maps = second.maps();
        assert_eq!((maps.names.shape().capacity, maps.sightings.shape().capacity), (16, 50_000));
        assert_eq!(maps.names.lookup(&name).unwrap(), Some(opens));
        assert_eq!(maps.sightings.lookup(&sighting).unwrap(), Some(seen));
        assert_eq!(maps.learn_quota.lookup(&1).unwrap(), Some(99));
        assert_eq!(second.installed().unwrap().config.seed, seed);
        let state = snapshot::read(Path::new(ROOT)).unwrap();
        let queries = counts.len() as u64 / 8 * 3;
        assert_eq!(state.lessons[0], (LessonCount::Query, queries));
        assert!(state.lessons[1..].iter().all(|(_, total)| *total == 0));
        for map in ["NAMES", "SIGHTINGS"] {
            assert_eq!(state.tables.iter().find(|fill| fill.map == map).unwrap().entries, 1, "{map}");
        }
    });
}

fn ingress_link() -> String {
    let shown = run("bpftool", &["link", "show", "pinned", &format!("{ROOT}/v{VERSION}/links/lan0-ingress")]);
    shown.split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn another_layout_hands_its_links_and_contents_over() {
    isolated("another_layout_hands_its_links_and_contents_over", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut first = open(&Limits::default());
        let steps = (0..10).map(endpoint).map(|(k, v)| Step::PutEndpoint4(k, v)).collect();
        first.apply(&Changeset { steps, ..Changeset::default() }).unwrap();
        first.guard(&[port(AttachMode::Auto)]).unwrap();
        let link = ingress_link();
        drop(first);
        std::fs::rename(format!("{ROOT}/v{VERSION}"), format!("{ROOT}/v0")).unwrap();

        // A start that fails leaves the old tree as it is.
        let mut refused = open(&Limits::default());
        let missing = PortSpec { interface: "gone0".to_owned(), mode: AttachMode::Auto };
        refused.guard(&[port(AttachMode::Auto), missing]).unwrap_err();
        drop(refused);
        assert!(Path::new(&format!("{ROOT}/v0/links/lan0-ingress")).exists());
        assert!(!Path::new(&format!("{ROOT}/v{VERSION}")).exists());

        let mut second = open(&Limits::default());
        assert_eq!(second.origin(), Origin::Carried);
        second.guard(&[port(AttachMode::Auto)]).unwrap();
        assert_eq!(ingress_link(), link);
        assert_eq!(second.installed().unwrap().endpoints4.len(), 10);
        assert!(!Path::new(&format!("{ROOT}/v0")).exists());
    });
}

#[test]
fn a_hand_over_that_was_cut_short_is_completed_or_undone() {
    isolated("a_hand_over_that_was_cut_short_is_completed_or_undone", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut first = open(&Limits::default());
        first.guard(&[port(AttachMode::Auto)]).unwrap();
        drop(first);

        // Dies before the links were switched: what was staged is not in force.
        let smaller = Limits { rules: 77, ..Limits::default() };
        std::mem::forget(open(&smaller));
        assert!(Path::new(&format!("{ROOT}/v{VERSION}/maps-new")).exists());
        let again = open(&Limits::default());
        assert_eq!(again.origin(), Origin::Adopted);
        drop(again);
        assert!(!Path::new(&format!("{ROOT}/v{VERSION}/maps-new")).exists());

        // Dies after the links were switched and before the pins were: what is staged is in force.
        let (maps, staged) = (format!("{ROOT}/v{VERSION}/maps"), format!("{ROOT}/v{VERSION}/maps-new"));
        std::fs::rename(&maps, &staged).unwrap();
        assert_eq!(open(&Limits::default()).origin(), Origin::Adopted);
        assert!(Path::new(&maps).exists() && !Path::new(&staged).exists());
    });
}

#[test]
fn a_foreign_xdp_program_is_named_and_left_alone() {
    isolated("a_foreign_xdp_program_is_named_and_left_alone", || {
        mount_bpffs();
        veth("lan0", "dev0");
        veth("lan1", "dev1");
        let mut other =
            Kernel::open(Path::new("/sys/fs/bpf/other"), &Limits::default(), &Object::embedded().unwrap()).unwrap();
        other.guard(&[port(AttachMode::Auto)]).unwrap();
        let before = netlink::links().unwrap();

        let mut kernel = open(&Limits::default());
        let both = [PortSpec { interface: "lan1".to_owned(), mode: AttachMode::Auto }, port(AttachMode::Auto)];
        let error = kernel.guard(&both).unwrap_err();
        assert!(matches!(&error, DatapathError::ForeignXdp { program, .. } if program == "sphere_ingress"), "{error}");
        drop(kernel);
        assert_eq!(netlink::links().unwrap(), before, "nothing may have changed");
        assert!(!Path::new(ROOT).exists(), "nothing may be left behind");
    });
}

#[test]
fn tc_guards_by_link_or_by_filter_and_both_are_replaced_in_place() {
    isolated("tc_guards_by_link_or_by_filter_and_both_are_replaced_in_place", || {
        mount_bpffs();
        veth("lan0", "dev0");
        for wanted in [TcHook::Tcx, TcHook::Clsact] {
            let hook = if kernel_release() < TCX_SINCE { TcHook::Clsact } else { wanted };
            let mut kernel = open(&Limits::default()).with_hook(Some(wanted));
            kernel.guard(&[port(AttachMode::Tc)]).unwrap();
            let state = kernel.ports(&["lan0".to_owned()]).unwrap().remove(0);
            assert_eq!((state.unprotected(), state.egress.unwrap().egress_word()), (None, hook.word()));
            drop(kernel);
            let ifindex = netlink::links().unwrap().iter().find(|link| link.name == "lan0").unwrap().ifindex;
            let before = netlink::filters(ifindex, Side::Egress).unwrap();

            let mut kernel = open(&Limits { rules: 99, ..Limits::default() }).with_hook(Some(wanted));
            assert_eq!(kernel.origin(), Origin::Carried);
            kernel.guard(&[port(AttachMode::Tc)]).unwrap();
            let after = netlink::filters(ifindex, Side::Egress).unwrap();
            assert_eq!(before.len(), usize::from(hook == TcHook::Clsact));
            assert_eq!(before.len(), after.len());
            assert!(before.iter().zip(&after).all(|(b, a)| b.program != a.program && b.handle == a.handle));
            drop(kernel);
            detach(Path::new(ROOT)).unwrap();
            for side in Side::ALL {
                assert_eq!(netlink::filters(ifindex, side).unwrap(), []);
            }
        }
    });
}

#[test]
fn the_mode_of_a_port_changes_without_a_gap_in_its_pins() {
    isolated("the_mode_of_a_port_changes_without_a_gap_in_its_pins", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut kernel = open(&Limits::default());
        for (mode, word) in [
            (AttachMode::Auto, "xdp-native"),
            (AttachMode::Tc, "tc"),
            (AttachMode::Auto, "tc"),
            (AttachMode::Xdp, "xdp-native"),
            (AttachMode::Generic, "xdp-generic"),
            (AttachMode::Xdp, "xdp-native"),
        ] {
            kernel.guard(&[port(mode)]).unwrap();
            let state = kernel.ports(&["lan0".to_owned()]).unwrap().remove(0);
            assert_eq!(state.unprotected(), None);
            assert_eq!(state.ingress.unwrap().ingress_word(), word, "{mode:?}");
        }
        kernel.guard(&[]).unwrap();
        assert!(netlink::links().unwrap().iter().all(|link| link.xdp.is_empty()), "released");
    });
}

#[test]
fn an_interface_that_comes_back_is_guarded_again() {
    isolated("an_interface_that_comes_back_is_guarded_again", || {
        mount_bpffs();
        veth("lan0", "dev0");
        let mut kernel = open(&Limits::default());
        kernel.guard(&[port(AttachMode::Auto)]).unwrap();
        let state = |kernel: &Kernel| kernel.ports(&["lan0".to_owned()]).unwrap().remove(0).unprotected();
        run("ip", &["link", "del", "lan0"]);
        assert_eq!(state(&kernel).as_deref(), Some("the interface is gone"));
        let error = kernel.guard_again(&port(AttachMode::Auto)).unwrap_err();
        assert!(matches!(error, DatapathError::NoInterface { .. }), "{error}");
        veth("lan0", "dev0");
        assert_eq!(state(&kernel).as_deref(), Some("no program is attached"));
        kernel.guard_again(&port(AttachMode::Auto)).unwrap();
        assert_eq!(state(&kernel), None);
        run("ip", &["link", "set", "lan0", "down"]);
        run("ip", &["link", "set", "lan0", "name", "was0"]);
        assert_eq!(state(&kernel).as_deref(), Some("the interface is called was0 now"));
        run("ip", &["link", "set", "was0", "name", "lan0"]);
        assert_eq!(state(&kernel), None, "the link goes with its interface");
    });
}

#[test]
fn a_hundred_thousand_endpoints_go_in_and_out_by_batches() {
    isolated("a_hundred_thousand_endpoints_go_in_and_out_by_batches", || {
        mount_bpffs();
        let mut kernel = open(&Limits { endpoints: 131_072, ..Limits::default() });
        let steps: Vec<Step> = (0..100_000).map(endpoint).map(|(k, v)| Step::PutEndpoint4(k, v)).collect();
        let changes = Changeset { steps, ..Changeset::default() };
        let begun = std::time::Instant::now();
        kernel.apply(&changes).unwrap();
        let written = begun.elapsed();
        let tables = kernel.installed().unwrap();
        assert_eq!(tables.endpoints4.len(), 100_000);
        let read = begun.elapsed() - written;
        let steps = tables.endpoints4.iter().map(|(key, value)| Step::RemoveEndpoint4(*key, value.expires)).collect();
        kernel.apply(&Changeset { steps, ..Changeset::default() }).unwrap();
        assert!(kernel.installed().unwrap().endpoints4.is_empty());
        assert!(written.as_millis() < 2_000, "{written:?} for one hundred thousand entries: no batches?");
        #[allow(clippy::print_stderr, reason = "a figure to look at")]
        {
            eprintln!("100,000 endpoints: written in {written:?}, read in {read:?}");
        }
    });
}

#[test]
fn a_full_table_is_named_with_its_limit() {
    isolated("a_full_table_is_named_with_its_limit", || {
        mount_bpffs();
        let mut kernel = open(&Limits { endpoints: 100, ..Limits::default() });
        let steps = (0..1_000).map(endpoint).map(|(k, v)| Step::PutEndpoint4(k, v)).collect();
        let error = kernel.apply(&Changeset { steps, ..Changeset::default() }).unwrap_err();
        assert!(matches!(error, DatapathError::Full { map: "ENDPOINTS4", capacity: 100 }), "{error}");
    });
}

#[test]
fn sightings_that_have_ended_go_when_room_is_short() {
    isolated("sightings_that_have_ended_go_when_room_is_short", || {
        mount_bpffs();
        let mut kernel = open(&Limits::default());
        let rate = kernel.clock().unwrap().ticks_per_second;
        let config = Config { ticks_per_second: rate, ..Config::default() };
        let steps = vec![Step::PutConfig(Box::new(config))];
        kernel.apply(&Changeset { steps, ..Changeset::default() }).unwrap();
        let now = kernel.clock().unwrap().ticks_at(monotonic::now());
        let key = |rule| SightingKey { rule, ..SightingKey::new_zeroed() };
        let ended = |rule: u32| rule.is_multiple_of(2);
        let half = kernel.maps().sightings.shape().capacity / 2;
        let note = |rule| {
            let expires = if ended(rule) { now - 1 } else { now + 3_600 * u64::from(rate) };
            let sighting = SightingValue { expires, ..SightingValue::new_zeroed() };
            kernel.maps().sightings.insert(&key(rule), &sighting).unwrap();
        };
        (0..half).for_each(note);
        let swept = || kernel.surveyor().unwrap()().unwrap().swept.ended_sightings;
        assert_eq!(swept(), 0, "there is room");
        note(half);
        assert_eq!(swept(), (0..=half).filter(|rule| ended(*rule)).count());
        let is_there = |rule: &u32| kernel.maps().sightings.lookup(&key(*rule)).unwrap().is_some();
        assert!((0..=half).all(|rule| is_there(&rule) != ended(rule)));
    });
}

#[test]
fn a_sweep_takes_what_has_ended_and_nothing_else() {
    isolated("a_sweep_takes_what_has_ended_and_nothing_else", || {
        mount_bpffs();
        let mut kernel = open(&Limits { devices: 4, flows_per_device: 4, ..Limits::default() });
        let rate = u64::from(kernel.clock().unwrap().ticks_per_second);
        let ticks = |seconds: u64| u32::try_from(seconds * rate).unwrap();
        let timeouts = Timeouts {
            tcp_opening: ticks(30),
            tcp_established: ticks(3_000),
            tcp_closing: ticks(60),
            udp: ticks(180),
            icmp: ticks(30),
            fragment: ticks(30),
            query: ticks(10),
            ..Timeouts::default()
        };
        let config = Config { timeouts, ..Config::default() };
        let steps = vec![Step::PutConfig(Box::new(config))];
        kernel.apply(&Changeset { steps, ..Changeset::default() }).unwrap();
        let now = kernel.clock().unwrap().ticks_at(monotonic::now());

        // Protocol, kind, state, idle seconds, whether it stays.
        let cases = [
            (6, flow_kind::TRANSPORT, FlowState::Opening, 20, true),
            (6, flow_kind::TRANSPORT, FlowState::Opening, 40, false),
            (6, flow_kind::TRANSPORT, FlowState::Established, 2_000, true),
            (6, flow_kind::TRANSPORT, FlowState::Established, 4_000, false),
            (6, flow_kind::TRANSPORT, FlowState::Closing, 90, false),
            (17, flow_kind::TRANSPORT, FlowState::Established, 100, true),
            (17, flow_kind::TRANSPORT, FlowState::Established, 200, false),
            (17, flow_kind::FRAGMENT_OUT, FlowState::Opening, 40, false),
            (17, flow_kind::QUERY, FlowState::Opening, 5, true),
            (17, flow_kind::QUERY, FlowState::Opening, 15, false),
            (1, flow_kind::TRANSPORT, FlowState::Opening, 20, true),
        ];
        let flow = |number: u8, (protocol, kind): (u8, u8)| Flow4Key {
            device: [10, 20, 0, 5],
            peer: [10, 0, 0, number],
            protocol,
            kind,
            ..Flow4Key::default()
        };
        for (number, (protocol, kind, state, idle, _)) in (0..).zip(cases) {
            let value = FlowValue { last_seen: now - idle * rate, state: state as u8, ..FlowValue::default() };
            kernel.maps().flows4.insert(&flow(number, (protocol, kind)), &value).unwrap();
        }
        let device = |number: u8| DeviceKey { address: Ipv4Addr::new(10, 20, 0, number).to_ipv6_mapped().octets() };
        // Idle for an hour, but for the first with open flows.
        for number in [5, 6] {
            let mut index = [0; 4];
            assert!(kernel.maps().free_devices.pop(&mut index).unwrap());
            let value = DeviceValue {
                last_seen: now - 3_600 * rate,
                index: u32::from_ne_bytes(index),
                ..DeviceValue::default()
            };
            kernel.maps().devices.insert(&device(number), &value).unwrap();
            kernel.maps().slots4.insert(&(value.index * 4), &flow(number, (6, 0))).unwrap();
        }

        let swept = kernel.surveyor().unwrap()().unwrap().swept;
        for (number, (protocol, kind, state, idle, stays)) in (0..).zip(cases) {
            let found = kernel.maps().flows4.lookup(&flow(number, (protocol, kind))).unwrap().is_some();
            assert_eq!(found, stays, "{protocol} {kind} {state:?} idle for {idle} s");
        }
        assert_eq!((swept.flows, swept.ended_flows, swept.devices, swept.gone_devices), (5, 6, 1, 1));
        assert!(kernel.maps().devices.lookup(&device(5)).unwrap().is_some());
        assert_eq!(kernel.maps().devices.lookup(&device(6)).unwrap(), None);
        assert_eq!(kernel.maps().slots4.lookup(&4).unwrap(), Some(Flow4Key::default()), "its slots are empty");
        let mut free = Vec::new();
        let mut index = [0; 4];
        while kernel.maps().free_devices.pop(&mut index).unwrap() {
            free.push(u32::from_ne_bytes(index));
        }
        assert_eq!(free, [2, 3, 1]);
    });
}

#[test]
fn the_tick_rate_is_that_of_the_kernel() {
    isolated("the_tick_rate_is_that_of_the_kernel", || {
        mount_bpffs();
        let kernel = open(&Limits::default());
        let first = kernel.clock().unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1));
        let second = kernel.clock().unwrap();
        let expected = first.ticks_at(second.anchor);
        assert!(second.anchor_ticks.abs_diff(expected) <= u64::from(first.ticks_per_second) / 50 + 1);
    });
}

#[test]
fn the_snapshot_tells_programs_and_ports() {
    isolated("the_snapshot_tells_programs_and_ports", || {
        mount_bpffs();
        veth("lan0", "dev0");
        assert!(matches!(snapshot::read(Path::new(ROOT)), Err(DatapathError::NotPinned { .. })));
        let mut kernel = open(&Limits::default());
        kernel.guard(&[port(AttachMode::Auto)]).unwrap();
        drop(kernel);
        let snapshot = snapshot::read(Path::new(ROOT)).unwrap();
        assert!(!snapshot.running);
        assert_eq!(snapshot.ports.len(), 1);
        for program in &snapshot.programs {
            assert!(program.verified_instructions.unwrap() > 0, "{}", program.name);
        }
        #[allow(clippy::print_stderr, reason = "a figure to look at")]
        for program in &snapshot.programs {
            eprintln!("{}: {:?} verified instructions", program.name, program.verified_instructions);
        }
    });
}

#[test]
fn what_a_device_has_open_is_counted_anew_after_a_daemon_died() {
    isolated("what_a_device_has_open_is_counted_anew_after_a_daemon_died", || {
        mount_bpffs();
        let kernel = open(&Limits::default());
        let maps = kernel.maps();
        let device = |last: u8| Ipv4Addr::new(10, 20, 0, last).to_ipv6_mapped().octets();
        let counts = |last: u8| {
            let key = DeniedDevice { device: device(last), group: 1 };
            (maps.denied_opened.lookup(&key).unwrap(), maps.denied_closed.lookup(&key).unwrap())
        };
        // As the programs and a daemon left it: opened, closed as noted, and accounts that are open.
        for (last, opened, closed, open) in [(1, 9, 2, 3), (2, 5, 0, 0), (3, 4, 1, 3), (4, 2, 7, 2)] {
            let key = DeniedDevice { device: device(last), group: 1 };
            maps.denied_opened.insert(&key, &opened).unwrap();
            maps.denied_closed.insert(&key, &closed).unwrap();
            for port in 0..open {
                let key = DeniedKey { device: device(last), group: 1, peer_port_be: [0, port], ..DeniedKey::default() };
                maps.denied.insert(&key, &DeniedValue::default()).unwrap();
            }
        }
        kernel.accounts().unwrap().recount().unwrap();
        assert_eq!(counts(1), (Some(9), Some(6)));
        assert_eq!(counts(2), (None, None));
        assert_eq!(counts(3), (Some(4), Some(1)));
        assert_eq!(counts(4), (Some(2), Some(0)));
    });
}
