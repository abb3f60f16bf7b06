//! `AllowedTcpServerPorts` and `AllowedUdpServerPorts`: ports that an application listens at.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use super::super::json::{Json, Member, Node};
use crate::policy::{Findings, Located, Service};

/// Reads the ports of one list, at their key; [`None`] when there are none.
pub(super) fn read(
    member: &Member,
    service: fn(NonZeroU16) -> Service,
    findings: &mut Findings,
) -> Option<Located<BTreeSet<Service>>> {
    let list = member.value.array("port numbers", findings)?;
    let mut services = BTreeSet::new();
    for node in list {
        let Some(port) = port(node, findings) else { continue };
        if !services.insert(service(port)) {
            findings.warn(&node.span, format!("port {port} is there twice"), "remove one of the two");
        }
    }
    (!services.is_empty()).then(|| Located { value: services, span: member.key.span.clone() })
}

fn port(node: &Node, findings: &mut Findings) -> Option<NonZeroU16> {
    let digits = match &node.value {
        Json::Number(digits) => digits,
        Json::Text(text) if text.parse::<NonZeroU16>().is_ok() => {
            findings.error(&node.span, "the port is a text", format!("write {text}, without quotes"));
            return None;
        }
        _ => return node.wrong_type("a port number from 1 to 65535", findings),
    };
    let port = digits.parse().ok();
    if port.is_none() {
        findings.error(&node.span, format!("{digits} is no port"), "write a whole number from 1 to 65535");
    }
    port
}
