//! The host's deciding code beside the kernel's, over a copy of the tables that are in force.
//!
//! What it learns can be held against what the programs learn from the same frames.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, ensure};
use sphere_common::abi::{
    Cidr4Data, Cidr6Data, Config, Endpoint4Key, Endpoint6Key, EndpointValue, LessonCount, NameValue, Port,
    config_flags, map,
};
use sphere_common::decide::{Context, Workspace, egress, errand, ingress};
use sphere_common::host::{HostTables, PrefixTable};
use sphere_common::verdict::{Direction, Reason, Verdict};
use zerocopy::FromBytes;

use super::{Service, Sphere};

/// Devices that the copy has room for.
const DEVICES: u32 = 8;
/// Bytes of a trie's key before its data: the prefix length.
const LENGTH_BYTES: usize = 4;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What happens to it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Whether the daemon is to see it.
    pub handed_over: bool,
}

/// The copy.
#[derive(Debug)]
pub struct Replica {
    config: Config,
    ifindex: u32,
    tables: HostTables,
    /// Endpoints that were there before anything was learned.
    known: BTreeSet<Service>,
    judged: BTreeMap<(&'static str, &'static str), u64>,
}

impl Replica {
    /// Copies what is in force for the first IPv4 device subnet's port.
    ///
    /// # Errors
    /// When the tables cannot be read, or hold what the copy cannot.
    pub fn of(sphere: &Sphere) -> Result<Self> {
        let active = sphere.dump(map::ACTIVE)?;
        let slot = active.first().and_then(|(_key, value)| value.first().copied()).context("no active slot")? & 1;
        let slots = sphere.dump(map::CONFIG)?;
        let config: Config = read(&slots.get(usize::from(slot)).context("no configuration")?.1)?;
        ensure!(config.flags & config_flags::SUBNETS_IN_TRIE == 0, "subnets in the trie are not copied");
        let [subnet, ..] = config.subnets4;
        let mut tables = HostTables::new(&config, DEVICES);
        for (key, value) in sphere.dump(map::PORTS)? {
            tables.ports.insert(read(&key)?, read::<Port>(&value)?);
        }
        for (key, value) in sphere.dump(map::ENDPOINTS4)? {
            tables.endpoints4.insert(read::<Endpoint4Key>(&key)?, read::<EndpointValue>(&value)?);
        }
        for (key, value) in sphere.dump(map::ENDPOINTS6)? {
            tables.endpoints6.insert(read::<Endpoint6Key>(&key)?, read::<EndpointValue>(&value)?);
        }
        copy_trie::<EndpointValue>(sphere, map::CIDRS4, size_of::<Cidr4Data>(), &mut tables.cidrs4)?;
        copy_trie::<EndpointValue>(sphere, map::CIDRS6, size_of::<Cidr6Data>(), &mut tables.cidrs6)?;
        copy_trie::<NameValue>(sphere, map::NAMES, 0, &mut tables.names)?;
        for (key, value) in sphere.dump(map::LEARN_QUOTA)? {
            tables.learn_quota.insert(read(&key)?, read(&value)?);
        }
        let mut replica =
            Self { config, ifindex: subnet.ifindex, tables, known: BTreeSet::new(), judged: BTreeMap::new() };
        replica.known = replica.endpoints();
        Ok(replica)
    }

    /// Judges a frame as the program of this direction does.
    pub fn judge(&mut self, direction: Direction, frame: &[u8]) -> Judgement {
        // The first tick: nothing has ended yet.
        let context = Context { config: &self.config, ifindex: self.ifindex, now: 1 };
        let mut workspace = Workspace::default();
        match direction {
            Direction::Ingress => ingress(&mut &*frame, &mut self.tables, &context, &mut workspace),
            Direction::Egress => egress(&mut &*frame, &mut self.tables, &context, &mut workspace),
        }
        let decision = &workspace.decision;
        *self.judged.entry((direction.word(), decision.reason.word())).or_default() += 1;
        Judgement {
            verdict: decision.verdict,
            reason: decision.reason,
            handed_over: direction == Direction::Egress && workspace.errand.what == errand::HAND_OVER,
        }
    }

    /// Frames judged with this reason.
    #[must_use]
    pub fn judged(&self, direction: Direction, reason: Reason) -> u64 {
        self.judged.get(&(direction.word(), reason.word())).copied().unwrap_or(0)
    }

    /// What happened to queries and answers.
    #[must_use]
    pub fn lessons(&self, count: LessonCount) -> u64 {
        self.tables.lesson_counts.get(&(count as u32)).copied().unwrap_or(0)
    }

    /// What answers have opened.
    #[must_use]
    pub fn learned(&self) -> BTreeSet<Service> {
        self.endpoints().difference(&self.known).copied().collect()
    }

    fn endpoints(&self) -> BTreeSet<Service> {
        let v4 = self.tables.endpoints4.keys();
        let v4 = v4.map(|key| (IpAddr::V4(Ipv4Addr::from(key.address)), u16::from_be_bytes(key.port_be), key.protocol));
        let v6 = self.tables.endpoints6.keys();
        let v6 = v6.map(|key| (IpAddr::V6(Ipv6Addr::from(key.address)), u16::from_be_bytes(key.port_be), key.protocol));
        v4.chain(v6).collect()
    }
}

/// Copies a trie. Keys are cut to their prefix unless the look-up wants all `data_bytes`.
fn copy_trie<V: FromBytes + Copy>(
    sphere: &Sphere,
    name: &str,
    data_bytes: usize,
    to: &mut PrefixTable<V>,
) -> Result<()> {
    for (key, value) in sphere.dump(name)? {
        let (length, data) = key.split_at_checked(LENGTH_BYTES).context("a trie's key")?;
        let bits: u32 = read(length)?;
        let bytes = data_bytes.max(bits.div_ceil(8) as usize);
        to.insert(bits, data.get(..bytes).context("a trie's key")?, read(&value)?);
    }
    Ok(())
}

fn read<T: FromBytes>(bytes: &[u8]) -> Result<T> {
    T::read_from_bytes(bytes).ok().with_context(|| format!("{} bytes of another layout", bytes.len()))
}
