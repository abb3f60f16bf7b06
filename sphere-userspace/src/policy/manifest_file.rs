//! Reads `manifests`, `manifest_ports` and `manifest_from` of a group: application manifests that the policy takes up.
//!
//! A manifest is read again whenever the policy is. As with profiles, nothing is shown of a file before it has turned out
//! to be a manifest.

use std::{collections::BTreeMap, collections::BTreeSet, ops::Range, path::Path, sync::Arc};

use ipnet::IpNet;

use super::{
    diagnostic::{Diagnostic, Severity, Source},
    document::{Fields, Value},
    file::Files,
    findings::{Findings, Located},
    group::{InboundRule, Origin, Rule, Target},
    name::{DomainName, NamePattern},
    profile_hint::ShippedProfile,
    service::Service,
    suggest::nearest,
    values,
};
use crate::import::{
    json,
    manifest::{self, Manifest},
};

/// What a group says of manifests.
pub(super) struct Keys<'a> {
    manifests: Vec<Value<'a>>,
    ports: Ports<'a>,
    from: BTreeSet<IpNet>,
}

/// What manifests add to a group, each at the name of its manifest in the policy.
#[derive(Default)]
pub(super) struct FromManifests {
    pub(super) rules: Vec<Located<Rule>>,
    pub(super) inbound: Vec<Located<InboundRule>>,
}

/// `manifest_ports`: services by host or address, with the key as it is written.
type Ports<'a> = BTreeMap<Target, (Located<&'a str>, BTreeSet<Service>)>;

impl<'a> Keys<'a> {
    /// Takes the keys of a group.
    pub(super) fn take(fields: &mut Fields<'a>, findings: &mut Findings) -> Self {
        let named = fields.take("manifests");
        let ports = fields.take("manifest_ports");
        let from = fields.take("manifest_from");
        if named.is_none() {
            for value in [&ports, &from].into_iter().flatten() {
                let remedy = "add `manifests = [\"app_manifest.json\"]`, or remove it";
                findings.error(value.span(), "it is about manifests, and the group names none", remedy);
            }
        }
        let ports = ports.and_then(|value| value.table("ports by host", findings));
        let from = from.and_then(|value| value.array("prefixes", findings)).unwrap_or_default();
        Self {
            manifests: named.and_then(|value| value.array("paths of manifests", findings)).unwrap_or_default(),
            ports: ports.map(|table| read_ports(&table, findings)).unwrap_or_default(),
            from: from.iter().filter_map(|value| values::hosts(value, findings)).collect(),
        }
    }

    /// Whether the group names a manifest.
    pub(super) fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    /// Reads the manifests. `there` are the rules that the group has of its own: what they are about needs no port here.
    pub(super) fn read(
        self,
        files: Option<(&Path, &Files<'_>)>,
        there: &[Located<Rule>],
        findings: &mut Findings,
    ) -> FromManifests {
        let mut from_manifests = FromManifests::default();
        if self.manifests.is_empty() {
            return from_manifests;
        }
        let there = there.iter().map(|rule| &rule.value.target).collect();
        let mut reading = Reading {
            profiles: ShippedProfile::all(),
            there,
            keys: &self,
            named: BTreeSet::new(),
            into: &mut from_manifests,
        };
        let mut paths = BTreeSet::new();
        let mut is_whole = true;
        for value in &self.manifests {
            let Some(path) = value.string(findings) else { continue };
            if !paths.insert(path.value) {
                let message = format!("the manifest `{}` is named twice", path.value);
                findings.error(&path.span, message, "remove one of the two");
                continue;
            }
            let Some(source) = find(files, &path, findings) else {
                is_whole = false;
                continue;
            };
            let mut own = Findings::new(source);
            reading.take(&path.span, &mut own);
            is_whole &= !own.has_errors();
            findings.extend(own.into_diagnostics());
        }
        if is_whole {
            reading.report_unused(findings);
        }
        from_manifests
    }
}

/// The manifests of a group while they are read.
struct Reading<'a, 'b> {
    profiles: Vec<ShippedProfile>,
    there: BTreeSet<&'b Target>,
    keys: &'b Keys<'a>,
    /// What the manifests name.
    named: BTreeSet<Target>,
    into: &'b mut FromManifests,
}

impl Reading<'_, '_> {
    /// Reads the manifest of the findings, which the policy names at `at`.
    fn take(&mut self, at: &Range<usize>, own: &mut Findings) {
        let Some(Manifest { connections, listening, .. }) = manifest::read(&self.profiles, own) else { return };
        let origin = |own: &Findings, span: &Range<usize>| Origin::File {
            path: own.source().path().to_owned(),
            line: own.line(span),
        };
        for Located { value: target, span } in connections {
            let is_new = self.named.insert(target.clone());
            if self.there.contains(&target) || !is_new {
                continue;
            }
            let said = self.keys.ports.get(&target).map(|(_, services)| services.clone());
            let known = manifest::known(&target, &self.profiles);
            if said.is_none() && known.is_none() {
                let remedy = format!(
                    "write `\"{target}\" = [\"tcp/PORT\"]` in [group.manifest_ports] of the policy: a manifest says no \
                     ports"
                );
                own.error(&span, format!("no port is known for `{target}`"), remedy);
                continue;
            }
            let rule = manifest::rule(target, (said, known.as_ref()), origin(own, &span));
            self.into.rules.push(Located { value: rule, span: at.clone() });
        }
        for Located { value: services, span } in listening {
            if self.keys.from.is_empty() {
                let remedy = "write `manifest_from = [\"PREFIX\"]` in the group, if others than the gateway may";
                own.warn(&span, "nobody may open flows to these ports", remedy);
            }
            for from in &self.keys.from {
                let rule = manifest::inbound(*from, services.clone(), origin(own, &span));
                self.into.inbound.push(Located { value: rule, span: at.clone() });
            }
        }
    }

