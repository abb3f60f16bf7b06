//! From the asked name through the aliases to the addresses, in whatever order the records stand.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

use super::outcome::{AddressRecord, Answer, Family, Outcome};
use crate::policy::DomainName;

/// The most aliases that are followed from one name.
const MAX_CHAIN: usize = 32;

/// The way from a name so far: it may lead through several messages.
#[derive(Debug)]
pub(super) struct Walk {
    family: Family,
    /// Where it has got to.
    at: Name,
    seen: Vec<Name>,
    chain_ttl: Option<Duration>,
}

/// What a message says about where the way leads.
#[derive(Debug)]
pub(super) enum Step {
    /// The end.
    End(Outcome),
    /// The server gave the alias only: its target is to be asked for.
    Ask(Name),
}

impl Walk {
    /// The way from this name.
    pub(super) const fn new(name: Name, family: Family) -> Self {
        Self { family, at: name, seen: Vec::new(), chain_ttl: None }
    }

    /// Goes on as far as the message leads. Only its answer section counts.
    pub(super) fn follow(&mut self, message: &Message) -> Step {
        let aliases: HashMap<&Name, &Record> = message
            .answers
            .iter()
            .filter(|record| alias(record).is_some())
            .map(|record| (&record.name, record))
            .collect();
        let mut moved = false;
        while let Some(record) = aliases.get(&self.at)
            && let Some(target) = alias(record)
        {
            if self.seen.len() >= MAX_CHAIN || self.seen.contains(target) {
                return Step::End(Outcome::Failed("the aliases lead nowhere".to_owned()));
            }
            let ttl = life(record);
            self.chain_ttl = Some(self.chain_ttl.map_or(ttl, |least| least.min(ttl)));
            self.seen.push(target.clone());
            self.at = target.clone();
            moved = true;
        }
        let records = self.addresses(message);
        if !records.is_empty() {
            let chain = self.seen.iter().filter_map(|name| DomainName::parse(&name.to_ascii()).ok()).collect();
            return Step::End(Outcome::Answer(Answer { records, chain, chain_ttl: self.chain_ttl }));
        }
        match message.metadata.response_code {
            ResponseCode::NoError if moved && !has_soa(message) => Step::Ask(self.at.clone()),
            ResponseCode::NoError => Step::End(Outcome::NoData),
            ResponseCode::NXDomain => Step::End(Outcome::NoSuchName),
            other => Step::End(Outcome::Failed(format!("response code {other}"))),
        }
    }

    /// The addresses of where the way has got to, each once with the longest of its lives.
    fn addresses(&self, message: &Message) -> Vec<AddressRecord> {
        let mut records: Vec<AddressRecord> = Vec::new();
        for record in message.answers.iter().filter(|record| record.name == self.at) {
            let address = match (self.family, &record.data) {
                (Family::V4, RData::A(address)) => IpAddr::V4(address.0),
                (Family::V6, RData::AAAA(address)) => IpAddr::V6(address.0),
                _ => continue,
            };
            match records.iter_mut().find(|known| known.address == address) {
                Some(known) => known.ttl = known.ttl.max(life(record)),
                None => records.push(AddressRecord { address, ttl: life(record) }),
            }
        }
        records
    }
}

const fn alias(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    }
}

/// A TTL with the highest bit set counts as zero (RFC 2181 section 8).
fn life(record: &Record) -> Duration {
    Duration::from_secs(i32::try_from(record.ttl).map_or(0, |ttl| u64::try_from(ttl).unwrap_or(0)))
}

/// Whether the server says that there is nothing more (RFC 2308 section 2.2), rather than that it has no more.
fn has_soa(message: &Message) -> bool {
    message.authorities.iter().any(|record| record.record_type() == RecordType::SOA)
}
