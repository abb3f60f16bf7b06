//! Rules as a MUD file (RFC 8520): what devices ask for, in the form in which manufacturers publish it.
//!
//! Each service of each rule becomes two entries, one for either direction, in the lists of the families that it concerns.
//! The initiator of a TCP connection is named (`direction-initiated`, RFC 8520 section 4.8); for UDP the format tells it only
//! by which side's port is named. Invariant: what the importer reads from the file allows no more than the rules do.

mod file;
mod unsaid;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;

use self::file::{Acl, Family, MudFile, Peer, Way};
use crate::policy::{Diagnostic, InboundRule, NamePattern, PortMatch, Protocol, Rule, Service, Target};

/// Longest description that a file should have, in characters (RFC 8520 section 3.7).
pub const MOST_INFO: usize = 60;

/// What a file says of itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Name of the group or profile; the access lists are called after it.
    pub name: String,
    /// Where the file is to be found, an `https` URL.
    pub url: String,
    /// What the devices are, in a few words.
    pub system_info: String,
    /// When the rules were as they are.
    pub last_update: SystemTime,
}

/// A MUD file, and what it could not say.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The file: strict JSON, ending in a line feed.
    pub text: String,
    /// What the rules say and the file does not.
    pub warnings: Vec<Diagnostic>,
}

/// Writes rules as a MUD file.
///
/// # Errors
///
/// When the JSON cannot be written, which is a mistake of this program.
pub fn export(rules: &[Rule], inbound: &[InboundRule], about: &About) -> Result<Exported, serde_json::Error> {
    let mut lists = Lists::default();
    for rule in rules {
        for service in &rule.services {
            lists.add(Opened::ByDevice, &peer(&rule.target), *service);
        }
    }
    for rule in inbound {
        for service in rule.services.iter().filter(|service| is_told_apart(**service)) {
            lists.add(Opened::ByPeer, &Some(Peer::Net(rule.from)), *service);
        }
    }
    let mut text = serde_json::to_string_pretty(&lists.file(about))?;
    text.push('\n');
    Ok(Exported { text, warnings: unsaid::warnings(rules, inbound, about) })
}

/// Whether flows of this kind to devices can be told from replies: of UDP only by the device's port.
const fn is_told_apart(inbound: Service) -> bool {
    !matches!((inbound.protocol(), inbound.port()), (Protocol::Udp, PortMatch::Any))
}

/// The other side, if MUD has words for it.
fn peer(target: &Target) -> Option<Peer> {
    match target {
        Target::Name(NamePattern::Exact(name)) => Some(Peer::Name(name.to_string())),
        Target::Name(NamePattern::Below(_)) => None,
        Target::Address(address) => Some(Peer::Net(IpNet::from(*address))),
        Target::Cidr(net) => Some(Peer::Net(*net)),
    }
}

/// Who opens a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Opened {
    ByDevice,
    ByPeer,
}

impl Opened {
    const fn word(self) -> &'static str {
        match self {
            Self::ByDevice => "allow",
            Self::ByPeer => "inbound",
        }
    }

    const fn initiated(self) -> Way {
        match self {
            Self::ByDevice => Way::FromDevice,
            Self::ByPeer => Way::ToDevice,
        }
    }
}

/// The four access lists while they grow.
#[derive(Default)]
struct Lists {
    /// What is in them already: rules may say the same twice.
    there: BTreeSet<(Opened, Peer, Service)>,
    from_v4: Vec<file::Ace>,
    to_v4: Vec<file::Ace>,
    from_v6: Vec<file::Ace>,
    to_v6: Vec<file::Ace>,
}

impl Lists {
    fn add(&mut self, opened: Opened, peer: &Option<Peer>, service: Service) {
        let Some(peer) = peer else { return };
        if !self.there.insert((opened, peer.clone(), service)) {
            return;
        }
        let name = format!("{}-{}", opened.word(), self.there.len());
        let entry = |family, way| file::Ace::new(&name, (family, way), peer, (service, opened.initiated()));
        if !matches!(peer, Peer::Net(IpNet::V6(_))) {
            self.from_v4.push(entry(Family::V4, Way::FromDevice));
            self.to_v4.push(entry(Family::V4, Way::ToDevice));
        }
        if !matches!(peer, Peer::Net(IpNet::V4(_))) {
            self.from_v6.push(entry(Family::V6, Way::FromDevice));
            self.to_v6.push(entry(Family::V6, Way::ToDevice));
        }
    }

    fn file(self, about: &About) -> MudFile {
        let list = |family, way, aces| Acl::new(&about.name, (family, way), aces);
        let from = [list(Family::V4, Way::FromDevice, self.from_v4), list(Family::V6, Way::FromDevice, self.from_v6)];
        let to = [list(Family::V4, Way::ToDevice, self.to_v4), list(Family::V6, Way::ToDevice, self.to_v6)];
        MudFile::new(about, from, to)
    }
}

/// Whether an address means something on one network only.
fn is_local(address: IpAddr) -> bool {
    crate::resolve::Special::of(address).is_some()
}
