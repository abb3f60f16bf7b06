//! One program in the kernel beside the host's deciding code, with the same tables.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, PerCpuArray, Queue, RingBuf};
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use sphere_common::abi::{
    self, Cidr4Data, Cidr6Data, Config, DeniedKey, DeniedValue, Endpoint4Key, Endpoint6Key, EndpointValue, Event,
    Flow4Key, FlowValue, NEVER, NameKeyData, NameValue, Port, REFUSED, Reserved4, Service, Subnet4, Subnet6,
    SubnetValue, Timeouts, Unjudged, config_flags, endpoint_flags, group_flags, name_flags,
};
use sphere_common::decide::{Context, Decision, Errand, Workspace, egress, errand, ingress};
use sphere_common::host::{HostTables, cidr_bits4, cidr_bits6};
use sphere_common::name::rule_key;
use sphere_common::verdict::{Direction, Reason, Verdict};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::corpus::{ALLOWED, ALLOWED6, DEVICE, DEVICE6, PREFIX};

const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sphere-ebpf"));
const DEVICES: u32 = 64;
const SLOTS: u32 = 32;
const GROUP: u32 = 3;
/// Test runs say that frames came in on the loopback device.
const IFINDEX: u32 = 1;
/// Addresses that the group may learn.
const SHARE: u32 = 40;
/// Names in the table: text, whether for names below it, rule, flags.
const NAMES: [(&str, bool, u32, u32); 4] = [
    ("allowed.example", false, 60, 0),
    ("wild.example", true, 70, 0),
    ("private.example", false, 80, name_flags::PRIVATE),
    ("any.example", false, 90, name_flags::ANY_TYPE),
];
/// What programs return (linux/bpf.h, linux/pkt_cls.h).
mod action {
    pub(super) const XDP_DROP: u32 = 1;
    pub(super) const XDP_PASS: u32 = 2;
    pub(super) const XDP_TX: u32 = 3;
    pub(super) const TC_OK: u32 = 0;
    pub(super) const TC_SHOT: u32 = 2;
    pub(super) const TC_REDIRECT: u32 = 7;
}
/// Bytes of a frame with an IPv6 header.
const SHORTEST_BUFFER: usize = 54;

/// The programs under comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Xdp,
    TcIngress,
    Egress,
}

impl Program {
    pub(crate) const ALL: [Self; 3] = [Self::Xdp, Self::TcIngress, Self::Egress];

    fn name(self) -> &'static str {
        match self {
            Self::Xdp => abi::program::INGRESS,
            Self::TcIngress => abi::program::INGRESS_TC,
            Self::Egress => abi::program::EGRESS,
        }
    }

    fn direction(self) -> Direction {
        if self == Self::Egress { Direction::Egress } else { Direction::Ingress }
    }
}

/// Bytes of a [`Workspace`] as the kernel holds them.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct KernelWorkspace([u8; size_of::<Workspace>()]);

// SAFETY: an array of bytes without padding; any bytes are valid.
unsafe impl aya::Pod for KernelWorkspace {}

macro_rules! pod {
    ($($wrapper:ident($inner:ty)),*) => {
        $(
            #[derive(Clone, Copy)]
            #[repr(transparent)]
            struct $wrapper($inner);
            // SAFETY: the inner type is `repr(C)` without padding and any bytes are valid (zerocopy derives say so).
            unsafe impl aya::Pod for $wrapper {}
        )*
    };
}

pod!(
    PodConfig(Config),
    PodPort(Port),
    PodEndpoint4(Endpoint4Key),
    PodEndpoint6(Endpoint6Key),
    PodValue(EndpointValue),
    PodCidr4(Cidr4Data),
    PodCidr6(Cidr6Data),
    PodName(NameKeyData),
    PodNameValue(NameValue),
    PodDeniedKey(DeniedKey),
    PodDeniedValue(DeniedValue),
    PodFlow4(Flow4Key),
    PodFlowValue(FlowValue)
);

