//! Two devices that send what is denied: one floods, the other goes on as it would without the flood.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};
use sphere_common::verdict::Reason;

use crate::hostile::flood::{Counts, Flood};
use crate::hostile::frame::datagram;
use crate::lab::Lab;
use crate::link::Link;
use crate::net::Device;
use crate::net::plan::stranger;

/// Frames of the flood.
pub(super) const FLOOD: u64 = 10_000_000;
/// Destinations of the flood.
const DESTINATIONS: u64 = 100_000;
/// Of the destinations, one in so many is a resolver that nobody approved.
const RESOLVERS: u64 = 10;
/// Frames of the other device.
pub(super) const FEW: u64 = 1_000;
/// Where the other device sends them.
pub(super) const DESTINATION: SocketAddr = SocketAddr::new(IpAddr::V4(stranger(7)), 4_321);
/// What each frame carries: with its headers it is as long as the shortest frame.
const PAYLOAD: [u8; 18] = *b"denied, as it must";
/// Length of each frame.
pub(super) const FRAME_BYTES: u64 = 60;
const SOURCE_PORT: u16 = 40_000;
const DNS: u16 = 53;

/// The devices, ready to send.
#[derive(Debug)]
pub(super) struct Senders {
    flooder: (Link, Vec<Vec<u8>>),
    other: (Link, Vec<Vec<u8>>),
    sent: AtomicU64,
    /// The gateway's end of the last link.
    gateway: Counts,
    /// The switch's end, and what had been dropped there before.
    switch: (Counts, u64),
}

impl Senders {
    /// Makes every frame before the first is sent.
    pub(super) fn new(lab: &Lab) -> Result<Self> {
        let gateway = Link::open(&lab.network.gateway, "lan0")?.mac();
        let ready = |device: &Device, to: Vec<SocketAddr>| -> Result<_> {
            let from = SocketAddr::new(device.ipv4.into(), SOURCE_PORT);
            let frames = to.into_iter().map(|to| datagram((device.mac, gateway), from, to, &PAYLOAD));
            Ok((Link::open(&device.namespace, "eth0")?, frames.collect::<Result<Vec<_>>>()?))
        };
        let switch = Counts::of(&lab.network.switch, "uplink")?;
        let dropped = switch.read()?.dropped;
        Ok(Self {
            gateway: Counts::of(&lab.network.gateway, "lan0")?,
            switch: (switch, dropped),
            flooder: ready(&lab.network.hostile, destinations())?,
            other: ready(lab.device(1)?, vec![DESTINATION])?,
            sent: AtomicU64::new(0),
        })
    }

    /// Frames that the flooding device has sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Frames that the gateway had no room for: nothing else can get lost.
    pub(super) fn lost(&self) -> Result<u64> {
        Ok(self.switch.0.read()?.dropped - self.switch.1)
    }

    /// Both devices send all they have, while `meanwhile` goes on.
    pub(super) fn send(&self, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
        thread::scope(|scope| {
            let [flooder, other] =
                [&self.flooder, &self.other].map(|(link, frames)| Flood::new(link, frames, &self.gateway));
            let flooder = scope.spawn(move || flooder.send(FLOOD, &self.sent));
            let other = scope.spawn(move || other.send(FEW, &AtomicU64::new(0)));
            let done = meanwhile();
            for thread in [flooder, other] {
                thread.join().map_err(|_panic| anyhow!("a device panicked"))?.context("a device cannot send")?;
            }
            done
        })
    }
}

/// Packets of the flooding device by the reason that each must be denied for.
pub(super) fn expected() -> [(Reason, u64); 2] {
    let resolvers = FLOOD / RESOLVERS;
    [(Reason::Destination, FLOOD - resolvers), (Reason::Resolver, resolvers)]
}

/// Destinations in no order, each once, at ports in no order: hosts that no rule allows, and resolvers.
fn destinations() -> Vec<SocketAddr> {
    let mut random = Random(0x05ee_d00f_f100_d000);
    let mut taken = HashSet::new();
    let mut destinations = Vec::new();
    for number in 0..DESTINATIONS {
        let address = loop {
            let address = random.address();
            if taken.insert(address) {
                break address;
            }
        };
        let port = if number % RESOLVERS == 0 { DNS } else { random.port() };
        destinations.push(SocketAddr::new(address.into(), port));
    }
    destinations
}

/// Steps of splitmix64: the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> [u8; 8] {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 7).to_be_bytes()
    }

    /// In 32.0.0.0 to 95.255.255.255, of which neither the lab nor a reserved prefix has a part.
    fn address(&mut self) -> Ipv4Addr {
        let [.., a, b, c, d] = self.next();
        Ipv4Addr::new(32 + a % 64, b, c, d)
    }

    /// In 1024 to 65535, without the ports of DNS.
    fn port(&mut self) -> u16 {
        let [.., high, low] = self.next();
        1024 + u16::from_be_bytes([high, low]) % 64_512
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn the_flood_has_as_many_destinations_as_it_says_and_frames_of_one_length() {
        let all = destinations();
        assert_eq!(all.iter().map(SocketAddr::ip).collect::<HashSet<_>>().len() as u64, DESTINATIONS);
        assert_eq!(all.iter().filter(|to| to.port() == DNS).count() as u64, DESTINATIONS / RESOLVERS);
        assert_eq!(FLOOD % DESTINATIONS, 0, "each destination gets as many");
        let from = "10.20.0.1:1".parse().unwrap();
        for to in all.iter().take(100) {
            assert_eq!(datagram(([2; 6], [4; 6]), from, *to, &PAYLOAD).unwrap().len() as u64, FRAME_BYTES);
        }
    }
}
