//! Answers that the programs cannot judge: the daemon learns from them in time, whether they are held for it or not.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sphere_common::abi::LessonCount;
use sphere_common::verdict::{Direction, Reason, Verdict};

use super::Scenario;
use crate::clients::asker::{self, Asker, ask_over_tcp};
use crate::clients::dial::{Dialled, dial, dial_until};
use crate::clients::dns::Transport;
use crate::lab::Lab;
use crate::message::{self, A, ANSWER, ASKED, Answer, Question, TRUNCATED};
use crate::net::Device;
use crate::net::plan::{SCRIPTED, refusing};
use crate::report::Report;
use crate::servers::responder::Responder;
use crate::sphere::Status;

/// How often each kind of answer is asked for, with new addresses each time.
const ROUNDS: u32 = 10;
/// Aliases before the address in a chain.
const ALIASES: u32 = 6;
/// How long the daemon may take to learn from an answer that is not held.
const SOON: Duration = Duration::from_millis(500);
/// How long it may take at the median.
const MAX_MEDIAN: Duration = Duration::from_millis(20);
const DOMAIN: &str = "oversize.example.net";
const PORT: u16 = 443;
const TTL: u32 = 300;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Oversize;

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Six aliases and an address, truncated over UDP and asked for again over TCP.
    Chain,
    /// 255 addresses over TCP.
    ManyOverTcp,
    /// 255 addresses over UDP: more than the programs read, in three fragments.
    ManyOverUdp,
    /// As many addresses as one packet holds: more than the programs walk.
    Whole,
    /// A message that the programs would read, in two fragments.
    TwoFragments,
}

impl Shape {
    const ALL: [Self; 5] = [Self::Chain, Self::ManyOverTcp, Self::ManyOverUdp, Self::Whole, Self::TwoFragments];

    const fn word(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::ManyOverTcp => "many-tcp",
            Self::ManyOverUdp => "many-udp",
            Self::Whole => "whole",
            Self::TwoFragments => "two-fragments",
        }
    }

    fn host(self) -> String {
        format!("{}.{DOMAIN}", self.word())
    }

    const fn addresses(self) -> u32 {
        match self {
            Self::Chain => 1,
            Self::ManyOverTcp | Self::ManyOverUdp => 255,
            Self::Whole => 80,
            Self::TwoFragments => 120,
        }
    }

    const fn over(self) -> Transport {
        match self {
            Self::Chain | Self::ManyOverTcp => Transport::Tcp,
            Self::ManyOverUdp | Self::Whole | Self::TwoFragments => Transport::Udp,
        }
    }

    /// The answer, with addresses that nobody has been told before.
    fn answer(self, question: &Question, over: Transport, next: &AtomicU32) -> Answer {
        let first = next.fetch_add(self.addresses(), Ordering::Relaxed);
        let addresses = (first..first + self.addresses()).map(|index| IpAddr::V4(refusing(index)));
        let answer = if over == self.over() { ANSWER } else { ANSWER | TRUNCATED };
        let answer = Answer::to(question).flags(answer);
        if self != Self::Chain {
            // What is truncated may hold nothing at all.
            return if over == self.over() { answer.addresses(addresses, TTL) } else { answer };
        }
        let alias = |number: u32| message::name(&format!("a{number}.cdn.example.net"));
        let chain = (0..ALIASES).fold(answer, |answer, number| {
            let owner = if number == 0 { ASKED.to_vec() } else { alias(number) };
            answer.record(message::alias(&owner, &format!("a{}.cdn.example.net", number + 1), TTL))
        });
        addresses.fold(chain, |answer, to| answer.record(message::address(&alias(ALIASES), to, TTL)))
    }
}

