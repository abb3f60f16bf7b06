//! An entry of an access list as it is written, in either dialect, becomes an [`Entry`].

use std::ops::Range;

use super::entry::{Echo, Entry, Family, Peer, Traffic, Way};
use super::matches::{Header, Matches};
use super::traffic::{self, Nothing};
use super::{peer, words};
use crate::import::json::{Json, Node};
use crate::policy::{Findings, Located};

/// The list that an entry stands in.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Family of its type, where that is one.
    pub(super) family: Option<Family>,
    /// Which way its packets go.
    pub(super) way: Way,
}

/// Reads an entry; [`None`] when it adds nothing, or when what is wrong with it was reported.
pub(super) fn entry(node: &Node, list: List<'_>, findings: &mut Findings) -> Option<Entry> {
    let name = words::name(node, &["name", "rule-name"], findings)?;
    let accepts = accepts(node, &name, findings)?;
    let Some(matches) = words::find(node, &["matches"]) else {
        findings.error(&node.span, format!("entry `{name}`: it matches nothing"), "add `\"matches\": { … }`");
        return None;
    };
    matches.value.object("an object with headers", findings)?;
    let at = head(node);
    if !accepts {
        return dropping((name, at), &matches.value, list, findings);
    }
    match read((&name, &at), &matches.value, list, findings) {
        Ok(entry) => Some(entry),
        Err(Nothing::Reported | Nothing::BuiltIn) => None,
        Err(Nothing::Refused(what, remedy)) => {
            findings.warn(&matches.key.span, format!("entry `{name}` is left out: it is about {what}"), remedy);
            None
        }
    }
}

/// Where an entry is shown: its name, or its beginning.
fn head(node: &Node) -> Range<usize> {
    words::find(node, &["name", "rule-name"]).map_or_else(|| node.span.clone(), |member| member.value.span.clone())
}

/// Whether the packets of an entry pass: `forwarding`, or what drafts had in its place.
fn accepts(node: &Node, name: &str, findings: &mut Findings) -> Option<bool> {
    let Some(actions) = words::find(node, &["actions"]) else {
        findings.error(&node.span, format!("entry `{name}`: it has no actions"), "add `\"actions\": { … }`");
        return None;
    };
    actions.value.object("an object with `forwarding`", findings)?;
    if let Some(forwarding) = words::value(&actions.value, &["forwarding"]) {
        return match words::local(forwarding.text(findings)?) {
            "accept" => Some(true),
            // A MUD manager may read one as the other (RFC 8520 section 2).
            "drop" | "reject" => Some(false),
            other => {
                findings.error(&forwarding.span, format!("unknown action `{other}`"), "use one of: accept, drop");
                None
            }
        };
    }
    match (words::value(&actions.value, &["permit"]), words::value(&actions.value, &["deny"])) {
        (Some(_), None) => Some(true),
        (None, Some(_)) => Some(false),
        _ => {
            let message = format!("entry `{name}`: it does not say whether packets pass");
            findings.error(&actions.value.span, message, "add `\"forwarding\": \"accept\"`");
            None
        }
    }
}

fn read(
    (name, at): (&str, &Range<usize>),
    matches: &Node,
    list: List<'_>,
    findings: &mut Findings,
) -> Result<Entry, Nothing> {
    let found = Matches::read(matches, list.way, findings);
    if let Some(unknown) = found.unknown.first() {
        let what = format!("`{}`, by which no rule can tell packets", unknown.key.value);
        return Err(Nothing::Refused(what, "write a rule yourself, if one without it will do"));
    }
    let family = family(&found, list, findings)?;
    let opened_by = match found.initiated {
        Some(node) => match node.text(findings).ok_or(Nothing::Reported)? {
            "from-device" => Some(Way::FromDevice),
            "to-device" => Some(Way::ToDevice),
            other => {
                let message = format!("`{other}` is no direction");
                findings.error(&node.span, message, "use one of: from-device, to-device");
                return Err(Nothing::Reported);
            }
        },
        None => None,
    };
    let traffic = traffic::traffic(&found, family, findings)?;
    if traffic == Traffic::Every && found.peers.is_empty() && found.classes.is_empty() {
        let what = "everything, of every host".to_owned();
        return Err(Nothing::Refused(what, "write rules with the hosts and ports that devices need"));
    }
    let peer = match peer::peer(&found, (family, list.way, at), findings) {
        // Looking for a DHCP server is always allowed, and goes to nobody by name.
        Err(Nothing::Refused(..)) if is_dhcp(&traffic) => return Err(Nothing::BuiltIn),
        other => other?,
    };
    warn_of_narrow(&found, &traffic, (name, list.way), findings);
    let (name, at, way) = (name.to_owned(), at.clone(), list.way);
    Ok(Entry { name, at, way, family, peer, traffic, opened_by, accepts: true })
}