/// A loaded program and the host's tables.
pub(crate) struct Machine {
    program: Program,
    ebpf: Ebpf,
    config: Config,
    tables: HostTables,
    /// What the host was told to do beside the last verdict.
    errand: Errand,
    /// The last frame as the kernel's program left it.
    left: Vec<u8>,
    loaded_in: Duration,
}

impl Machine {
    /// Loads the program and fills both sides with the same entries.
    pub(crate) fn new(program: Program, enforce: bool) -> Self {
        Self::with(program, enforce, group_flags::DNS_POLICY)
    }

    /// As [`Machine::new`], with other flags of the group.
    pub(crate) fn with(program: Program, enforce: bool, group_flags: u8) -> Self {
        stay_on_one_cpu();
        let config = config(enforce, group_flags);
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(abi::map::SLOTS4, DEVICES * SLOTS)
            .map_max_entries(abi::map::SLOTS6, DEVICES * SLOTS)
            .map_max_entries(abi::map::FLOWS4, DEVICES * SLOTS)
            .map_max_entries(abi::map::FLOWS6, DEVICES * SLOTS)
            .map_max_entries(abi::map::DEVICES, DEVICES)
            .load(OBJECT)
            .expect("the object was built by `cargo xtask build`, and this test runs as root");
        let start = Instant::now();
        let loaded = ebpf.program_mut(program.name()).expect("the object holds the program");
        load(program, loaded);
        let loaded_in = start.elapsed();
        let mut machine = Self {
            program,
            ebpf,
            config,
            tables: HostTables::new(&config, DEVICES),
            errand: Errand::default(),
            left: Vec::new(),
            loaded_in,
        };
        machine.fill(enforce);
        machine
    }

    /// Verified instructions, and how long loading took.
    pub(crate) fn verified(&self) -> (u32, Duration) {
        let program = self.ebpf.program(self.program.name()).unwrap();
        (program.info().unwrap().verified_instruction_count().expect("kernels since 5.16 tell"), self.loaded_in)
    }

    /// Goes on with another program over the same tables.
    pub(crate) fn switch_to(&mut self, program: Program) {
        let loaded = self.ebpf.program_mut(program.name()).expect("the object holds the program");
        if loaded.fd().is_err() {
            load(program, loaded);
        }
        self.program = program;
    }

    /// Runs the frame on both sides and compares verdict, reason, rule, group and subject. `None` when the kernel does
    /// not run a program on so short a frame.
    pub(crate) fn compare(&mut self, name: &str, frame: &[u8]) -> Option<Reason> {
        let (verdict, mut kernel) = self.in_kernel(frame)?;
        let host = self.on_host(frame);
        let mut expected = fields(&host);
        if host.verdict == Verdict::Pass {
            // The subject is filled in for denials only.
            let subject = std::mem::offset_of!(Decision, subject);
            kernel.truncate(subject);
            expected.truncate(subject);
        }
        assert_eq!(
            kernel,
            expected,
            "{name}: kernel {:?}, host {:?} for {frame:02x?}",
            Reason::from_byte(kernel[1]),
            host.reason
        );
        let is_refused = self.program != Program::Egress && self.errand.what == errand::REFUSE;
        let is_held = self.errand.what == errand::HAND_OVER && self.errand.held != 0;
        let expected = match (self.program, host.verdict) {
            (Program::Xdp, Verdict::Deny) if is_refused => action::XDP_TX,
            (Program::Xdp, Verdict::Deny) => action::XDP_DROP,
            (Program::Xdp, _) => action::XDP_PASS,
            (_, Verdict::Deny) if is_refused || is_held => action::TC_REDIRECT,
            (_, Verdict::Deny) => action::TC_SHOT,
            _ => action::TC_OK,
        };
        assert_eq!(verdict, expected, "{name}: what the program returned");
        Some(host.reason)
    }

    /// The last frame as the kernel's program left it.
    pub(crate) fn left(&self) -> &[u8] {
        &self.left
    }