impl Scenario for Oversize {
    fn name(&self) -> &'static str {
        "oversize"
    }

    fn purpose(&self) -> &'static str {
        "answers over TCP, with 255 addresses, in fragments: every address opens, held ones before the answer"
    }

    fn run(&self, lab: &mut Lab, report: &mut Report) -> Result<()> {
        lab.address_devices()?;
        let next = AtomicU32::new(0);
        let _resolver = Responder::start(&lab.network.internet, SCRIPTED, move |question, over| {
            let shape = Shape::ALL.into_iter().find(|shape| shape.host() == question.name && question.kind == A);
            vec![shape.map_or_else(|| Answer::to(question), |shape| shape.answer(question, over, &next)).bytes()]
        })?;
        for hold in [Hold::Off, Hold::On] {
            if let Some(daemon) = lab.daemon.take() {
                ensure!(daemon.stop()?.success(), "the daemon did not end well");
            }
            let sphere = lab.protect(|policy| {
                // Every connection of the device is a flow that lasts longer than the scenario.
                policy.limits = "devices = 16\nflows_per_device = 65536\nevents_per_second = 5000\n".to_owned();
                policy.group = format!("learn = 65536\n{}", hold.policy());
                policy.more = format!("\n[[group.allow]]\nhost = \"*.{DOMAIN}\"\nports = [\"tcp/{PORT}\"]\n");
            })?;
            lab.warm_up()?;
            let before = sphere.status()?;
            let found = Found::gather(lab.device(0)?, hold)?;
            tell(report, hold, &found, (&before, &sphere.status()?));
        }
        check_truncated(lab, report)
    }
}

/// Whether answers are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Off,
    On,
}

impl Hold {
    const fn policy(self) -> &'static str {
        match self {
            Self::Off => "dns_hold = \"off\"\n",
            Self::On => "dns_hold = \"100ms\"\ndns_unlearned = \"drop\"\n",
        }
    }
}

/// What the device found.
#[derive(Debug, Default)]
struct Found {
    answers: u64,
    told: u64,
    answered: u64,
    /// From each question to its answer.
    waits: Vec<Duration>,
    /// From each answer to the first packet that came back from the last of its addresses.
    opened: Vec<Duration>,
}

impl Found {
    fn gather(device: &Device, hold: Hold) -> Result<Self> {
        let mut asker = Asker::open(&device.namespace, SCRIPTED)?;
        let mut found = Self::default();
        for _round in 0..ROUNDS {
            for shape in Shape::ALL {
                found.ask(device, &mut asker, (shape, hold)).with_context(|| shape.word())?;
            }
        }
        Ok(found)
    }

    /// Asks, and connects to everything that the answer says.
    fn ask(&mut self, device: &Device, asker: &mut Asker, (shape, hold): (Shape, Hold)) -> Result<()> {
        if shape.over() == Transport::Tcp {
            ensure!(message::is_truncated(&asker.ask(&shape.host(), A)?), "the first answer is not truncated");
        }
        let asked = Instant::now();
        let answer = match shape.over() {
            Transport::Udp => asker.ask(&shape.host(), A)?,
            Transport::Tcp => {
                let question = Question { id: 1, name: shape.host(), kind: A };
                let answer = ask_over_tcp(&device.namespace, SCRIPTED, &question, (usize::MAX, asker::ANSWER))?;
                answer.context("no answer over TCP")?
            }
        };
        let read = Instant::now();
        self.waits.push(read - asked);
        let addresses = message::addresses(&answer)?;
        ensure!(addresses.len() == shape.addresses() as usize, "{} addresses", addresses.len());
        self.answers += 1;
        self.told += u64::from(shape.addresses());
        let (last, others) = addresses.split_last().context("an answer without address")?;
        device.namespace.enter(|| {
            // What is held for the daemon is open when the answer comes: there is one packet, and no second chance.
            let first = match hold {
                Hold::Off => dial_until(*last, PORT, read + SOON)?,
                Hold::On => dial(*last, PORT)?,
            };
            self.opened.push(read.elapsed());
            self.answered += u64::from(first == Dialled::Answered);
            for address in others {
                self.answered += u64::from(dial(*address, PORT)? == Dialled::Answered);
            }
            Ok(())
        })?
    }
}

