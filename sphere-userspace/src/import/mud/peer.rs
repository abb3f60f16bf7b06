//! Whom devices speak with: a name, a network, a class, or anybody.

use std::net::IpAddr;

use ipnet::IpNet;

use super::class;
use super::entry::{Class, Family, Peer, Way};
use super::matches::Matches;
use super::traffic::Nothing;
use crate::import::json::Member;
use crate::policy::{Findings, Located, NameError, NamePattern, values};
use crate::resolve::Special;

/// Longest name that the kernel's table of names holds.
const MOST_NAME_BYTES: usize = sphere_common::name::MAX_NAME_BYTES;

/// The other side of an entry, or why there is none that a rule could name.
pub(super) fn peer(
    found: &Matches<'_>,
    (family, way, at): (Family, Way, &std::ops::Range<usize>),
    findings: &mut Findings,
) -> Result<Located<Peer>, Nothing> {
    for own in &found.own {
        let message = format!("`{}` is about the device itself, and is left out", own.key.value);
        findings.warn(&own.key.span, message, "the subnets of the group say which devices its rules are for");
    }
    match (found.peers.as_slice(), found.classes.as_slice()) {
        ([], []) if !found.own.is_empty() => {
            let what = "the device's own side alone".to_owned();
            Err(Nothing::Refused(what, "name the other side: are source and destination exchanged?"))
        }
        ([], []) => {
            let everybody = family.everything();
            let message = format!("the entry names no host: it is about every address, {everybody}");
            findings.warn(at, message, "write the hosts that devices need in its place");
            Ok(Located { value: Peer::Net(everybody), span: at.clone() })
        }
        ([named], []) => host(named, findings),
        ([], [(class, member)]) => Ok(Located { value: Peer::Class(class.clone()), span: member.key.span.clone() }),
        ([named], [(Class::Controller(uri), member)]) if uri == class::GATEWAY => {
            // Of the two entries of a conversation one is enough to say it.
            if way == Way::FromDevice {
                let message = format!("`{}` stands beside a host, and is read as the way to it", class::GATEWAY);
                findings.warn(&member.key.span, message, "the host is taken: remove the controller");
            }
            host(named, findings)
        }
        _ => Err(Nothing::Refused("hosts that are several things at once".to_owned(), "name one thing an entry")),
    }
}

fn host(member: &Member, findings: &mut Findings) -> Result<Located<Peer>, Nothing> {
    let text = member.value.text(findings).ok_or(Nothing::Reported)?;
    let is_name = member.key.value.ends_with("dnsname");
    let peer = if is_name { name(text, member, findings) } else { network(text, member, findings) }?;
    Ok(Located { value: peer, span: member.value.span.clone() })
}

fn name(text: &str, member: &Member, findings: &mut Findings) -> Result<Peer, Nothing> {
    let at = &member.value.span;
    match NamePattern::parse(text) {
        Ok(NamePattern::Exact(name)) if name.as_str().len() > MOST_NAME_BYTES => {
            let what = format!("a name of more than {MOST_NAME_BYTES} bytes");
            Err(Nothing::Refused(what, "the kernel's table of names cannot hold it: use a shorter alias"))
        }
        Ok(NamePattern::Exact(name)) => Ok(Peer::Name(name)),
        Ok(pattern @ NamePattern::Below(_)) => {
            let what = format!("all names below a name, `{pattern}`, which MUD does not have");
            Err(Nothing::Refused(what, "write a rule with that `host`, if it is meant"))
        }
        // The type of these leaves takes addresses too (RFC 6991, `inet:host`).
        Err(NameError::Address(_)) if text.parse::<IpAddr>().is_ok() => network(text, member, findings),
        Err(error) => {
            findings.error(at, error.to_string(), "write an absolute DNS name, such as \"api.example.com\"");
            Err(Nothing::Reported)
        }
    }
}

fn network(text: &str, member: &Member, findings: &mut Findings) -> Result<Peer, Nothing> {
    let at = &member.value.span;
    let Some(net) = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)) else {
        findings.error(at, format!("`{text}` is no prefix"), "write a prefix, such as \"192.0.2.0/24\"");
        return Err(Nothing::Reported);
    };
    if net.trunc() != net {
        let message = format!("`{net}` has bits set behind its prefix length: read as {}", net.trunc());
        findings.warn(at, message, "write the prefix without them");
    }
    let net = net.trunc();
    match values::unreachable(net) {
        None => Ok(Peer::Net(net)),
        Some(special @ (Special::Multicast | Special::Reserved)) => {
            let what = format!("`{net}`, which is {special}: no gateway forwards it");
            Err(Nothing::Refused(what, "nothing: on their own link devices reach it without a rule"))
        }
        Some(special) => {
            Err(Nothing::Refused(format!("`{net}`, where no host is: it is {special}"), "name the address of a host"))
        }
    }
}