    /// The accounts of denials: one by one, and of "other destinations".
    pub(crate) fn accounts(&mut self) -> [Vec<(DeniedKey, DeniedValue)>; 2] {
        [abi::map::DENIED, abi::map::DENIED_OTHERS].map(|name| {
            let table = HashMap::<_, PodDeniedKey, PodDeniedValue>::try_from(self.ebpf.map_mut(name).unwrap()).unwrap();
            table.iter().map(Result::unwrap).map(|(key, value)| (key.0, value.0)).collect()
        })
    }

    /// Heads of the answers that were handed over since the last call, with their frames.
    pub(crate) fn handed_over(&mut self) -> Vec<(Unjudged, Vec<u8>)> {
        let mut ring = RingBuf::try_from(self.ebpf.map_mut(abi::map::UNJUDGED).unwrap()).unwrap();
        let mut records = Vec::new();
        while let Some(record) = ring.next() {
            let (head, frame) = Unjudged::read_from_prefix(&record).unwrap();
            records.push((head, frame[..head.copied_bytes as usize].to_vec()));
        }
        records
    }

    /// Samples of denials since the last call.
    pub(crate) fn samples(&mut self) -> Vec<Event> {
        let mut ring = RingBuf::try_from(self.ebpf.map_mut(abi::map::EVENTS).unwrap()).unwrap();
        std::iter::from_fn(|| ring.next().map(|record| Event::read_from_bytes(&record).unwrap())).collect()
    }

    fn on_host(&mut self, frame: &[u8]) -> Decision {
        let context = Context { config: &self.config, ifindex: IFINDEX, now: 1_000_000 };
        let mut workspace = Workspace::default();
        match self.program.direction() {
            Direction::Ingress => ingress(&mut &*frame, &mut self.tables, &context, &mut workspace),
            Direction::Egress => egress(&mut &*frame, &mut self.tables, &context, &mut workspace),
        }
        self.errand = workspace.errand;
        workspace.decision
    }

