//! Manufacturer Usage Descriptions (RFC 8520), also in the dialect of the drafts before it: what the maker of a device says
//! that it needs from a network, as rules.
//!
//! Place in the data flow: JSON → `document` (access lists that the policies name) → `ace` (entries, whatever the dialect) →
//! `meaning` (who opens which flows) → `class` (who is meant, by the operator's map) → rules. Invariants: no rule allows
//! what the file does not, apart from what the warnings say; nothing is guessed of whom a class means; what no rule can
//! say is named.

mod ace;
mod class;
mod document;
mod draft;
mod drops;
mod entry;
mod map_file;
mod matches;
mod meaning;
mod metadata;
mod peer;
mod ports;
mod traffic;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;

pub use self::class::Map;
use self::class::Members;
use self::document::Document;
use self::draft::Draft;
use self::entry::{Class, Entry, Peer, Way};
pub use self::map_file::parse as parse_map;
use self::meaning::Meaning;
use super::{Imported, Note, Sketch, Withheld, json};
use crate::policy::{Findings, NamePattern, Origin, PolicyErrors, Service, Source, Target, plain};

/// Pairs of a target and a service that a file may come to: more does not fit beside other rules.
const MOST_PAIRS: usize = 4096;

/// Reads a MUD file; `now` is for its age. Never panics.
///
/// # Errors
///
/// Everything that is wrong with it, each with its place.
pub fn parse(source: &Arc<Source>, map: &Map, now: SystemTime) -> Result<Imported, PolicyErrors> {
    let mut findings = Findings::new(Arc::clone(source));
    let root = json::read(&mut findings);
    let document = root.as_ref().and_then(|root| document::read(root, now, &mut findings));
    let imported = document.and_then(|document| Builder::new(&document, map, &mut findings).build());
    super::finish(findings, imported)
}

/// Puts the rules together.
struct Builder<'a> {
    document: &'a Document,
    map: &'a Map,
    maker: Option<String>,
    draft: Draft,
    findings: &'a mut Findings,
}

impl<'a> Builder<'a> {
    fn new(document: &'a Document, map: &'a Map, findings: &'a mut Findings) -> Self {
        let maker = document.metadata.maker();
        Self { document, map, maker, draft: Draft::default(), findings }
    }

    fn build(mut self) -> Option<Imported> {
        let entries = &self.document.entries;
        for (number, meaning) in meaning::meanings(entries).into_iter().enumerate() {
            let Some(entry) = entries.get(number) else { continue };
            match meaning {
                Meaning::Nothing => {}
                Meaning::Opens(way, services) => match drops::excepted(entries, number) {
                    Some(drop) => self.excepted(entry, (way, services), drop),
                    None => self.open(entry, way, &services),
                },
                Meaning::Unasked(way, services) => self.unasked(entry, way, services),
            }
            if self.draft.size() > MOST_PAIRS {
                let message = format!("the file asks for more than {MOST_PAIRS} pairs of a host and a service");
                self.findings.error(&entry.at, message, "is it about one kind of devices?");
                return None;
            }
        }
        self.default_time();
        let mut imported = self.draft.finish();
        imported.notes.push(Note { target: None, text: about(self.document, self.findings) });
        Some(imported)
    }

    /// Flows that an entry opens.
    fn open(&mut self, entry: &Entry, way: Way, services: &BTreeSet<Service>) {
        match &entry.peer.value {
            Peer::Name(name) => self.take(entry, way, &Target::Name(NamePattern::Exact(name.clone())), services),
            Peer::Net(net) => self.take(entry, way, &of_net(*net), services),
            Peer::Class(class) => self.open_to_class(entry, way, class, services),
        }
    }

    fn take(&mut self, entry: &Entry, way: Way, target: &Target, services: &BTreeSet<Service>) {
        let origin = self.origin(entry);
        match (way, target) {
            (Way::FromDevice, target) => self.draft.allow(target, services, (&entry.name, origin)),
            (Way::ToDevice, Target::Address(address)) => {
                self.draft.serve(&IpNet::from(*address), services, (&entry.name, origin));
            }
            (Way::ToDevice, Target::Cidr(net)) => self.draft.serve(net, services, (&entry.name, origin)),
            (Way::ToDevice, Target::Name(name)) => {
                let why = format!("`{name}` may open flows to devices, and inbound rules name prefixes");
                let remedy = "Say which addresses it has, if devices need it".to_owned();
                self.withhold(entry, Sketch::Inbound(None), (why, remedy), services.clone());
            }
        }
    }

