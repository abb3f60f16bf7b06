//! `AllowedConnections`: which of its entries are hosts that a gateway can open, and what the others are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use super::super::json::Node;
use crate::policy::{DomainName, Findings, Located, NamePattern, ShippedProfile, Target, plain};
use crate::resolve::Special;

/// The entries of one list.
pub(super) struct Connections<'a> {
    profiles: &'a [ShippedProfile],
    targets: Vec<Located<Target>>,
    seen: BTreeMap<Target, Range<usize>>,
}

impl<'a> Connections<'a> {
    pub(super) const fn new(profiles: &'a [ShippedProfile]) -> Self {
        Self { profiles, targets: Vec::new(), seen: BTreeMap::new() }
    }

    /// The hosts, in the order of the list.
    pub(super) fn into_targets(self) -> Vec<Located<Target>> {
        self.targets
    }

    /// Reads an entry; what is no host, or none that a gateway forwards to, is reported.
    pub(super) fn add(&mut self, node: &Node, findings: &mut Findings) {
        let Some(text) = node.text(findings) else { return };
        let entry = Entry { text: text.trim(), span: &node.span };
        if entry.text != text && !entry.text.is_empty() {
            let remedy = format!("write \"{}\", as which it is read here", plain(entry.text));
            findings.warn(entry.span, format!("`{}` has blanks around it", plain(text)), remedy);
        }
        let Some(target) = entry.target(self.profiles, findings) else { return };
        if let Some(first) = self.seen.get(&target) {
            let line = findings.line(first);
            findings.warn(entry.span, format!("`{target}` is there twice, first in line {line}"), "remove one");
            return;
        }
        self.seen.insert(target.clone(), node.span.clone());
        self.targets.push(Located { value: target, span: node.span.clone() });
    }
}

/// Words that stand for what is still to be filled in, when they begin a text.
const TEMPLATE_WORDS: [&str; 8] = ["change", "enter", "fill", "insert", "placeholder", "replace", "tbd", "todo"];

/// An entry of the list.
struct Entry<'a> {
    text: &'a str,
    span: &'a Range<usize>,
}