    fn in_kernel(&mut self, frame: &[u8]) -> Option<(u32, Vec<u8>)> {
        self.left.resize(frame.len().max(SHORTEST_BUFFER) + 64, 0);
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut self.left), ..TestRunOptions::default() };
        let program = self.ebpf.program(self.program.name()).unwrap();
        let result = match self.program {
            Program::Xdp => <&Xdp>::try_from(program).unwrap().test_run(options),
            Program::TcIngress | Program::Egress => <&SchedClassifier>::try_from(program).unwrap().test_run(options),
        };
        let verdict = match result {
            Ok(result) => {
                let bytes = result.data_size_out as usize;
                self.left.truncate(bytes);
                result.return_value
            }
            // A socket buffer must hold a network header of its EtherType.
            Err(_) if self.program != Program::Xdp && frame.len() < SHORTEST_BUFFER => return None,
            Err(error) => panic!("{} bytes: {error}", frame.len()),
        };
        let workspaces = PerCpuArray::<_, KernelWorkspace>::try_from(self.ebpf.map("WORKSPACE").unwrap()).unwrap();
        let cpu = nix::sched::sched_getcpu().unwrap();
        let workspace = workspaces.get(&0, 0).unwrap();
        Some((verdict, workspace[cpu].0[..size_of::<Decision>()].to_vec()))
    }

    fn fill(&mut self, enforce: bool) {
        let port = Port { enforce: u8::from(enforce), ..Port::default() };
        self.tables.ports.insert(IFINDEX, port);
        let mut ports = HashMap::<_, u32, PodPort>::try_from(self.ebpf.map_mut(abi::map::PORTS).unwrap()).unwrap();
        ports.insert(IFINDEX, PodPort(port), 0).unwrap();
        let mut configs = Array::<_, PodConfig>::try_from(self.ebpf.map_mut(abi::map::CONFIG).unwrap()).unwrap();
        configs.set(0, PodConfig(self.config), 0).unwrap();
        let mut free = Queue::<_, u32>::try_from(self.ebpf.map_mut(abi::map::FREE_DEVICES).unwrap()).unwrap();
        for index in 0..DEVICES {
            free.push(index, 0).unwrap();
        }
        self.fill_endpoints();
        self.fill_prefixes();
        self.fill_names();
    }

    fn fill_endpoints(&mut self) {
        let mut table =
            HashMap::<_, PodEndpoint4, PodValue>::try_from(self.ebpf.map_mut(abi::map::ENDPOINTS4).unwrap()).unwrap();
        // 443 and every UDP port are allowed, the lease of 8883 has ended.
        for (protocol, port, expires) in
            [(6, 443, NEVER), (6, 8883, 1), (17, 0, NEVER), (1, 0, NEVER), (17, 53, NEVER), (6, 53, NEVER)]
        {
            let port_be = u16::to_be_bytes(port);
            let key = Endpoint4Key { group: GROUP, address: ALLOWED, port_be, protocol, pad: 0 };
            let value = EndpointValue { expires, rule: u32::from(port) + 1, flags: 0 };
            table.insert(PodEndpoint4(key), PodValue(value), 0).unwrap();
            self.tables.endpoints4.insert(key, value);
        }
        let mut table =
            HashMap::<_, PodEndpoint6, PodValue>::try_from(self.ebpf.map_mut(abi::map::ENDPOINTS6).unwrap()).unwrap();
        for (protocol, port) in [(6, 443), (17, 443), (17, 53), (6, 53), (58, 0)] {
            let port_be = u16::to_be_bytes(port);
            let key = Endpoint6Key { group: GROUP, address: ALLOWED6, port_be, protocol, pad: 0 };
            let value = EndpointValue { expires: NEVER, rule: 9, flags: 0 };
            table.insert(PodEndpoint6(key), PodValue(value), 0).unwrap();
            self.tables.endpoints6.insert(key, value);
        }
    }

    fn fill_names(&mut self) {
        let mut table =
            LpmTrie::<_, PodName, PodNameValue>::try_from(self.ebpf.map_mut(abi::map::NAMES).unwrap()).unwrap();
        for (name, below, rule, flags) in NAMES {
            let mut value =
                NameValue { services_len: 2, flags, floor: 250, ceiling: 250_000, grace: 500, ..NameValue::default() };
            value.services[0] = Service { rule, port_be: 443_u16.to_be_bytes(), protocol: 6, pad: 0 };
            value.services[1] = Service { rule: rule + 1, port_be: [0; 2], protocol: 1, pad: 0 };
            let (name, bytes) = rule_key(name, below).unwrap();
            let data = NameKeyData { group_be: GROUP.to_be_bytes(), name };
            let bits = 32 + 8 * u32::try_from(bytes).unwrap();
            table.insert(&Key::new(bits, PodName(data)), PodNameValue(value), 0).unwrap();
            self.tables.names.insert(bits, &data.as_bytes()[..4 + bytes], value);
        }
        let mut quota = Array::<_, u32>::try_from(self.ebpf.map_mut(abi::map::LEARN_QUOTA).unwrap()).unwrap();
        quota.set(GROUP, SHARE, 0).unwrap();
        self.tables.learn_quota.insert(GROUP, SHARE);
    }

    /// What answers have opened, on both sides: address, port and protocol of every learned endpoint.
    pub(crate) fn learned(&mut self) -> BTreeSet<(Vec<u8>, u16, u8)> {
        let table =
            HashMap::<_, PodEndpoint4, PodValue>::try_from(self.ebpf.map_mut(abi::map::ENDPOINTS4).unwrap()).unwrap();
        let entries =
            table.iter().map(Result::unwrap).filter(|(_, value)| value.0.flags & endpoint_flags::LEARNED != 0);
        let mut kernel: BTreeSet<_> = entries
            .map(|(key, _)| (key.0.address.to_vec(), u16::from_be_bytes(key.0.port_be), key.0.protocol))
            .collect();
        let table =
            HashMap::<_, PodEndpoint6, PodValue>::try_from(self.ebpf.map_mut(abi::map::ENDPOINTS6).unwrap()).unwrap();
        let entries =
            table.iter().map(Result::unwrap).filter(|(_, value)| value.0.flags & endpoint_flags::LEARNED != 0);
        kernel.extend(
            entries.map(|(key, _)| (key.0.address.to_vec(), u16::from_be_bytes(key.0.port_be), key.0.protocol)),
        );
        let learned = |value: &EndpointValue| value.flags & endpoint_flags::LEARNED != 0;
        let v4 = self.tables.endpoints4.iter().filter(|(_, value)| learned(value));
        let v6 = self.tables.endpoints6.iter().filter(|(_, value)| learned(value));
        let host: BTreeSet<_> = v4
            .map(|(key, _)| (key.address.to_vec(), u16::from_be_bytes(key.port_be), key.protocol))
            .chain(v6.map(|(key, _)| (key.address.to_vec(), u16::from_be_bytes(key.port_be), key.protocol)))
            .collect();
        assert_eq!(kernel, host, "kernel and host have learned different things");
        kernel
    }

    /// What flows have brought their devices, on both sides: bytes by port of the device.
    pub(crate) fn received(&mut self) -> BTreeMap<u16, u64> {
        let table =
            HashMap::<_, PodFlow4, PodFlowValue>::try_from(self.ebpf.map_mut(abi::map::FLOWS4).unwrap()).unwrap();
        let flows = table.iter().map(Result::unwrap).map(|(key, value)| (key.0, value.0));
        let of = |(key, value): (Flow4Key, FlowValue)| (u16::from_be_bytes(key.device_port_be), value.received);
        let kernel: BTreeMap<_, _> = flows.map(of).collect();
        let host = self.tables.flows4.flows.iter().map(|(key, value)| of((*key, *value))).collect();
        assert_eq!(kernel, host, "kernel and host have counted different things");
        kernel
    }

    /// Nanoseconds that the program takes on the frame, as the kernel reports them.
    pub(crate) fn duration(&mut self, frame: &[u8], repeat: u32) -> Duration {
        let program = self.ebpf.program(self.program.name()).unwrap();
        let options = || TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::default() };
        let result = match self.program {
            Program::Xdp => <&Xdp>::try_from(program).unwrap().test_run(options()),
            Program::TcIngress | Program::Egress => <&SchedClassifier>::try_from(program).unwrap().test_run(options()),
        };
        result.unwrap().duration
    }

    fn fill_prefixes(&mut self) {
        let mut table =
            LpmTrie::<_, PodCidr4, PodValue>::try_from(self.ebpf.map_mut(abi::map::CIDRS4).unwrap()).unwrap();
        // Outbound to a prefix at 443, and inbound from it to the device's port 80 and echo.
        let inbound = GROUP | abi::INBOUND;
        for (group, protocol, port, bits) in [(GROUP, 6, 443, 24), (inbound, 6, 40000, 24), (inbound, 1, 0, 16)] {
            let port_be = u16::to_be_bytes(port);
            let mut address = PREFIX;
            address[3] = 0;
            let data = Cidr4Data { group_be: group.to_be_bytes(), protocol, pad: 0, port_be, address };
            let value = EndpointValue { expires: NEVER, rule: 20 + u32::from(protocol), flags: 0 };
            table.insert(&Key::new(cidr_bits4(bits), PodCidr4(data)), PodValue(value), 0).unwrap();
            self.tables.cidrs4.insert(cidr_bits4(bits), data.as_bytes(), value);
        }
        // What no answer may open: private addresses unless the name says so, and loopback in any case.
        for (network, bits, flags) in [([10, 0, 0, 0], 8, name_flags::PRIVATE), ([127, 0, 0, 0], 8, 0)] {
            let data =
                Cidr4Data { group_be: REFUSED.to_be_bytes(), protocol: 0, pad: 0, port_be: [0; 2], address: network };
            let value = EndpointValue { expires: NEVER, rule: 0, flags };
            table.insert(&Key::new(cidr_bits4(bits), PodCidr4(data)), PodValue(value), 0).unwrap();
            self.tables.cidrs4.insert(cidr_bits4(bits), data.as_bytes(), value);
        }
        let mut table =
            LpmTrie::<_, PodCidr6, PodValue>::try_from(self.ebpf.map_mut(abi::map::CIDRS6).unwrap()).unwrap();
        let group_be = inbound.to_be_bytes();
        let data = Cidr6Data { group_be, protocol: 0, pad: 0, port_be: [0; 2], address: ALLOWED6 };
        let value = EndpointValue { expires: NEVER, rule: 30, flags: 0 };
        table.insert(&Key::new(cidr_bits6(128), PodCidr6(data)), PodValue(value), 0).unwrap();
        self.tables.cidrs6.insert(cidr_bits6(128), data.as_bytes(), value);
    }
}