    fn open_to_class(&mut self, entry: &Entry, way: Way, class: &Class, services: &BTreeSet<Service>) {
        let mut unknown: BTreeMap<String, BTreeSet<Service>> = BTreeMap::new();
        for service in services {
            match self.map.members(class, (entry.family, way, *service), self.maker.as_deref()) {
                Members::Are(targets) => {
                    for target in targets {
                        self.take(entry, way, target, &BTreeSet::from([*service]));
                    }
                }
                Members::Infrastructure => {}
                Members::Unknown(line) => drop(unknown.entry(line).or_default().insert(*service)),
            }
        }
        for (line, services) in unknown {
            let sketch = match way {
                Way::FromDevice => Sketch::Allow(None),
                Way::ToDevice => Sketch::Inbound(None),
            };
            let why = format!("who is `{}` on your network is not said", plain(&class.to_string()));
            let remedy = format!("Say it in the file of --map, {line}, or here, without the marks of the comment");
            self.withhold(entry, sketch, (why, remedy), services);
        }
    }

    /// What an entry further up excepts from.
    fn excepted(&mut self, entry: &Entry, (way, services): (Way, BTreeSet<Service>), drop: &Entry) {
        let why = format!("`{}` drops some of it, and rules have no exceptions", plain(&drop.name));
        let remedy = "Take it if the exception does not matter, or write a narrower rule".to_owned();
        let sketch = sketch(entry, way);
        self.withhold(entry, sketch, (why, remedy), services);
    }

    /// The other half of flows that nothing opens.
    fn unasked(&mut self, entry: &Entry, way: Way, services: BTreeSet<Service>) {
        if let Peer::Class(class) = &entry.peer.value {
            let member =
                |service: &Service| self.map.members(class, (entry.family, way, *service), self.maker.as_deref());
            if services.iter().all(|service| member(service) == Members::Infrastructure) {
                return;
            }
        }
        let why = match way {
            Way::FromDevice => "the file lets answers in, and has no entry by which devices may ask",
            Way::ToDevice => "the file lets devices answer, and has no entry by which somebody may ask them",
        };
        let remedy = "Take it if devices need it".to_owned();
        let sketch = sketch(entry, way);
        self.withhold(entry, sketch, (why.to_owned(), remedy), services);
    }

    fn withhold(
        &mut self,
        entry: &Entry,
        sketch: Sketch,
        (why, remedy): (String, String),
        services: BTreeSet<Service>,
    ) {
        let origin = self.origin(entry);
        let why = format!("entry `{}`: {why}", plain(&entry.name));
        self.draft.withhold(Withheld { sketch, services, why, remedy, origin });
    }

    /// Time servers on site may be used without an entry (RFC 8520 section 5); who they are, only the map says.
    fn default_time(&mut self) {
        let Some(servers) = &self.map.ntp else { return };
        let services = BTreeSet::from([Service::udp(NTP_PORT)]);
        let origin = Origin::File { path: self.findings.source().path().to_owned(), line: 1 };
        for target in servers {
            self.draft.allow(target, &services, ("local NTP, allowed by default", origin.clone()));
        }
    }

    fn origin(&self, entry: &Entry) -> Origin {
        Origin::File { path: self.findings.source().path().to_owned(), line: self.findings.line(&entry.at) }
    }
}

/// Port of NTP (RFC 5905).
const NTP_PORT: std::num::NonZeroU16 = std::num::NonZeroU16::MIN.saturating_add(122);

/// What a withheld rule would be about.
fn sketch(entry: &Entry, way: Way) -> Sketch {
    match (way, &entry.peer.value) {
        (Way::FromDevice, Peer::Name(name)) => Sketch::Allow(Some(Target::Name(NamePattern::Exact(name.clone())))),
        (Way::FromDevice, Peer::Net(net)) => Sketch::Allow(Some(of_net(*net))),
        (Way::FromDevice, Peer::Class(_)) => Sketch::Allow(None),
        (Way::ToDevice, Peer::Net(net)) => Sketch::Inbound(Some(*net)),
        (Way::ToDevice, Peer::Name(_) | Peer::Class(_)) => Sketch::Inbound(None),
    }
}

/// One address, or a prefix of several.
fn of_net(net: IpNet) -> Target {
    if net.prefix_len() == net.max_prefix_len() { Target::Address(net.addr()) } else { Target::Cidr(net) }
}

/// What the file is, for the head of the lines.
fn about(document: &Document, findings: &Findings) -> String {
    let metadata = &document.metadata;
    let mut text = plain(findings.source().path());
    for (before, part) in
        [(": ", &metadata.system_info), (", ", &metadata.url), (", last updated ", &metadata.last_update)]
    {
        if let Some(part) = part.as_ref().filter(|part| !part.is_empty()) {
            text += before;
            text += part;
        }
    }
    text
}
