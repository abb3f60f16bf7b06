//! An hour in which a name moves on every five seconds, through thousands of addresses.
//!
//! The hour is the kernel's: its clock is set ahead by the programs' own offset, which the lab writes into the pinned
//! configuration. The daemon runs meanwhile, and follows that clock.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sphere_common::abi::LessonCount;

use super::Scenario;
use super::session::{Session, deliver};
use crate::clients::asker::Asker;
use crate::clients::dial::{Dialled, dial};
use crate::lab::Lab;
use crate::message::{self, A, Answer};
use crate::net::plan::{PROBE, SCRIPTED};
use crate::report::Report;
use crate::servers::responder::Responder;
use crate::sphere::Sphere;
use crate::vendor::HUB;
use crate::wait;
use crate::zone::PROBE_HOST;

/// Addresses that the name moves through.
const ADDRESSES: u32 = 4_000;
/// Addresses in one answer.
const AT_A_TIME: u32 = 6;
/// Seconds between two moves: the time to live.
const TTL: u32 = 5;
/// Moves in an hour.
const MOVES: u32 = 3600 / TTL;
/// A session is opened, and a look taken at the table, every so many moves.
const MILESTONE: u32 = MOVES / 8;
/// Addresses that the group may hold: fewer than an hour brings.
const SHARE: usize = 6_000;
/// Seconds that an address outlives its answer: floor and grace.
const OUTLIVES: u64 = 5 + 10;
/// How long the daemon may take to sweep, in its own time.
const SWEPT: Duration = Duration::from_secs(25);
const PORT: u16 = 8883;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Churn;

impl Scenario for Churn {
    fn name(&self) -> &'static str {
        "churn"
    }

    fn purpose(&self) -> &'static str {
        "a name moves through 4,000 addresses in a simulated hour: no session is cut, old addresses go"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let turn = Arc::new(AtomicU32::new(0));
        let resolver = rotate(lab, &turn)?;
        for device in &lab.network.devices {
            std::fs::write(device.namespace.resolv_conf(), format!("nameserver {SCRIPTED}\n"))?;
        }
        let sphere = lab.protect(|policy| {
            policy.resolver = SCRIPTED;
            policy.grace_seconds = 10;
            policy.group = format!("learn = {SHARE}\n");
            policy.limits = "flows_per_device = 4096\nevents_per_second = 5000\n".to_owned();
        })?;
        lab.warm_up()?;
        let before = sphere.status()?;
        let mut hour = Hour::new(lab, &sphere, &turn)?;
        hour.pass()?;
        let after = sphere.status()?;
        let Hour { mut sessions, most, silent, .. } = hour;
        deliver(lab, &mut sessions)?;
        let cut = sessions.iter().filter(|session| session.connections() != 1).count();
        let denials = after.counters().denied_aloud() - before.counters().denied_aloud();
        report.figure("simulated_seconds", MOVES * TTL);
        report.figure("addresses", ADDRESSES.min(MOVES * AT_A_TIME));
        report.figure("addresses_learned", after.lessons(LessonCount::Address) - before.lessons(LessonCount::Address));
        report.figure("sessions", sessions.len());
        report.figure("sessions_cut", cut);
        report.figure("most_entries", most);
        report.figure("denials", denials);
        report.figure("questions_heard", resolver.heard());
        report.check_equal("sessions cut", 0, cut as u64);
        report.check_equal("connections to new addresses without answer", 0, silent);
        report.check_equal("packets denied", 0, denials);
        let over = after.lessons(LessonCount::Quota) - before.lessons(LessonCount::Quota);
        report.check_equal("addresses over the group's share", 0, over);
        report.check("most entries of the name", format!("at most {SHARE}"), (most.to_string(), most <= SHARE));
        check_gone(lab, &sphere, report)
    }
}

/// The resolver: the name has the addresses of its turn.
fn rotate(lab: &Lab, turn: &Arc<AtomicU32>) -> Result<Responder> {
    let turn = Arc::clone(turn);
    Responder::start(&lab.network.internet, SCRIPTED, move |question, _over| {
        let answer = Answer::to(question);
        let addresses = match (question.kind, question.name.as_str()) {
            (A, HUB) => addresses(turn.load(Ordering::Relaxed)).map(IpAddr::V4).collect(),
            (A, PROBE_HOST) => vec![IpAddr::V4(PROBE)],
            _ => Vec::new(),
        };
        vec![answer.addresses(addresses, TTL).bytes()]
    })
}

