//! A new address in every answer, and a connection to it as soon as the answer is read.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use sphere_common::abi::{self, LessonCount};

use super::Scenario;
use crate::clients::asker::{ANSWER, Asker};
use crate::clients::dial::{Dialled, dial};
use crate::lab::Lab;
use crate::message::{self, A, Answer};
use crate::net::Device;
use crate::net::plan::{PROBE, PROBE_PORT, SCRIPTED, refusing};
use crate::report::Report;
use crate::servers::responder::Responder;
use crate::sphere::{Meter, Sphere};

/// How often an address is asked for and connected to.
const ROUNDS: u32 = 20_000;
/// Rounds after which the kernel's account is read.
const LAP: u32 = 100;
/// Nanoseconds that learning may add to an answer, at the median of the laps.
const MAX_ADDED_NS: u64 = 3_000;
/// Bytes of a datagram as long as an answer.
const DATAGRAM: usize = 66;
/// Silent connections after which it is no use to go on.
const ENOUGH: u64 = 20;
const HOST: &str = "race.example.net";
const PORT: u16 = 443;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Race;

impl Scenario for Race {
    fn name(&self) -> &'static str {
        "race"
    }

    fn purpose(&self) -> &'static str {
        "20,000 times a new address, and a SYN as soon as the answer is read: no denial"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let next = AtomicU32::new(0);
        let _resolver = Responder::start(&lab.network.internet, SCRIPTED, move |question, _over| {
            let answer = Answer::to(question);
            if question.kind != A || question.name != HOST {
                return vec![answer.bytes()];
            }
            let to = refusing(next.fetch_add(1, Ordering::Relaxed));
            vec![answer.addresses([IpAddr::V4(to)], 300).bytes()]
        })?;
        let sphere = lab.protect(|policy| {
            // Every query and every connection of the device is a flow that lasts longer than the scenario.
            policy.limits = "devices = 16\nflows_per_device = 65536\nevents_per_second = 5000\n".to_owned();
            policy.group = "learn = 32768\n".to_owned();
            policy.more = format!("\n[[group.allow]]\nhost = \"{HOST}\"\nports = [\"tcp/{PORT}\"]\n");
        })?;
        lab.warm_up()?;
        let before = sphere.status()?;
        let device = lab.device(0)?;
        let contest = Contest::new(device, &sphere)?;
        let started = Instant::now();
        let found = contest.run()?;
        let took = started.elapsed();
        let after = sphere.status()?;
        let denials = after.counters().denied_aloud() - before.counters().denied_aloud();
        let learned = after.lessons(LessonCount::Address) - before.lessons(LessonCount::Address);
        let added = median(found.added);
        report.figure("rounds", found.rounds);
        report.figure("denials", denials);
        report.figure("addresses_learned", learned);
        report.figure("answer_to_refusal_median_ns", median(found.pauses));
        report.figure("learner_added_median_ns", added);
        report.figure("rounds_took_ms", u64::try_from(took.as_millis())?);
        let added_text = format!("{added} ns");
        report.check("time that learning adds to an answer", "at most 3000 ns", (added_text, added <= MAX_ADDED_NS));
        report.check_equal("rounds", u64::from(ROUNDS), found.rounds);
        report.check_equal("connections that the other side answered", u64::from(ROUNDS), found.answered);
        report.check_equal("packets denied, as the kernel counts them", 0, denials);
        report.check_equal("addresses that were new to the gateway", u64::from(ROUNDS), learned);
        Ok(())
    }
}

/// What came of the rounds.
#[derive(Debug, Default)]
struct Found {
    rounds: u64,
    answered: u64,
    /// Nanoseconds between reading an answer and hearing from the other side.
    pauses: Vec<u64>,
    /// For each lap, nanoseconds that the program spent more on an answer than on a datagram from elsewhere.
    added: Vec<u64>,
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(u64::MAX)
}

/// A device between its resolver and ever new addresses.
struct Contest<'a> {
    device: &'a Device,
    meter: Meter<'a>,
    asker: Asker,
    /// A socket to the echo service, whose datagrams take the same way without being read.
    plain: UdpSocket,
    found: Found,
}

impl<'a> Contest<'a> {
    fn new(device: &'a Device, sphere: &'a Sphere) -> Result<Self> {
        let plain = device.namespace.enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect((PROBE, PROBE_PORT))?;
            std::io::Result::Ok(socket)
        })??;
        plain.set_read_timeout(Some(ANSWER))?;
        let asker = Asker::open(&device.namespace, SCRIPTED)?;
        let meter = Meter::new(sphere, abi::program::EGRESS)?;
        Ok(Self { device, meter, asker, plain, found: Found::default() })
    }

    fn run(mut self) -> Result<Found> {
        let device = self.device;
        device.namespace.enter(|| {
            while self.found.rounds < u64::from(ROUNDS) && self.found.rounds - self.found.answered < ENOUGH {
                self.lap()?;
            }
            Ok(self.found)
        })?
    }

    /// So many rounds, and as many datagrams to compare with.
    fn lap(&mut self) -> Result<()> {
        let Self { meter, asker, plain, found, .. } = self;
        let (learning, ()) = meter.around(|| (0..LAP).try_for_each(|_| round(asker, found)))?;
        let (passing, ()) = meter.around(|| (0..LAP).try_for_each(|_| exchange(plain)))?;
        found.added.push(learning.saturating_sub(passing) / u64::from(LAP));
        Ok(())
    }
}

/// Asks, and connects to what it is told.
fn round(asker: &mut Asker, found: &mut Found) -> Result<()> {
    let answer = asker.ask(HOST, A)?;
    let read = Instant::now();
    let address = message::addresses(&answer)?.first().copied().context("an answer without address")?;
    let dialled = dial(address, PORT)?;
    found.pauses.push(u64::try_from(read.elapsed().as_nanos())?);
    found.rounds += 1;
    found.answered += u64::from(dialled == Dialled::Answered);
    Ok(())
}

/// Sends a datagram that comes back, and connects to where nobody listens: the packets of a round, without a lesson.
fn exchange(plain: &UdpSocket) -> Result<()> {
    let mut buffer = [0; DATAGRAM];
    plain.send(&buffer)?;
    plain.recv(&mut buffer)?;
    ensure!(dial(refusing(0).into(), PORT)? == Dialled::Answered, "an address of the first round fell silent");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_round_has_an_address_of_its_own() {
        assert_eq!((0..ROUNDS).map(refusing).collect::<BTreeSet<_>>().len(), ROUNDS as usize);
    }
}