/// The entry as one that drops. What cannot be read of it is taken for everything: what it may concern is not allowed.
fn dropping((name, at): (String, Range<usize>), matches: &Node, list: List<'_>, findings: &Findings) -> Option<Entry> {
    // What it says is not used for a rule, so that nobody needs to correct it.
    let mut unheard = Findings::new(std::sync::Arc::clone(findings.source()));
    let found = Matches::read(matches, list.way, &mut unheard);
    let family = match family(&found, list, &mut unheard) {
        Ok(family) => family,
        Err(Nothing::BuiltIn) => return None,
        Err(_) => list.family.unwrap_or(Family::V4),
    };
    let traffic = traffic::traffic(&found, family, &mut unheard).unwrap_or(Traffic::Every);
    let peer = peer::peer(&found, (family, list.way, &at), &mut unheard);
    let peer = peer.unwrap_or_else(|_| Located { value: Peer::Net(family.everything()), span: at.clone() });
    Some(Entry { name, at, way: list.way, family, peer, traffic, opened_by: None, accepts: false })
}

/// Family of the addresses, from the headers or from the type of the list.
fn family(found: &Matches<'_>, list: List<'_>, findings: &mut Findings) -> Result<Family, Nothing> {
    let named = [Family::V4, Family::V6].map(|family| found.named(Header::Ip(family)).map(|_| family));
    match (named, list.family, found.ether_type) {
        ([Some(_), Some(_)], ..) => {
            Err(Nothing::Refused("IPv4 and IPv6 at once".to_owned(), "correct the file: packets have one family"))
        }
        ([Some(family), None] | [None, Some(family)], ..) => Ok(family),
        ([None, None], _, Some(node)) => ether_type(node, findings),
        ([None, None], Some(family), None) => Ok(family),
        ([None, None], None, None) => {
            let what = format!("no address family, and neither is the list `{}`", list.name);
            Err(Nothing::Refused(what, "add `\"ipv4\": { … }` or `\"ipv6\": { … }` to its matches"))
        }
    }
}

/// What an entry by EtherType comes to.
fn ether_type(node: &Node, findings: &mut Findings) -> Result<Family, Nothing> {
    let text = match &node.value {
        Json::Number(text) | Json::Text(text) => text.as_str(),
        _ => return Err(node.wrong_type("an EtherType, such as \"0x0800\"", findings).unwrap_or(Nothing::Reported)),
    };
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let number = match digits {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    match (number, text) {
        (Some(0x0800), _) | (None, "ipv4") => Ok(Family::V4),
        (Some(0x86dd), _) | (None, "ipv6") => Ok(Family::V6),
        // ARP, EAPOL, LLDP: link control always passes.
        (Some(0x0806 | 0x888e | 0x88cc), _) | (None, "arp" | "eapol" | "lldp") => Err(Nothing::BuiltIn),
        _ => {
            let what = format!("EtherType {text}, which is not IP: no gateway forwards it");
            Err(Nothing::Refused(what, "nothing: it stays on the link of the devices"))
        }
    }
}

fn is_dhcp(traffic: &Traffic) -> bool {
    let Traffic::Ports { remote: Some(ports), .. } = traffic else { return false };
    ports.iter().all(|port| matches!(port.get(), 67 | 547))
}

/// What is read as less or as more than the entry says.
fn warn_of_narrow(found: &Matches<'_>, traffic: &Traffic, (name, way): (&str, Way), findings: &mut Findings) {
    match traffic {
        Traffic::Ports { device: Some(_), remote: Some(_), .. } => {
            if let Some(port) = found.device_port.filter(|_| way == Way::FromDevice) {
                let message = format!("entry `{name}`: rules do not tell packets by the port that devices send from");
                findings.warn(&port.key.span, message, "the rule is wider: devices may use any port of their own");
            }
        }
        Traffic::Echo(Echo::Either) => {
            if let (Some(node), Way::FromDevice) = (found.protocol, way) {
                let message = format!("entry `{name}` is about every ICMP message, and is read as echo");
                findings.warn(&node.span, message, "errors about allowed flows pass in any case");
            }
        }
        Traffic::Every => {
            if let (Some((_, member)), Way::FromDevice) = (found.headers.first(), way) {
                let message = format!("entry `{name}` is about every protocol: read as tcp, udp and ICMP echo");
                findings.warn(&member.key.span, message, "write the ports that devices need in its place");
            }
        }
        Traffic::Ports { .. } | Traffic::Echo(_) => {}
    }
}
