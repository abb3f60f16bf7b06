//! The hostile device: tries every kind of misbehaviour, and sees whether it got out and which reason was given.
//!
//! That nothing came out is proved by a fence: a packet that must pass is sent after the frames in question, and
//! when it has arrived, so have they, or they never will.

pub mod flood;
pub mod frame;
pub mod kinds;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use sphere_common::verdict::{Direction, Verdict};

use crate::clients::Attempt;
use crate::lab::Lab;
use crate::link::{Link, contains};
use crate::net::HOSTILE4;
use crate::net::plan::{PROBE, PROBE_PORT, stranger, stranger6};
use crate::sphere::{Record, Sphere};
use crate::wait;
use frame::Craft;
use kinds::{Act, Kind, Target};

/// How long the fence may take.
const ARRIVES: Duration = Duration::from_secs(3);
/// How long a record may take.
const RECORDED: Duration = Duration::from_secs(10);

/// What became of one kind.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The kind.
    pub kind: Kind,
    /// Whether it came out at the other side, or its client got an answer.
    pub came_out: bool,
    /// Word of the reason that the gateway gave, from its records, or from its exact counters where it writes none.
    pub reason: Option<String>,
    /// What was seen, in words.
    pub seen: String,
}

impl Trial {
    /// Whether it was denied as it must be.
    #[must_use]
    pub fn denied_as_expected(&self) -> bool {
        !self.came_out && self.reason.as_deref() == Some(self.kind.reason.word())
    }
}

/// The hostile device, with eyes at both ends.
#[derive(Debug)]
pub struct Hostile<'a> {
    lab: &'a Lab,
    sphere: Option<&'a Sphere>,
    inside: Link,
    outside: Link,
    gateway_lan: [u8; 6],
    gateway_wan: [u8; 6],
    marks: AtomicU32,
}

impl<'a> Hostile<'a> {
    /// Takes position; without `sphere`, nothing is expected to be enforced.
    ///
    /// # Errors
    /// When the interfaces cannot be opened.
    pub fn new(lab: &'a Lab, sphere: Option<&'a Sphere>) -> Result<Self> {
        let network = &lab.network;
        Ok(Self {
            lab,
            sphere,
            inside: Link::open(&network.hostile.namespace, "eth0")?,
            outside: Link::open(&network.internet, "eth0")?,
            gateway_lan: Link::open(&network.gateway, "lan0")?.mac(),
            gateway_wan: Link::open(&network.gateway, "wan0")?.mac(),
            marks: AtomicU32::new(1),
        })
    }

    /// Tries everything.
    ///
    /// # Errors
    /// When a trial cannot be made at all: that proves nothing.
    pub fn try_all(&self) -> Result<Vec<Trial>> {
        let mut trials = self.try_clients(&kinds::CLIENTS)?;
        for kind in &kinds::FRAMES {
            trials.push(self.try_frames(kind).with_context(|| format!("trying: {}", kind.name))?);
        }
        Ok(trials)
    }

    /// Tries kinds with real clients, all at the same time, because each waits for its time limit.
    fn try_clients(&self, kinds: &[Kind]) -> Result<Vec<Trial>> {
        let records = self.sphere.map(Sphere::records);
        self.outside.clear()?;
        let attempts = thread::scope(|scope| {
            let threads: Vec<_> = kinds.iter().map(|kind| scope.spawn(|| attempt(self.lab, kind))).collect();
            let attempts = threads.into_iter().map(thread::ScopedJoinHandle::join);
            attempts.map(|done| done.map_err(|_panic| anyhow!("a client panicked"))?).collect::<Result<Vec<_>>>()
        })?;
        let frames = self.fence(Direction::Ingress)?;
        let mut seen = Vec::new();
        if let Some(mut records) = records {
            // Missing records show as missing reasons below.
            wait::until("the records", RECORDED, || {
                seen.extend(records.news().ok()?);
                kinds.iter().all(|kind| seen.iter().any(|record| is_about(record, kind))).then_some(())
            })
            .ok();
        }
        let trial = |(kind, attempt): (&Kind, Attempt)| {
            let arrived = kind.target.is_some_and(|target| frames.iter().any(|frame| goes_to(frame, target)));
            let record = seen.iter().find(|record| is_about(record, kind));
            Trial {
                kind: *kind,
                came_out: arrived || attempt.succeeded,
                reason: record.map(|record| record.reason.clone()),
                seen: attempt.detail,
            }
        };
        Ok(kinds.iter().zip(attempts).map(trial).collect())
    }

