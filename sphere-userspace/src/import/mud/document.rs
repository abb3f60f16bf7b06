//! A MUD file as a whole: which access lists its two policies name, and their entries in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::ace::{self, List};
use super::entry::{Entry, Family, Way};
use super::metadata::{self, Metadata};
use super::words;
use crate::import::json::{Member, Node};
use crate::policy::{Findings, plain};

/// Entries that are read: a device with more is hardly one device.
const MOST_ENTRIES: usize = 4096;

/// A file that was read.
pub(super) struct Document {
    pub(super) metadata: Metadata,
    /// Entries of the lists that the policies name.
    pub(super) entries: Vec<Entry>,
}

/// Reads a file; [`None`] when it is none.
pub(super) fn read(root: &Node, now: SystemTime, findings: &mut Findings) -> Option<Document> {
    root.object("an object, `{ … }`", findings)?;
    let Some(mud) = words::find(root, &["mud"]) else {
        let remedy = "name a MUD file (RFC 8520): it has `ietf-mud:mud` and `ietf-access-control-list:acls`";
        findings.error(&(root.span.start..root.span.start + 1), "this is no MUD file", remedy);
        return None;
    };
    mud.value.object("an object, `{ … }`", findings)?;
    let metadata = metadata::read(&mud.value, now, findings);
    // Drafts called them `access-lists`.
    let Some(lists) = words::find(root, &["acls", "access-lists"]) else {
        // They may stand in what could not be read.
        if !findings.has_errors() {
            let message = "the file has no access lists: it allows nothing that could be taken";
            findings.error(&mud.key.span, message, "look whether a part of it is missing");
        }
        return None;
    };
    let lists = Lists::read(lists, findings)?;
    let mut entries = Vec::new();
    let mut named = BTreeSet::new();
    for (way, key) in [(Way::FromDevice, "from-device-policy"), (Way::ToDevice, "to-device-policy")] {
        let Some(policy) = words::find(&mud.value, &[key]) else {
            let message = format!("the file has no `{key}`");
            findings.warn(&mud.key.span, message, "devices may then do less than their maker means");
            continue;
        };
        for reference in words::list(&policy.value, (&["access-lists"], "access-list"), findings) {
            let Some(name) = words::name(reference, &["name", "acl-name"], findings) else { continue };
            // A list that is named twice says nothing twice.
            if named.insert((way, name.clone())) {
                lists.entries((&name, way), reference, (&mut entries, &mut *findings));
            }
        }
    }
    for (name, list) in &lists.by_name {
        if !named.iter().any(|(_, there)| there == name) {
            let message = format!("no policy of the file names the list `{}`: nothing is made of it", plain(name));
            findings.warn(&list.at, message, "look whether it is to be a part of one");
        }
    }
    if entries.len() > MOST_ENTRIES {
        let message = format!("the file has {} entries, more than {MOST_ENTRIES}", entries.len());
        findings.error(&mud.key.span, message, "is it about one kind of devices?");
        return None;
    }
    Some(Document { metadata, entries })
}

/// The access lists by name.
struct Lists<'a> {
    by_name: BTreeMap<String, AccessList<'a>>,
}

struct AccessList<'a> {
    at: std::ops::Range<usize>,
    family: Option<Family>,
    entries: Vec<&'a Node>,
}

impl<'a> Lists<'a> {
    fn read(lists: &'a Member, findings: &mut Findings) -> Option<Self> {
        lists.value.object("an object with `acl`", findings)?;
        let Some(all) = words::value(&lists.value, &["acl"]) else {
            findings.error(&lists.key.span, "the file has no list of access lists", "add `\"acl\": [ … ]`");
            return None;
        };
        let mut by_name = BTreeMap::new();
        for list in all.array("access lists", findings)? {
            if list.object("an access list", findings).is_none() {
                continue;
            }
            let Some(name) = words::name(list, &["name", "acl-name"], findings) else { continue };
            let at =
                words::value(list, &["name", "acl-name"]).map_or_else(|| list.span.clone(), |name| name.span.clone());
            let family = words::value(list, &["type", "acl-type"]).and_then(|word| family(word, findings));
            let entries = words::list(list, (&["aces", "access-list-entries"], "ace"), findings);
            if by_name.insert(name.clone(), AccessList { at: at.clone(), family, entries }).is_some() {
                let message = format!("two lists are called `{}`", plain(&name));
                findings.error(&at, message, "give one of them another name");
            }
        }
        Some(Self { by_name })
    }

    /// Adds the entries of a list that a policy names.
    fn entries(
        &self,
        (name, way): (&str, Way),
        reference: &Node,
        (entries, findings): (&mut Vec<Entry>, &mut Findings),
    ) {
        let Some(list) = self.by_name.get(name) else {
            let message = format!("there is no list `{}`", plain(name));
            return findings.error(&reference.span, message, "name a list of the file, or add it");
        };
        let stands_in = List { name, family: list.family, way };
        entries.extend(list.entries.iter().filter_map(|entry| ace::entry(entry, stands_in, findings)));
    }
}

/// Family of a type of lists, in either dialect.
fn family(word: &Node, findings: &mut Findings) -> Option<Family> {
    match words::local(word.text(findings)?) {
        "ipv4-acl-type" | "ipv4-acl" | "mixed-eth-ipv4-acl-type" => Some(Family::V4),
        "ipv6-acl-type" | "ipv6-acl" | "mixed-eth-ipv6-acl-type" => Some(Family::V6),
        _ => None,
    }
}