/// The workspace is read from the CPU that ran the program: it must be the one that reads.
fn stay_on_one_cpu() {
    let mut here = nix::sched::CpuSet::new();
    here.set(nix::sched::sched_getcpu().unwrap()).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &here).unwrap();
}

fn load(program: Program, loaded: &mut aya::programs::Program) {
    match program {
        Program::Xdp => <&mut Xdp>::try_from(loaded).unwrap().load().unwrap(),
        Program::TcIngress | Program::Egress => <&mut SchedClassifier>::try_from(loaded).unwrap().load().unwrap(),
    }
}

/// Verdict, reason, rule, group and subject as bytes, in the layout that both machines share.
fn fields(decision: &Decision) -> Vec<u8> {
    let subject = &decision.subject;
    let mut bytes = vec![decision.verdict as u8, decision.reason as u8, 0, 0];
    bytes.extend(decision.rule.to_ne_bytes());
    bytes.extend(decision.group.to_ne_bytes());
    // Padding: subjects hold words.
    bytes.resize(std::mem::offset_of!(Decision, subject), 0);
    bytes.extend(subject.device.map(u64::to_ne_bytes).concat());
    bytes.extend(subject.peer.map(u64::to_ne_bytes).concat());
    bytes.extend(subject.device_port_be.to_ne_bytes());
    bytes.extend(subject.peer_port_be.to_ne_bytes());
    bytes.extend(subject.ethertype_be.to_ne_bytes());
    bytes.extend(subject.vlan[0].to_ne_bytes());
    bytes.extend(subject.vlan[1].to_ne_bytes());
    bytes.push(subject.protocol);
    bytes.resize(size_of::<Decision>(), 0);
    bytes
}

