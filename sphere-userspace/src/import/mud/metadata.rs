//! What a MUD file says of itself (RFC 8520 section 3), and what of it an operator should know.

use std::time::{Duration, SystemTime};

use super::words;
use crate::import::json::Node;
use crate::policy::{Findings, plain};

/// Days after which a file is worth a look for a newer one.
const OLD_DAYS: u64 = 365;
/// Hours within which `cache-validity` has to be (RFC 8520 section 7).
const CACHE_HOURS: std::ops::RangeInclusive<u16> = 1..=168;

/// What is said of the file in the lines for the policy.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// Where it is published.
    pub(super) url: Option<String>,
    /// The devices in the words of their maker.
    pub(super) system_info: Option<String>,
    /// When it was written.
    pub(super) last_update: Option<String>,
}

impl Metadata {
    /// Host of the URL, in lower case: it stands for the manufacturer (RFC 8520 section 4.2).
    pub(super) fn maker(&self) -> Option<String> {
        let (_, rest) = self.url.as_ref()?.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Some(host.split(':').next()?.to_ascii_lowercase())
    }
}

/// Reads and checks the container `ietf-mud:mud`; `now` is for the age of the file.
pub(super) fn read(mud: &Node, now: SystemTime, findings: &mut Findings) -> Metadata {
    version(mud, findings);
    let mut text = |key: &str| {
        let node = words::value(mud, &[key])?;
        Some((node, plain(node.text(findings)?)))
    };
    let (url, system_info, last_update) = (text("mud-url"), text("systeminfo"), text("last-update"));
    match &url {
        Some((node, url)) if !url.starts_with("https://") => {
            let message = format!("`{url}` is no https URL (RFC 8520 section 6)");
            findings.warn(&node.span, message, "look where the file comes from");
        }
        Some(_) => {}
        None => findings.warn(&head(mud), "the file has no `mud-url`", "look where the file comes from"),
    }
    match &last_update {
        Some((node, text)) => age((node, text), now, findings),
        None => findings.warn(&head(mud), "the file has no `last-update`", "look whether there is a newer one"),
    }
    if let Some(node) = words::value(mud, &["cache-validity"])
        && let Some(hours) = words::number(node, u16::MAX, findings)
        && !CACHE_HOURS.contains(&hours)
    {
        let message = format!("`cache-validity` is {hours} hours, and has to be 1 to 168");
        findings.warn(&node.span, message, "nothing depends on it here; look for newer files every now and then");
    }
    if let Some(node) = words::value(mud, &["is-supported"])
        && node.boolean(findings) == Some(false)
    {
        let message = "the manufacturer no longer supports these devices (`is-supported`)";
        findings.warn(&node.span, message, "their vulnerabilities stay: allow as little as you can, and replace them");
    }
    if let Some(extensions) = words::value(mud, &["extensions"]) {
        for extension in extensions.array("names of extensions", findings).unwrap_or_default() {
            let Some(name) = extension.text(findings) else { continue };
            let message = format!("the extension `{}` is not known here", plain(name));
            findings.warn(&extension.span, message, "look what it says of the traffic: nothing is made of it");
        }
    }
    let owned = |text: Option<(&Node, String)>| text.map(|(_, text)| text);
    Metadata { url: owned(url), system_info: owned(system_info), last_update: owned(last_update) }
}

/// Only the first version of the format is known.
fn version(mud: &Node, findings: &mut Findings) {
    match words::value(mud, &["mud-version"]) {
        Some(node) => match words::number(node, u16::from(u8::MAX), findings) {
            None | Some(1) => {}
            Some(other) => {
                let message = format!("the file is of version {other} of MUD, and version 1 is read here");
                findings.error(&node.span, message, "look for a file of version 1 (RFC 8520)");
            }
        },
        None => findings.warn(&head(mud), "the file has no `mud-version`", "it is read as version 1"),
    }
}

fn age((node, text): (&Node, &str), now: SystemTime, findings: &mut Findings) {
    let Some(written) = moment(text) else {
        let message = format!("`{text}` is no date with a time (RFC 3339)");
        return findings.warn(&node.span, message, "look how old the file is, and for a newer one");
    };
    match now.duration_since(written) {
        Ok(age) => {
            let days = age.as_secs() / 86_400;
            if days > OLD_DAYS {
                let message = format!("the file was last updated {days} days ago");
                findings.warn(&node.span, message, "look for a newer one: hosts may have changed");
            }
        }
        // Zones and clocks may differ by a day.
        Err(error) if error.duration() > Duration::from_secs(86_400) => {
            findings.warn(&node.span, "the file was last updated in the future", "look where the file comes from");
        }
        Err(_) => {}
    }
}

/// The moment in UTC, as if the zone were it: a day more or less does not matter.
fn moment(text: &str) -> Option<SystemTime> {
    let zone_less = text.get(..19)?;
    humantime::parse_rfc3339(&format!("{zone_less}Z")).ok()
}

/// Where the container begins.
fn head(mud: &Node) -> std::ops::Range<usize> {
    mud.span.start..mud.span.start + 1
}