impl Entry<'_> {
    fn target(&self, profiles: &[ShippedProfile], findings: &mut Findings) -> Option<Target> {
        let shown = plain(self.text);
        if self.text.is_empty() {
            findings.error(self.span, "the entry is empty", "name a host, or remove the entry");
            return None;
        }
        if self.is_placeholder() {
            let remedy = "name the host that the application connects to, or remove the entry";
            findings.error(self.span, format!("`{shown}` is a placeholder that nobody filled in"), remedy);
            return None;
        }
        if let Ok(address) = self.text.parse::<IpAddr>() {
            return self.address(address, profiles, findings);
        }
        if let Some((wrong, remedy)) = self.no_host() {
            findings.error(self.span, format!("`{shown}` {wrong}"), remedy);
            return None;
        }
        if let Some(domain) = self.domain_of_services() {
            let why = if domain.eq_ignore_ascii_case("local") {
                "it is asked for by multicast DNS (RFC 6762), which no gateway forwards".to_owned()
            } else {
                format!("it names services of the domain `{}` (RFC 6763), and no host", plain(domain))
            };
            let remedy = "if what it finds is beyond the gateway, allow those hosts by [[group.allow]]";
            findings.warn(self.span, format!("no rule for `{shown}`: {why}"), remedy);
            return None;
        }
        self.name(findings)
    }

    /// Whether it is what a template leaves to be filled in.
    fn is_placeholder(&self) -> bool {
        let lower = self.text.to_ascii_lowercase();
        let first = lower.split(|character: char| !character.is_ascii_alphanumeric()).next().unwrap_or_default();
        // `your-hub.azure-devices.net`; `yourcompany.example` may well be somebody's.
        let is_template = lower.starts_with("your-") || lower.starts_with("your_");
        let is_request = TEMPLATE_WORDS.iter().any(|word| first.starts_with(word)) && !lower.contains('.');
        is_template
            || is_request
            || self.text.contains(['<', '>', '{', '}', '$', '%'])
            || self.text.contains(char::is_whitespace)
    }

    /// Why it is something else than a host, and what to write.
    fn no_host(&self) -> Option<(&'static str, String)> {
        if let Some((_, rest)) = self.text.split_once("://") {
            let host = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
            return Some(("is a URL, and a manifest names hosts", format!("write \"{}\"", plain(host))));
        }
        if self.text.parse::<IpNet>().is_ok() {
            return Some(("is a prefix, and a manifest names hosts", "name each address".to_owned()));
        }
        if let Some((host, port)) = self.text.split_once(':') {
            let (host, port) = (plain(host), plain(port));
            return Some((
                "has a port, and a manifest names hosts alone",
                format!("write \"{host}\", and say {port} apart"),
            ));
        }
        if let Some((host, _)) = self.text.split_once('/') {
            return Some(("has a path, and a manifest names hosts", format!("write \"{}\"", plain(host))));
        }
        self.text.contains('*').then(|| ("has a star: devices know no such names", "name each host".to_owned()))
    }

    /// The domain of a DNS-SD type, `_http._tcp.local`, or of an instance of it (RFC 6763 section 4.1).
    fn domain_of_services(&self) -> Option<&str> {
        let lower = self.text.to_ascii_lowercase();
        let at = ["._tcp.", "._udp."].iter().find_map(|protocol| lower.find(protocol))?;
        let service = lower.get(..at)?.rsplit('.').next()?;
        let domain = self.text.get(at + "._tcp.".len()..)?;
        service.starts_with('_').then(|| domain.trim_end_matches('.'))
    }

    fn address(&self, address: IpAddr, profiles: &[ShippedProfile], findings: &mut Findings) -> Option<Target> {
        let mut none = |why: String, remedy: &str| {
            findings.warn(self.span, format!("no rule for `{address}`: {why}"), remedy);
            None
        };
        let remedy = "nothing to allow; remove it, if the application does not need it on its own link";
        let v4 = match address {
            IpAddr::V4(v4) if v4.is_broadcast() => return none("broadcasts stay on their link".to_owned(), remedy),
            IpAddr::V4(v4) if v4.is_multicast() => {
                return none("multicast is not forwarded by this gateway".to_owned(), remedy);
            }
            IpAddr::V4(v4) => v4,
            IpAddr::V6(_) => {
                let remedy = "if the application does use it, allow it by [[group.allow]]";
                return none("manifests name IPv4 addresses alone".to_owned(), remedy);
            }
        };
        if let Some((reserved, profile)) = profiles.iter().find_map(|profile| profile.reserving(v4)) {
            return none(format!("it lies in {reserved}, which the profile {profile} reserves"), remedy);
        }
        match Special::of(address) {
            Some(Special::LinkLocal) => none("no gateway forwards to link-local addresses".to_owned(), remedy),
            Some(special) if !special.is_reachable() => none(format!("it is {special}, and no host's"), remedy),
            _ => Some(Target::Address(address)),
        }
    }

    fn name(&self, findings: &mut Findings) -> Option<Target> {
        let name = match DomainName::parse(self.text) {
            Ok(name) if name.as_str().len() <= sphere_common::name::MAX_NAME_BYTES => name,
            Ok(_) => {
                let remedy = "the gateway's table of names cannot hold it: use a shorter alias";
                findings.error(self.span, "the name is too long", remedy);
                return None;
            }
            Err(error) => {
                let remedy = "write an absolute DNS name such as \"api.example.com\", or an IPv4 address";
                findings.error(self.span, plain(&error.to_string()), remedy);
                return None;
            }
        };
        let last = name.labels().next_back().unwrap_or_default();
        let why = match (last, name.labels().count()) {
            ("local", _) => "names under `local` are found by multicast DNS (RFC 6762), which no gateway forwards",
            ("localhost", _) => "it is the device itself",
            (_, 1) => {
                let remedy = "write the whole name, if a shorter form of it is meant";
                findings.warn(self.span, format!("`{name}` has one label only"), remedy);
                return Some(Target::Name(NamePattern::Exact(name)));
            }
            _ => return Some(Target::Name(NamePattern::Exact(name))),
        };
        let remedy = "nothing to allow; if the host is beyond the gateway, name its address";
        findings.warn(self.span, format!("no rule for `{name}`: {why}"), remedy);
        None
    }
}
