//! What the packets of an entry carry: transport and ports, or ICMP messages.

use super::entry::{Echo, Family, Traffic, Transport};
use super::matches::{Header, Matches};
use super::ports::{self, Refused};
use super::words;
use crate::import::json::{Member, Node};
use crate::policy::Findings;

/// Why an entry adds nothing to a policy.
#[derive(Debug)]
pub(super) enum Nothing {
    /// A mistake, which is reported.
    Reported,
    /// What it is about passes in any case, or never comes to a gateway.
    BuiltIn,
    /// No rule can say it: what it is, and what to do.
    Refused(String, &'static str),
}

/// What to do where packets would have to be of several protocols.
const ONE_PROTOCOL: &str = "correct the file: packets have one protocol";
/// What to do where rules know no such packets.
const ONLY_THESE: &str = "rules know tcp, udp and ICMP echo: devices have to do without, or use another gateway for it";

/// What the entry is about, with the family of its addresses.
pub(super) fn traffic(found: &Matches<'_>, family: Family, findings: &mut Findings) -> Result<Traffic, Nothing> {
    let transports =
        [Transport::Tcp, Transport::Udp].map(|transport| found.named(Header::Transport(transport)).map(|_| transport));
    let protocol = match found.protocol {
        Some(node) => Some(words::number(node, u16::from(u8::MAX), findings).ok_or(Nothing::Reported)?),
        None => None,
    };
    let is_icmp = found.named(Header::Icmp).is_some();
    let kind = match (transports, is_icmp, protocol) {
        ([Some(Transport::Tcp), None], false, None | Some(6)) | ([None, None], false, Some(6)) => Some(Transport::Tcp),
        ([None, Some(Transport::Udp)], false, None | Some(17)) | ([None, None], false, Some(17)) => {
            Some(Transport::Udp)
        }
        ([None, None], true, None | Some(1 | 58)) | ([None, None], false, Some(1 | 58)) => None,
        ([None, None], false, None) => return every(found),
        ([None, None], false, Some(2)) => {
            let what = "protocol 2 (IGMP), by which hosts join multicast groups: no gateway forwards it".to_owned();
            return Err(Nothing::Refused(what, "nothing: devices need it on their own link only"));
        }
        ([None, None], false, Some(number)) => {
            return Err(Nothing::Refused(format!("IP protocol {number}"), ONLY_THESE));
        }
        _ => return Err(Nothing::Refused("several protocols at once".to_owned(), ONE_PROTOCOL)),
    };
    match kind {
        Some(transport) => {
            let device = side(found.device_port, findings)?;
            let remote = side(found.remote_port, findings)?;
            Ok(Traffic::Ports { transport, device, remote })
        }
        None => echo(found, family, findings).map(Traffic::Echo),
    }
}

fn every(found: &Matches<'_>) -> Result<Traffic, Nothing> {
    match found.device_port.or(found.remote_port) {
        Some(_) => Err(Nothing::Refused("ports without a protocol".to_owned(), "add `\"protocol\": 6` or `17`")),
        None => Ok(Traffic::Every),
    }
}

fn side(port: Option<&Member>, findings: &mut Findings) -> Result<super::entry::Ports, Nothing> {
    let Some(member) = port else { return Ok(None) };
    let ports = ports::ports(&member.value, findings).ok_or(Nothing::Reported)?;
    ports.map_err(|Refused { what, remedy }| Nothing::Refused(what, remedy))
}

/// Which messages of an echo.
fn echo(found: &Matches<'_>, family: Family, findings: &mut Findings) -> Result<Echo, Nothing> {
    let mut number = |node: Option<&Node>| match node {
        Some(node) => words::number(node, u16::from(u8::MAX), findings).map(Some).ok_or(Nothing::Reported),
        None => Ok(None),
    };
    let (icmp_type, code) = (number(found.icmp_type)?, number(found.icmp_code)?);
    let echo = match (family, icmp_type) {
        (_, None) => Echo::Either,
        (Family::V4, Some(8)) | (Family::V6, Some(128)) => Echo::Request,
        (Family::V4, Some(0)) | (Family::V6, Some(129)) => Echo::Reply,
        // Errors about allowed flows pass, and so do neighbour and listener discovery.
        (Family::V4, Some(3 | 11 | 12)) | (Family::V6, Some(1..=4 | 130..=137 | 143)) => return Err(Nothing::BuiltIn),
        (_, Some(other)) => return Err(Nothing::Refused(format!("ICMP messages of type {other}"), ONLY_THESE)),
    };
    match code {
        None | Some(0) => Ok(echo),
        Some(code) => Err(Nothing::Refused(format!("ICMP echo with code {code}"), ONLY_THESE)),
    }
}
