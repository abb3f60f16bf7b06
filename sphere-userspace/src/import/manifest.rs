//! Azure Sphere application manifests, `app_manifest.json`: which hosts an application connects to, and at which ports it
//! listens.
//!
//! A manifest names hosts without protocol and port. Ports come from the operator, or from the endpoints of a shipped
//! profile that has the same name; no other port is ever supposed.

mod capability;
mod connection;
mod listening;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use ipnet::IpNet;

use self::connection::Connections;
use super::json::{self, Json, Member, Node};
use super::{Imported, Listener, Note};
use crate::policy::{
    Findings, InboundRule, KnownEndpoint, Located, Need, Origin, PolicyErrors, Rule, Service, ShippedProfile, Source,
    Step, Target, plain,
};

/// What the operator says of what manifests leave open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Services by host or address.
    pub ports: BTreeMap<Target, BTreeSet<Service>>,
    /// Who may open flows to the ports that applications listen at.
    pub from: BTreeSet<IpNet>,
}

/// What a manifest asks for.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// Hosts that the application connects to, each once.
    pub(crate) connections: Vec<Located<Target>>,
    /// Ports that it listens at, by the list that names them; none is empty.
    pub(crate) listening: Vec<Located<BTreeSet<Service>>>,
    /// Whether it names no connection at all.
    is_silent: bool,
}

/// The format that is read.
const FORMAT: &str = "1";
/// Keys of a manifest: a text that has none of them is something else.
const KEYS: [&str; 8] = [
    "SchemaVersion",
    "Name",
    "ComponentId",
    "EntryPoint",
    "CmdArgs",
    "Capabilities",
    "ApplicationType",
    "TargetBetaApis",
];
/// Keys that only manifests have.
const OWN_KEYS: [&str; 3] = ["ComponentId", "Capabilities", "SchemaVersion"];

/// Reads a manifest. Never panics.
///
/// # Errors
///
/// Everything that is wrong with it, each with its place.
pub fn parse(source: &Arc<Source>, said: &Said) -> Result<Imported, PolicyErrors> {
    let mut findings = Findings::new(Arc::clone(source));
    let profiles = ShippedProfile::all();
    let manifest = read(&profiles, &mut findings);
    let imported = manifest.map(|manifest| manifest.imported(&profiles, said, &findings));
    super::finish(findings, imported)
}

/// Whether a text is a manifest, as far as its keys tell: what else it says may then be shown.
pub(crate) fn is_manifest(root: &Node) -> bool {
    root.members().iter().any(|member| OWN_KEYS.contains(&member.key.value.trim()))
}

/// Reads the text of the findings' source; [`None`] when it is no manifest.
pub(crate) fn read(profiles: &[ShippedProfile], findings: &mut Findings) -> Option<Manifest> {
    let root = json::read(findings)?;
    let members = root.object("an object, `{ … }`", findings)?;
    if !is_manifest(&root) {
        let remedy = "name an app_manifest.json: it has `SchemaVersion`, `ComponentId` and `Capabilities`";
        findings.error(&(root.span.start..root.span.start + 1), "this is no application manifest", remedy);
        return None;
    }
    let mut manifest = Manifest { connections: Vec::new(), listening: Vec::new(), is_silent: true };
    for member in members {
        match key(member, findings) {
            "SchemaVersion" => check_version(&member.value, findings),
            "ApplicationType" => check_kind(&member.value, findings),
            "Capabilities" => {
                let capabilities = member.value.object("an object, `{ … }`", findings).unwrap_or_default();
                read_capabilities(capabilities, (profiles, &mut manifest), findings);
            }
            other if !KEYS.contains(&other) => capability::report_unknown((&member.key, other), &KEYS, findings),
            _ => {}
        }
    }
    Some(manifest)
}