    /// Tries a kind with raw frames: each must be counted, with the reason.
    fn try_frames(&self, kind: &Kind) -> Result<Trial> {
        let craft = self.craft(kind.direction);
        let frames = match kind.act {
            Act::Frames(act) => act(&craft)?,
            Act::Client(_) => return Err(anyhow!("{} has a client", kind.name)),
        };
        let mut records = self.sphere.map(Sphere::records);
        let before = self.count(kind)?;
        let (from, to) = match kind.direction {
            Direction::Ingress => (&self.inside, &self.outside),
            Direction::Egress => (&self.outside, &self.inside),
        };
        to.clear()?;
        for frame in &frames {
            from.send(frame)?;
        }
        let arrived = self.fence(kind.direction)?;
        let came_out = arrived.iter().filter(|frame| contains(frame, &craft.mark)).count();
        let counted = self.count(kind)? - before;
        let exact = counted == frames.len() as u64;
        let reason = match &mut records {
            _ if !exact => None,
            Some(records) if !kind.reason.is_quiet() => {
                let record = records.wait(RECORDED, |record| is_about(record, kind));
                record.ok().map(|record| record.reason)
            }
            Some(_) => Some(kind.reason.word().to_owned()),
            None => None,
        };
        let seen = match self.sphere {
            Some(_) => format!("{} sent, {counted} counted, {came_out} came out", frames.len()),
            None => format!("{} sent, {came_out} came out", frames.len()),
        };
        Ok(Trial { kind: *kind, came_out: came_out > 0, reason, seen })
    }

    /// Denied packets that the kernel has counted with the kind's reason.
    fn count(&self, kind: &Kind) -> Result<u64> {
        let Some(sphere) = self.sphere else {
            return Ok(0);
        };
        Ok(sphere.status()?.counters().of(kind.direction, Verdict::Deny, kind.reason))
    }

    /// Sends a datagram that must pass, and returns what arrived before it. To see what reaches the device, the
    /// echo of the datagram is waited for.
    fn fence(&self, direction: Direction) -> Result<Vec<Vec<u8>>> {
        let craft = self.craft(Direction::Ingress);
        self.inside.send(&craft.udp(PROBE, PROBE_PORT)?)?;
        let eyes = match direction {
            Direction::Ingress => &self.outside,
            Direction::Egress => &self.inside,
        };
        eyes.until(&craft.mark, ARRIVES)
    }

    /// A sender with a new mark: the device, or a stranger on the internet.
    fn craft(&self, direction: Direction) -> Craft {
        let number = self.marks.fetch_add(1, Ordering::Relaxed);
        let [a, b, c, d] = number.to_be_bytes();
        let mark = [0x5b, 0xad, 0xca, 0xfe, a, b, c, d];
        match direction {
            Direction::Ingress => Craft {
                source_mac: self.inside.mac(),
                next_hop_mac: self.gateway_lan,
                source: HOSTILE4,
                source6: self.lab.network.hostile.ipv6,
                mark,
            },
            Direction::Egress => Craft {
                source_mac: self.outside.mac(),
                next_hop_mac: self.gateway_wan,
                source: stranger(1),
                source6: stranger6(1),
                mark,
            },
        }
    }
}

/// How many reasons of denial the trials show.
#[must_use]
pub fn reasons(trials: &[Trial]) -> usize {
    let denied = trials.iter().filter(|trial| trial.denied_as_expected());
    denied.map(|trial| trial.kind.reason.word()).collect::<BTreeSet<_>>().len()
}

fn attempt(lab: &Lab, kind: &Kind) -> Result<Attempt> {
    match kind.act {
        Act::Client(act) => act(lab).with_context(|| format!("trying: {}", kind.name)),
        Act::Frames(_) => Err(anyhow!("{} has no client", kind.name)),
    }
}

/// Whether a record can only be about this kind: what names its target if it has one, else any with its reason.
fn is_about(record: &Record, kind: &Kind) -> bool {
    let named = match kind.target {
        Some((address, port)) => record.peer == Some(address) && (port.is_none() || record.peer_port == port),
        None => record.reason == kind.reason.word(),
    };
    // An echo has no port: a late segment of another client to the same host is not about it.
    let same_protocol = kind.protocol != "icmp" || record.protocol.as_deref() == Some("icmp");
    named && same_protocol && record.direction == kind.direction.word() && record.verdict == Verdict::Deny.word()
}

/// Whether a frame goes to this address and port.
fn goes_to(frame: &[u8], (address, port): Target) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
        return false;
    };
    let destination: Option<IpAddr> = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => Some(ip.header().destination_addr().into()),
        Some(NetSlice::Ipv6(ip)) => Some(ip.header().destination_addr().into()),
        _ => None,
    };
    let destination_port = match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => Some(tcp.destination_port()),
        Some(TransportSlice::Udp(udp)) => Some(udp.destination_port()),
        _ => None,
    };
    destination == Some(address) && (port.is_none() || destination_port == port)
}
