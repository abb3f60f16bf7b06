//! A device, its resolver, whoever forges, and the judge who sees the same frames.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use sphere_common::verdict::{Direction, Verdict};

use super::kinds::{Guise, HOST, Kind, Sender};
use crate::clients::asker::Asker;
use crate::hostile::frame::datagram;
use crate::lab::Lab;
use crate::link::Link;
use crate::message::{A, ANSWER, Answer, Question};
use crate::net::Device;
use crate::net::plan::{GATEWAY4, SCRIPTED, SCRIPTED6};
use crate::sphere::{Judgement, Replica};

/// Flags of the answer that ends a script: an authoritative one, without addresses.
const LAST: u16 = ANSWER | 0x0400;
const DNS: u16 = 53;
/// A port of devices from which nothing is asked.
const DISCARD: u16 = 9;
/// Hardware addresses mean nothing to the host's code.
const MACS: ([u8; 6], [u8; 6]) = ([2; 6], [4; 6]);

/// What the resolver says to the next question, before its last word.
#[derive(Clone, Debug, Default)]
pub(super) struct Script(Arc<Mutex<Vec<Vec<u8>>>>);

impl Script {
    fn write(&self, messages: Vec<Vec<u8>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = messages;
    }

    pub(super) fn answers(&self, question: &Question) -> Vec<Vec<u8>> {
        let mut messages = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        messages.push(last(question));
        messages
    }
}

fn last(question: &Question) -> Vec<u8> {
    Answer::to(question).flags(LAST).bytes()
}

/// A device that asks, as both machines see it.
pub(super) struct Client {
    asker: Asker,
    own: SocketAddr,
    resolver: SocketAddr,
}

impl Client {
    pub(super) fn new(device: &Device, resolver: IpAddr) -> Result<Self> {
        let asker = Asker::open(&device.namespace, resolver)?;
        let own = if resolver.is_ipv4() { IpAddr::V4(device.ipv4) } else { device.ipv6.into() };
        Ok(Self { own: SocketAddr::new(own, asker.port()?), resolver: SocketAddr::new(resolver, DNS), asker })
    }
}

/// See the module's documentation.
pub(super) struct Stage<'a> {
    lab: &'a Lab,
    host: Replica,
    script: Script,
    /// Where frames are sent from outside, and from beside the device, with the gateway's hardware address there.
    outside: (Link, [u8; 6]),
    beside: (Link, [u8; 6]),
    asked: u16,
}

impl<'a> Stage<'a> {
    pub(super) fn new(lab: &'a Lab, host: Replica, script: Script) -> Result<Self> {
        let network = &lab.network;
        let gateway = |interface| Ok::<_, anyhow::Error>(Link::open(&network.gateway, interface)?.mac());
        Ok(Self {
            lab,
            host,
            script,
            outside: (Link::open(&network.internet, "eth0")?, gateway("wan0")?),
            beside: (Link::open(&network.hostile.namespace, "eth0")?, gateway("lan0")?),
            asked: 0,
        })
    }

    /// What the host's code has learned and counted.
    pub(super) fn host(&self) -> &Replica {
        &self.host
    }

    /// A question that has not been asked yet.
    pub(super) fn question(&mut self, name: &str) -> Question {
        self.asked += 1;
        Question { id: self.asked, name: name.to_owned(), kind: A }
    }

    /// Asks; the resolver says all this and then its last word, which is waited for: the programs have seen the rest.
    pub(super) fn ask(&mut self, client: &Client, question: &Question, says: Vec<Vec<u8>>) -> Result<Vec<Judgement>> {
        let Client { asker, own, resolver } = client;
        let query = datagram(MACS, *own, *resolver, &question.query())?;
        let judged = self.host.judge(Direction::Ingress, &query);
        ensure!(judged.verdict == Verdict::Pass, "the host denies the question: {}", judged.reason.word());
        let last = last(question);
        let mut judgements = Vec::new();
        for message in says.iter().chain([&last]) {
            let frame = datagram(MACS, *resolver, *own, message)?;
            judgements.push(self.host.judge(Direction::Egress, &frame));
        }
        judgements.truncate(says.len());
        self.script.write(says);
        asker.put(question)?;
        asker.until(&last)?;
        Ok(judgements)
    }

    /// Does what a kind says, and returns what becomes of each of its messages.
    pub(super) fn carry_out(&mut self, kind: &Kind) -> Result<Vec<Judgement>> {
        let network = &self.lab.network;
        let is_v6 = matches!(kind.sender, Sender::Beside(Guise::Resolver6) | Sender::Itself(Guise::Resolver6));
        let resolver = if is_v6 { SCRIPTED6.into() } else { IpAddr::V4(SCRIPTED) };
        let hostile = Client::new(&network.hostile, resolver)?;
        let device = Client::new(self.lab.device(0)?, resolver)?;
        let client = if matches!(kind.sender, Sender::Itself(_)) { &hostile } else { &device };
        let question = self.question(HOST);
        let messages = (kind.says)(&question);
        if matches!(kind.sender, Sender::Asked) {
            return self.ask(client, &question, messages);
        }
        self.ask(client, &question, Vec::new())?;
        let forged = messages.iter().map(|message| self.forge(kind.sender, client, message));
        let judgements = forged.collect::<Result<_>>()?;
        // Whoever forged asks a question behind it: when it is answered, the programs have seen the forgery.
        let next = self.question(HOST);
        let last = if matches!(kind.sender, Sender::Beside(_)) { &hostile } else { client };
        self.ask(last, &next, Vec::new())?;
        Ok(judgements)
    }

    /// Sends a message to the client as somebody else.
    fn forge(&mut self, sender: Sender, client: &Client, message: &[u8]) -> Result<Judgement> {
        let hostile = &self.lab.network.hostile;
        let unasked = SocketAddr::new(client.own.ip(), DISCARD);
        let (from, to) = match sender {
            Sender::Asked => (client.resolver, client.own),
            Sender::Unasked => (client.resolver, unasked),
            Sender::Outside(address, port) => (SocketAddr::new(address.into(), port), client.own),
            Sender::Beside(guise) | Sender::Itself(guise) => {
                let address = match guise {
                    Guise::Resolver | Guise::Resolver6 => client.resolver.ip(),
                    Guise::Own => hostile.ipv4.into(),
                    Guise::Gateway => GATEWAY4.into(),
                };
                (SocketAddr::new(address, DNS), client.own)
            }
        };
        let from_device = matches!(sender, Sender::Beside(_) | Sender::Itself(_));
        let (link, gateway) = if from_device { &self.beside } else { &self.outside };
        let frame = datagram((link.mac(), *gateway), from, to, message)?;
        link.send(&frame)?;
        if from_device {
            let judged = self.host.judge(Direction::Ingress, &frame);
            if judged.verdict == Verdict::Deny {
                return Ok(judged);
            }
        }
        Ok(self.host.judge(Direction::Egress, &frame))
    }
}