fn config(enforce: bool, flags: u8) -> Config {
    let group = SubnetValue { group: GROUP, enforce: u8::from(enforce), flags, ..SubnetValue::default() };
    let mut config = Config {
        ticks_per_second: 250,
        flags: config_flags::CIDRS4
            | config_flags::INBOUND4
            | config_flags::INBOUND6
            | config_flags::WILDCARD_PORTS
            | config_flags::NAMES,
        subnets4_len: 1,
        subnets6_len: 1,
        reserved4_len: 1,
        flows_per_device: SLOTS,
        events_per_second: 1000,
        timeouts: Timeouts {
            tcp_opening: u32::MAX,
            tcp_established: u32::MAX,
            tcp_closing: u32::MAX,
            udp: u32::MAX,
            icmp: u32::MAX,
            fragment: u32::MAX,
            query: u32::MAX,
            ..Timeouts::default()
        },
        ..Config::default()
    };
    let [a, b, c, _] = DEVICE;
    config.subnets4[0] = Subnet4 { network: [a, b, c, 0], mask: [255, 255, 255, 0], ifindex: IFINDEX, group };
    let (mut network, mut mask) = (DEVICE6, [255; 16]);
    network[8..].fill(0);
    mask[8..].fill(0);
    config.subnets6[0] = Subnet6 { network, mask, ifindex: IFINDEX, group };
    config.reserved4[0] = Reserved4 { network: [192, 168, 35, 0], mask: [255, 255, 255, 0] };
    config
}