/// The addresses of a turn.
fn addresses(turn: u32) -> impl Iterator<Item = Ipv4Addr> {
    (0..AT_A_TIME).map(move |index| {
        let number = (turn * AT_A_TIME + index) % ADDRESSES;
        let [.., net, host] = ((128 << 8) + number / 250 * 256 + 1 + number % 250).to_be_bytes();
        Ipv4Addr::new(20, 40, net, host)
    })
}

/// Whether an address is one of those that the name moves through.
fn is_of_name(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets()[..2] == [20, 40] && v4.octets()[2] >= 128)
}

fn entries(sphere: &Sphere) -> Result<usize> {
    Ok(sphere.endpoints()?.keys().filter(|(address, ..)| is_of_name(*address)).count())
}

struct Hour<'a> {
    lab: &'a Lab,
    sphere: &'a Sphere,
    turn: &'a AtomicU32,
    asker: Asker,
    sessions: Vec<Session>,
    most: usize,
    silent: u64,
}

impl<'a> Hour<'a> {
    fn new(lab: &'a Lab, sphere: &'a Sphere, turn: &'a AtomicU32) -> Result<Self> {
        let asker = Asker::open(&lab.device(0)?.namespace, SCRIPTED)?;
        Ok(Self { lab, sphere, turn, asker, sessions: Vec::new(), most: 0, silent: 0 })
    }

    /// Lets an hour go by.
    fn pass(&mut self) -> Result<()> {
        let device = self.lab.device(0)?;
        for turn in 0..MOVES {
            self.turn.store(turn, Ordering::Relaxed);
            self.sphere.set_clock_ahead(u64::from(turn * TTL))?;
            let answer = self.asker.ask(HUB, A)?;
            let told = message::addresses(&answer)?;
            let address = told.get(turn as usize % told.len().max(1)).copied().context("no address")?;
            let dialled = device.namespace.enter(|| dial(address, PORT))??;
            self.silent += u64::from(dialled == Dialled::Silence);
            if turn % MILESTONE == 0 {
                let number = self.sessions.len() + 1;
                self.sessions.push(Session::open(self.lab, self.lab.device(1)?, number)?);
            }
            if turn % 10 == 0 {
                self.most = self.most.max(entries(self.sphere)?);
            }
        }
        Ok(())
    }
}

/// When the hour is over and the last answers are too, what is left is what the daemon itself has just asked for.
fn check_gone(lab: &Lab, sphere: &Sphere, report: &mut Report) -> Result<()> {
    sphere.set_clock_ahead(u64::from(MOVES * TTL) + 2 * OUTLIVES)?;
    // Daemon's own: the addresses of this turn and, for their grace, of the turn before, for two services.
    let own = 2 * 2 * AT_A_TIME as usize;
    let started = Instant::now();
    let left = wait::until("old addresses to go", SWEPT, || match entries(sphere) {
        Ok(left) => (left <= own).then_some(Ok(left)),
        Err(error) => Some(Err(error)),
    });
    let left = match left {
        Ok(left) => left?,
        Err(_waited) => entries(sphere)?,
    };
    report.figure("swept_after_ms", u64::try_from(started.elapsed().as_millis())?);
    report.check("entries of the name afterwards", format!("at most {own}"), (left.to_string(), left <= own));
    let old = addresses(0).next().context("no address")?;
    // The daemon asked for it too, in its own time, which is slower here: its own lease may last a little longer.
    let closed = lab.device(0)?.namespace.enter(|| {
        wait::until("the first address to close", SWEPT, || match dial(old.into(), PORT) {
            Ok(dialled) => (dialled == Dialled::Silence).then_some(Ok(())),
            Err(error) => Some(Err(error)),
        })
    })?;
    let seen = if matches!(closed, Ok(Ok(()))) { "deny" } else { "pass" };
    report.check("new connection to an address of the first minute", "deny", (seen, seen == "deny"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_hour_goes_through_every_address() {
        let all: BTreeSet<Ipv4Addr> = (0..MOVES).flat_map(addresses).collect();
        assert_eq!(all.len(), ADDRESSES as usize);
        assert!(all.into_iter().all(|address| is_of_name(address.into())));
    }
}
