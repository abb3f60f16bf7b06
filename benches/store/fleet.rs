//! A fleet at fault for some hours.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use sphere_common::verdict::{Direction, Reason, Verdict};
use sphere_userspace::store::Denial;

const DEVICES: u64 = 1_000;
const HOUR: Duration = Duration::from_secs(3600);
/// Destinations that devices try every hour.
const KNOWN: u64 = 600;
const GROUPS: [&str; 4] = ["sensors", "cameras", "meters", "locks"];
const PORTS: [u16; 5] = [22, 23, 80, 5683, 8080];

/// Denials in the order of time.
#[derive(Debug)]
pub(crate) struct Fleet {
    now: SystemTime,
    hours: u64,
    wanted: u64,
    records: u64,
    packets: u64,
}

impl Fleet {
    /// Some hours until now, with so many records in all of them.
    pub(crate) fn new(now: SystemTime, hours: u64, wanted: u64) -> Self {
        Self { now, hours, wanted, records: 0, packets: 0 }
    }

    /// The next records, all of one hour, and the time at which they are read.
    pub(crate) fn next(&mut self, most: usize) -> (Vec<Denial>, SystemTime) {
        let hour = self.hour(self.records);
        let at = self.now - HOUR * u32::try_from(self.hours - 1 - hour.min(self.hours - 1)).unwrap_or(0);
        let mut batch = Vec::with_capacity(most);
        while batch.len() < most && self.records < self.wanted && self.hour(self.records) == hour {
            let denial = denial(self.records, self.records - self.begin(hour), at);
            self.packets += denial.packets;
            self.records += 1;
            batch.push(denial);
        }
        (batch, at)
    }

    /// Records that were given.
    pub(crate) const fn records(&self) -> u64 {
        self.records
    }

    /// Their packets.
    pub(crate) const fn packets(&self) -> u64 {
        self.packets
    }

    /// The hour of a record.
    fn hour(&self, record: u64) -> u64 {
        record * self.hours / self.wanted
    }

    /// The first record of an hour.
    fn begin(&self, hour: u64) -> u64 {
        (hour * self.wanted).div_ceil(self.hours)
    }
}

/// A record: the devices one after the other, each with the destinations it always tries and then with new ones.
fn denial(record: u64, number: u64, at: SystemTime) -> Denial {
    let (device, slot, random) = (number % DEVICES, number / DEVICES, mixed(record));
    let group = device % 4;
    let known = (device * 3 + slot) % KNOWN;
    let is_known = slot < 3;
    let (protocol, port, reason) = match slot {
        1 => (6, 8883, Reason::Destination),
        2 => (17, 53, Reason::Resolver),
        4 => (6, PORTS[(random % 5) as usize], Reason::Destination),
        _ => (6, 443, Reason::Destination),
    };
    let peer = match random % 8 {
        _ if is_known => IpAddr::from([198, 18, (known / 256) as u8, (known % 256) as u8]),
        0 => IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | u128::from(random))),
        _ => IpAddr::from(((random >> 32) as u32).to_be_bytes()),
    };
    let has_name = is_known && known < KNOWN / 2;
    let packets = 1 + (random % 1000).pow(3) / 1_000_000;
    Denial {
        device: IpAddr::from([10, 20, (device / 250) as u8, (device % 250) as u8]),
        group_number: group as u32,
        group: GROUPS[group as usize].to_owned(),
        peer: Some(peer),
        peer_names: if has_name { vec![format!("h{known}.vendor{}.example", known % 20)] } else { Vec::new() },
        protocol: Some(protocol),
        peer_port: Some(port),
        direction: Direction::Ingress,
        verdict: if group == 3 { Verdict::Audit } else { Verdict::Deny },
        reason,
        episode: record,
        boot: 1,
        packets,
        bytes: packets * 74,
        first: at - Duration::from_secs(random % 1800),
        last: at,
    }
}

/// A number that looks random, always the same for a record (the finalizer of SplitMix64).
const fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