fn read_capabilities(
    capabilities: &[Member],
    (profiles, manifest): (&[ShippedProfile], &mut Manifest),
    findings: &mut Findings,
) {
    for member in capabilities {
        match key(member, findings) {
            "AllowedConnections" => {
                let list = member.value.array("host names and IPv4 addresses", findings).unwrap_or_default();
                manifest.is_silent = list.is_empty();
                let mut connections = Connections::new(profiles);
                list.iter().for_each(|entry| connections.add(entry, findings));
                manifest.connections.extend(connections.into_targets());
            }
            "AllowedTcpServerPorts" => manifest.listening.extend(listening::read(member, Service::tcp, findings)),
            "AllowedUdpServerPorts" => manifest.listening.extend(listening::read(member, Service::udp, findings)),
            other => capability::warn(member, other, findings),
        }
    }
}

/// The key as it is meant: blanks around it are reported, and left out.
fn key<'a>(member: &'a Member, findings: &mut Findings) -> &'a str {
    let (written, meant) = (member.key.value.as_str(), member.key.value.trim());
    if written != meant {
        let message = format!("the key `{}` has a blank before or behind its name", plain(written));
        let remedy = format!("write \"{}\": it is read as that here, and devices may not know the other", plain(meant));
        findings.warn(&member.key.span, message, remedy);
    }
    meant
}

fn check_version(value: &Node, findings: &mut Findings) {
    match &value.value {
        Json::Number(version) if version == FORMAT => {}
        Json::Number(version) => {
            let message = format!("the manifest is of format {version}, and format {FORMAT} is read here");
            findings.warn(&value.span, message, "look whether what was read is what it says");
        }
        _ => {
            value.wrong_type::<()>("the number 1", findings);
        }
    }
}

fn check_kind(value: &Node, findings: &mut Findings) {
    if value.text(findings) == Some("RealTimeCapable") {
        let remedy = "import the manifest of the application on the main core instead";
        findings.warn(&value.span, "real-time applications have no network of their own", remedy);
    }
}

impl Manifest {
    /// What it asks for, with what the operator and the shipped profiles say of its ports.
    fn imported(&self, profiles: &[ShippedProfile], said: &Said, findings: &Findings) -> Imported {
        let origin =
            |at: &Range<usize>| Origin::File { path: findings.source().path().to_owned(), line: findings.line(at) };
        let mut imported = Imported::default();
        for Located { value: target, span } in &self.connections {
            let known = known(target, profiles);
            let said = said.ports.get(target).cloned();
            imported.rules.push(rule(target.clone(), (said, known.as_ref()), origin(span)));
            let note = known.map(|known| Note { target: Some(target.clone()), text: known.words });
            imported.notes.extend(note);
        }
        for Located { value: services, span } in &self.listening {
            if said.from.is_empty() {
                imported.listeners.push(Listener { services: services.clone(), origin: origin(span) });
            }
            imported.inbound.extend(said.from.iter().map(|from| inbound(*from, services.clone(), origin(span))));
        }
        if self.is_silent {
            let path = plain(findings.source().path());
            let text = format!("{path} names no AllowedConnections: the application opens no connections of its own");
            imported.notes.push(Note { target: None, text });
        }
        imported
    }
}

/// The rule about a connection of an application: at the services that the operator says, else at those that a profile
/// has for it, else at none.
pub(crate) fn rule(
    target: Target,
    (said, known): (Option<BTreeSet<Service>>, Option<&KnownEndpoint>),
    origin: Origin,
) -> Rule {
    let services = said.or_else(|| known.map(|known| known.services.clone())).unwrap_or_default();
    // What a profile knows may belong to another step, such as time.
    let step = known.map_or(Some(Step::Application), |known| known.step);
    Rule { target, services, origin, purpose: None, allow_private: false, any_type: false, need: Need::Required, step }
}

/// The rule about ports that an application listens at.
pub(crate) const fn inbound(from: IpNet, services: BTreeSet<Service>, origin: Origin) -> InboundRule {
    InboundRule { from, services, origin, purpose: None }
}

/// What a shipped profile has for a name.
pub(crate) fn known(target: &Target, profiles: &[ShippedProfile]) -> Option<KnownEndpoint> {
    let name = match target {
        Target::Name(pattern) => pattern.exact()?,
        Target::Address(_) | Target::Cidr(_) => return None,
    };
    profiles.iter().find_map(|profile| profile.endpoint(name))
}