fn median(values: &[Duration]) -> Duration {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(Duration::MAX)
}

fn in_ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// What the device found, and what the gateway counted meanwhile.
fn tell(report: &mut Report, hold: Hold, found: &Found, (before, after): (&Status, &Status)) {
    let lessons = |count| after.lessons(count) - before.lessons(count);
    let denials = after.counters().denied_aloud() - before.counters().denied_aloud();
    let held = |status: &Status| status.counters().of(Direction::Egress, Verdict::Deny, Reason::AnswerHeld);
    let held = held(after) - held(before);
    let opened = median(&found.opened);
    let [answers, told, answered, opened_ms, waited_ms, denied] = match hold {
        Hold::Off => ["answers", "addresses", "connected", "open_median_ms", "answer_median_ms", "denials"],
        Hold::On => [
            "held_answers",
            "held_addresses",
            "held_connected",
            "held_open_median_ms",
            "held_answer_median_ms",
            "held_denials",
        ],
    };
    report.figure(answers, found.answers);
    report.figure(told, found.told);
    report.figure(answered, found.answered);
    report.figure(opened_ms, in_ms(opened));
    report.figure(waited_ms, in_ms(median(&found.waits)));
    report.figure(denied, denials);
    let which = if hold == Hold::On { "held" } else { "not held" };
    report.check_equal(&format!("{which}: addresses that answered"), found.told, found.answered);
    report.check_equal(&format!("{which}: answers learned from"), found.answers, lessons(LessonCount::Learned));
    for count in [LessonCount::Unread, LessonCount::Unasked, LessonCount::Late, LessonCount::UnjudgedLost] {
        report.check_equal(&format!("{which}: answers {}", count.word()), 0, lessons(count));
    }
    if hold == Hold::On {
        report.figure("held_frames", held);
        report.check_equal("held: packets denied", 0, denials);
        report.check_equal("held: frames sent on", held, lessons(LessonCount::Released));
        report.check_equal("held: frames dropped", 0, lessons(LessonCount::Dropped));
        let seen = format!("{held} frames");
        report.check("held: frames that waited", "one an answer, or more", (seen, held >= found.answers));
    } else {
        report.check_equal("not held: frames that waited", 0, held);
        let seen = format!("{} ms", in_ms(opened));
        report.check("not held: from answer to open, median", "at most 20 ms", (seen, opened <= MAX_MEDIAN));
    }
}

/// The addresses of a truncated answer are none.
fn check_truncated(lab: &Lab, report: &mut Report) -> Result<()> {
    let device = lab.device(0)?;
    let answer = Asker::open(&device.namespace, SCRIPTED)?.ask(&Shape::Chain.host(), A)?;
    let address = message::addresses(&answer)?.first().copied().context("no address in the truncated answer")?;
    let dialled = device.namespace.enter(|| dial(address, PORT))??;
    let seen = if dialled == Dialled::Silence { "deny" } else { "pass" };
    report.check("an address of a truncated answer", "deny", (seen, seen == "deny"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(shape: Shape, over: Transport) -> usize {
        let question = Question { id: 1, name: shape.host(), kind: A };
        shape.answer(&question, over, &AtomicU32::new(0)).bytes().len()
    }

    #[test]
    fn each_answer_is_of_the_size_that_it_is_about() {
        const PACKET: usize = 1500 - 28;
        let [_, _, many, whole, two] = Shape::ALL.map(|shape| bytes(shape, shape.over()));
        assert!(many > 2 * PACKET);
        assert!(whole <= PACKET);
        assert!(two > PACKET && two <= 2048);
    }

    #[test]
    fn there_are_addresses_enough() {
        let in_a_round: u32 = Shape::ALL.iter().map(|shape| shape.addresses()).sum();
        assert!(2 * ROUNDS * in_a_round < 200 * 250);
    }
}