    /// Ports of hosts that no manifest names: a slip of the pen, or left over.
    fn report_unused(&self, findings: &mut Findings) {
        let named: Vec<String> = self.named.iter().map(ToString::to_string).collect();
        for (key, _) in self.keys.ports.iter().filter(|(target, _)| !self.named.contains(target)).map(|(_, said)| said)
        {
            let near = nearest(key.value, named.iter().map(String::as_str), 1);
            let remedy = match near.first() {
                Some(near) => format!("did you mean \"{near}\"? otherwise remove it"),
                None => "remove it, or write a [[group.allow]]".to_owned(),
            };
            findings.error(&key.span, format!("no manifest of the group names `{}`", key.value), remedy);
        }
    }
}

/// Reads `manifest_ports`.
fn read_ports<'a>(table: &Fields<'a>, findings: &mut Findings) -> Ports<'a> {
    let mut ports = Ports::new();
    for key in table.rest() {
        let services = table.get(key.value).map(|value| values::services(&value, findings)).unwrap_or_default();
        let target = match key.value.parse() {
            Ok(address) => Target::Address(address),
            Err(_no_address) => match DomainName::parse(key.value) {
                Ok(name) => Target::Name(NamePattern::Exact(name)),
                Err(error) => {
                    findings.error(&key.span, error.to_string(), "write a host as the manifest has it, in quotes");
                    continue;
                }
            },
        };
        if let Some((first, _)) = ports.get(&target) {
            let message = format!("`{target}` is there twice");
            findings.error_beside(&key.span, (message, "remove one of the two"), (&first.span, "the first one"));
            continue;
        }
        ports.insert(target, (key, services));
    }
    ports
}

/// The text of the manifest at a path beside the policy.
fn find(files: Option<(&Path, &Files<'_>)>, path: &Located<&str>, findings: &mut Findings) -> Option<Arc<Source>> {
    let Some((directory, files)) = files else {
        let remedy = "read the policy from a file: a path is relative to it";
        findings.error(&path.span, format!("the manifest `{}` is a file, and none is read here", path.value), remedy);
        return None;
    };
    match files.read_unshown(&directory.join(path.value.strip_prefix("./").unwrap_or(path.value))) {
        Ok(source) => is_manifest(&source, path, findings).then(|| source.shown()),
        Err(error) if error.place().is_some() => {
            findings.extend(vec![error.into()]);
            None
        }
        Err(error) => {
            let remedy = format!("{}; a path is relative to the policy file", error.remedy());
            findings.error(&path.span, format!("the manifest cannot be used: {error}"), remedy);
            None
        }
    }
}

/// Whether the text is JSON with the keys of a manifest; reported if not, without a word of it.
fn is_manifest(source: &Arc<Source>, path: &Located<&str>, findings: &mut Findings) -> bool {
    let mut own = Findings::new(Arc::clone(source));
    let root = json::read(&mut own);
    if root.as_ref().is_some_and(manifest::is_manifest) {
        return true;
    }
    let first = own.into_diagnostics().into_iter().find(|found| found.severity == Severity::Error);
    match first.and_then(|found| found.place) {
        Some(place) => findings.extend(vec![Diagnostic {
            severity: Severity::Error,
            message: "the manifest is not JSON".to_owned(),
            remedy: Some("correct the syntax here, or name another file".to_owned()),
            place: Some(place),
            related: None,
        }]),
        None => {
            let message = format!("`{}` is no application manifest", source.path());
            let remedy = "name an app_manifest.json: it has `SchemaVersion`, `ComponentId` and `Capabilities`";
            findings.error(&path.span, message, remedy);
        }
    }
    false
}
