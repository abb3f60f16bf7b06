//! Good answers with a few bytes changed: what they teach is for the host's code to say.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::Result;

use super::kinds::{HOST, TTL};
use super::stage::{Client, Stage};
use crate::lab::Lab;
use crate::message::{self, ASKED, Answer, Question, alias};
use crate::net::plan::{SCRIPTED, SCRIPTED6, server};

/// Mutated answers in all.
pub(super) const ANSWERS: u32 = 100_000;
/// Answers to one question: as many as the device's socket and the queues on the way take at once.
const AT_ONCE: u32 = 100;

/// What came of them.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sent: u64,
    pub(super) denied: u64,
    pub(super) handed_over: u64,
    /// Addresses named in answers that were handed to the daemon.
    pub(super) named: BTreeSet<IpAddr>,
}

/// Lets a device ask, and the resolver answer with what is no longer an answer, or still one.
pub(super) fn send_all(lab: &Lab, stage: &mut Stage<'_>) -> Result<Found> {
    let device = lab.device(0)?;
    let clients = [Client::new(device, SCRIPTED.into())?, Client::new(device, SCRIPTED6.into())?];
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut found = Found::default();
    for (round, client) in (0..ANSWERS / AT_ONCE).zip(clients.iter().cycle()) {
        let name = if random.below(4) == 0 { "x.wild.example.net" } else { HOST };
        let question = stage.question(name);
        let good = good(&question, round);
        let messages: Vec<Vec<u8>> = (0..AT_ONCE).map(|_| mutate(&good, &mut random)).collect();
        found.sent += messages.len() as u64;
        let judgements = stage.ask(client, &question, messages.clone())?;
        for (judged, message) in judgements.iter().zip(&messages) {
            found.denied += u64::from(judged.reason.is_denial());
            found.handed_over += u64::from(judged.handed_over);
            if judged.handed_over {
                found.named.extend(message::addresses(message).into_iter().flatten());
            }
        }
    }
    Ok(found)
}

/// An answer as it should be, with an alias and addresses of both families.
fn good(question: &Question, round: u32) -> Answer {
    let [.., number] = round.to_be_bytes();
    let addresses = (0..4).map(|kind| IpAddr::V4(server(100 + kind, number)));
    let v6 = Ipv6Addr::new(0x2a01, 0x111, 0x40, 0, 0, 0, 1, number.into());
    Answer::to(question).record(alias(&ASKED, "edge.cdn.example", TTL)).addresses(addresses.chain([v6.into()]), TTL)
}

/// Changes up to four bytes; now and then cuts the message off, or puts bytes in.
fn mutate(good: &Answer, random: &mut Random) -> Vec<u8> {
    let mut message = good.bytes();
    for _change in 0..=random.below(3) {
        let at = random.below(message.len());
        let byte = random.byte();
        if let Some(place) = message.get_mut(at) {
            *place = byte;
        }
    }
    match random.below(20) {
        0 => message.truncate(1 + random.below(message.len() - 1)),
        1 => {
            let at = random.below(message.len());
            message.splice(at..at, [0xc0, random.byte()]);
        }
        _ => {}
    }
    message
}

/// A small generator (xorshift64*): the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn byte(&mut self) -> u8 {
        let [first, ..] = self.next().to_be_bytes();
        first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 32).unwrap_or(0) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::A;

    #[test]
    fn mutations_fit_a_datagram_and_differ() {
        let question = Question { id: 7, name: HOST.to_owned(), kind: A };
        let mut random = Random(1);
        let messages: BTreeSet<Vec<u8>> = (0..1_000).map(|_| mutate(&good(&question, 3), &mut random)).collect();
        assert!(messages.len() > 900);
        assert!(messages.iter().all(|message| !message.is_empty() && message.len() < 1_400));
    }
}
